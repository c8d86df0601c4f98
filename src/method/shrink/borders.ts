import { at, inputOf, listOf, outputOf } from "../../graph/at.js";
import { floatAttributeOr } from "../../graph/attributes.js";
import { freshNames, usedNames } from "../../graph/edit.js";
import { type GraphLinks, linkGraph } from "../../graph/links.js";
import { inputsOf, ofInput } from "../../graph/operands.js";
import { removeDeadNodes } from "../../graph/passes/remove_dead_nodes.js";
import { float32Data, float32Tensor } from "../../graph/tensor.js";
import type { Graph, Node, Tensor } from "../../graph/types.js";
import type { ChannelAnalysis } from "./analysis.js";

/**
 * A channel that is a constant other than zero in front of a zero-padded convolution: one such channel stays and
 * stands for all, or a map [1, K, H, W] behind the convolution holds what they add. The map is taken where the model
 * becomes smaller by it: where it has fewer numbers than the weights that go with the channel. Multiply-accumulates
 * then go as well.
 */

/** A map with more positions than this many times the taps of a kernel is never smaller than what goes. */
const POSITIONS_PER_TAP = 4;

/** The values whose constant channels a map might take up: inputs of padded convolutions that keep such a channel. */
export function borderCandidates({ flows }: ChannelAnalysis): readonly string[] {
  const candidates = [...flows].flatMap(([node, { border }]) => {
    const isSmall = border !== undefined && border.positions <= POSITIONS_PER_TAP * border.taps;
    return isSmall ? [inputOf(node, 0)] : [];
  });
  return [...new Set(candidates)];
}

/** Bytes of all initializers. */
export function weightBytes(graph: Graph): number {
  return [...graph.initializers.values()].reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
}

/**
 * Moves maps that are added in front of a BatchNormalization behind it, times its scale: in front, they would keep it
 * from being folded into the convolution. The very same graph if there are none.
 */
export function mapsBehindNormalization(graph: Graph): Graph {
  const links = linkGraph(graph);
  const fresh = freshNames(usedNames(graph));
  const replaced = new Map<Node, readonly Node[]>();
  const added = new Map<string, Tensor>();
  for (const add of graph.nodes) {
    const found = mapBefore(links, add);
    if (found === undefined) continue;
    const { conv, normalization, map, scale } = found;
    const [sum, result] = [outputOf(add, 0), outputOf(normalization, 0)];
    const name = fresh(`${result}.border`);
    const inner = fresh(`${result}.inner`);
    const perChannel = map.bytes.byteLength / 4 / scale.length;
    added.set(
      name,
      float32Tensor(
        map.dims,
        float32Data(map).map((value, place) => value * at(scale, Math.floor(place / perChannel))),
      ),
    );
    replaced.set(conv, [{ ...conv, outputs: [sum] }]);
    replaced.set(add, []);
    replaced.set(normalization, [
      { ...normalization, outputs: [inner] },
      { ...add, inputs: [inner, name], outputs: [result] },
    ]);
  }
  if (added.size === 0) return graph;
  const nodes = graph.nodes.flatMap((node) => replaced.get(node) ?? [node]);
  return removeDeadNodes({ ...graph, nodes, initializers: new Map([...graph.initializers, ...added]) });
}

interface MapBefore {
  readonly conv: Node;
  readonly normalization: Node;
  readonly map: Tensor;
  /** Of each channel, in the normalization. */
  readonly scale: Float64Array;
}

/** Conv -> Add of a constant map -> BatchNormalization, each read by the next alone. */
function mapBefore(links: GraphLinks, add: Node): MapBefore | undefined {
  const { graph, producers, readers, outputNames } = links;
  const only = (name: string): Node | undefined => {
    const [reader, ...more] = listOf(readers, name);
    return more.length > 0 || outputNames.has(name) ? undefined : reader;
  };
  if (add.op !== "Add" || add.domain !== "") return undefined;
  const [inner, mapName] = inputsOf(add, 2);
  const conv = producers.get(inner);
  const map = graph.initializers.get(mapName);
  const normalization = only(outputOf(add, 0));
  if (conv?.op !== "Conv" || map?.type !== "float32" || only(inner) !== add) return undefined;
  if (normalization?.op !== "BatchNormalization" || normalization.outputs.length > 1) return undefined;
  const [gamma, variance] = [1, 4].map((input) => ofInput(graph.initializers, normalization, input));
  if (gamma?.type !== "float32" || variance?.type !== "float32") return undefined;
  const epsilon = floatAttributeOr(normalization, "epsilon", 1e-5);
  const variances = float32Data(variance);
  const scale = Float64Array.from(
    float32Data(gamma),
    (value, k) => value / Math.sqrt(at(variances, k) + epsilon),
  );
  return map.dims[1] === scale.length && map.dims[0] === 1 ? { conv, normalization, map, scale } : undefined;
}
