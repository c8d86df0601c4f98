import { orDefault, outputOf } from "../../graph/at.js";
import type { GraphLinks } from "../../graph/links.js";
import { float32Tensor } from "../../graph/tensor.js";
import type { Graph, Node, Tensor, ValueInfo } from "../../graph/types.js";
import { withValuesRenamed } from "../../onnx/captures.js";
import type { CalibrationLayer } from "./layers.js";
import { channelScales, normalizationAfter } from "./normalization.js";

/** Prefix of the original network's values, in the graph that computes both networks. */
const ORIGINAL = "penni.original/";
/** Channels that are scaled by less count as unscaled: dividing by nearly nothing would ask for the impossible. */
const SMALLEST_SCALE = 0.02;

/** Both networks in one graph, over the same inputs; the original's values have another name. */
export interface Pair {
  readonly graph: Graph;
  /** The name in the pair of a value of the original network. */
  readonly originalName: (value: string) => string;
}

/** @param current the network as far as it is calibrated, with the original's names */
export function pairOf(original: Graph, current: Graph): Pair {
  const inputs = new Set(original.inputs.map((input) => input.name));
  const originalName = (value: string): string =>
    value === "" || inputs.has(value) ? value : `${ORIGINAL}${value}`;
  const nodes = original.nodes.map((node) => ({
    ...withValuesRenamed(node, originalName),
    name: `${ORIGINAL}${node.name}`,
  }));
  const initializers = [...original.initializers].map(([name, tensor]): [string, Tensor] => [
    originalName(name),
    tensor,
  ]);
  const valueInfo = [...original.valueInfo.values()].map((info): [string, ValueInfo] => {
    const name = originalName(info.name);
    return [name, { ...info, name }];
  });
  return {
    originalName,
    graph: {
      ...current,
      nodes: [...nodes, ...current.nodes],
      initializers: new Map([...initializers, ...current.initializers]),
      // Some types are known from the file alone: those behind operators that Penni does not know.
      valueInfo: new Map([...valueInfo, ...current.valueInfo]),
    },
  };
}

/** The pair with the value that a convolution should give, and that value's name. */
export interface Target {
  readonly pair: Pair;
  readonly value: string;
}

/**
 * What a convolution should give in the calibrated network: what it gave in the original; and where its result is
 * added to another value (a residual), also what that value has lost there, so that the sum comes out right:
 * target = y_original + (s_original - s_current) / scale, with the scale of the normalization between.
 */
export function targetOf(pair: Pair, links: GraphLinks, conv: Node, { K }: CalibrationLayer): Target {
  const output = outputOf(conv, 0);
  const wanted = pair.originalName(output);
  const other = addedValue(links, conv);
  if (other === undefined) return { pair, value: wanted };
  const factors = channelScales(links, conv, K).map((scale) =>
    Math.abs(scale) < SMALLEST_SCALE ? 0 : 1 / scale,
  );
  const name = (stem: string): string => `penni.target/${output}/${stem}`;
  const node = (op: string, inputs: readonly string[], stem: string): Node => ({
    name: name(`${stem}/${op}`),
    op,
    domain: "",
    inputs,
    outputs: [name(stem)],
    attributes: new Map(),
  });
  const { graph } = pair;
  const nodes = [
    node("Sub", [pair.originalName(other), other], "lost"),
    node("Mul", [name("lost"), name("factors")], "scaled"),
    node("Add", [wanted, name("scaled")], "target"),
  ];
  const initializers = new Map([
    ...graph.initializers,
    [name("factors"), float32Tensor([1, K, 1, 1], Float32Array.from(factors))] as const,
  ]);
  return {
    pair: { ...pair, graph: { ...graph, nodes: [...graph.nodes, ...nodes], initializers } },
    value: name("target"),
  };
}

/** The value that a convolution's result (normalized or not) is added to; undefined where there is none. */
function addedValue(links: GraphLinks, conv: Node): string | undefined {
  const result = outputOf(normalizationAfter(links, conv) ?? conv, 0);
  const [reader, ...more] = orDefault(links.readers.get(result), []);
  if (reader?.op !== "Add" || more.length > 0 || links.outputNames.has(result)) return undefined;
  const other = reader.inputs.find((name) => name !== result);
  return other === undefined || links.graph.initializers.has(other) ? undefined : other;
}
