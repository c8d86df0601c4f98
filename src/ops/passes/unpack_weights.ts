import { hasInput, inputOf, outputOf } from "../../graph/at.js";
import { int, intAttribute } from "../../graph/attributes.js";
import { type GraphLinks, linkGraph } from "../../graph/links.js";
import type { Graph, Node, Tensor } from "../../graph/types.js";
import { elementTypeCode } from "../core/element_types.js";
import { isQuantizedOp } from "../families/quantization.js";
import { findOp } from "../inference/registry.js";
import { integersOf, realNumbers } from "./quantized_constants.js";

/**
 * A network of which only the weights are quantized, with float32 weights: integers behind DequantizeLinear, or behind
 * Cast and Mul as `storeWeights` writes them, become what these make of them, to the bit. A network that computes with
 * quantized values, or that rounds them, is returned as it is.
 */
export function unpackWeights(graph: Graph): Graph {
  const quantized = graph.nodes.filter(isQuantizedOp);
  if (!quantized.every((node) => isStored(node, graph))) return graph;
  const links = linkGraph(graph);
  const initializers = new Map<string, Tensor>(graph.initializers);
  const done = new Set<Node>();
  const unpack = (node: Node, form: ScaledForm | undefined): void => {
    const integers = form && integersOf(initializers.get(form.integers));
    const numbers = integers && realNumbers(form.node, integers, form.initializers);
    if (numbers === undefined || links.outputNames.has(outputOf(node, 0))) return;
    initializers.set(outputOf(node, 0), numbers);
    done.add(node);
    if (form?.cast !== undefined) done.add(form.cast);
  };
  for (const node of quantized) unpack(node, { node, integers: inputOf(node, 0), initializers });
  for (const node of graph.nodes) if (node.op === "Mul") unpack(node, scaledCast(links, node));
  if (done.size === 0) return graph;
  return { ...graph, nodes: graph.nodes.filter((node) => !done.has(node)), initializers };
}

/** Integers times scales, as a DequantizeLinear node with a scale. */
interface ScaledForm {
  readonly node: Node;
  readonly integers: string;
  readonly initializers: ReadonlyMap<string, Tensor>;
  /** The node that goes along. */
  readonly cast?: Node;
}

function isStored(node: Node, { initializers }: Graph): boolean {
  return (
    findOp(node) !== undefined &&
    node.op === "DequantizeLinear" &&
    hasInput(node, 0) &&
    hasInput(node, 1) &&
    node.inputs.every((name) => name === "" || initializers.has(name))
  );
}

const isStandard = ({ domain }: Node): boolean => domain === "" || domain === "ai.onnx";

/** What Mul makes of small integers behind Cast, with one scale or one for each place along an axis. */
function scaledCast(
  { graph, producers, readers, outputNames }: GraphLinks,
  mul: Node,
): ScaledForm | undefined {
  if (!isStandard(mul) || !hasInput(mul, 0) || !hasInput(mul, 1)) return undefined;
  const [x, factor] = [inputOf(mul, 0), inputOf(mul, 1)];
  const cast = producers.get(x);
  const scale = graph.initializers.get(factor);
  if (cast?.op !== "Cast" || !isStandard(cast) || scale?.type !== "float32") return undefined;
  if (intAttribute(cast, "to") !== elementTypeCode("float32") || !hasInput(cast, 0)) return undefined;
  const integers = graph.initializers.get(inputOf(cast, 0));
  const isOnly = readers.get(x)?.length === 1 && !outputNames.has(x);
  if (integers?.type !== "int8" || !isOnly || scale.dims.length > integers.dims.length) return undefined;
  const axis = integers.dims.length - scale.dims.length;
  const [channels, ...around] = scale.dims;
  if (channels === undefined || channels !== integers.dims[axis] || around.some((size) => size !== 1))
    return undefined;
  const attributes = new Map([["axis", int(axis)]]);
  return {
    node: { ...mul, attributes },
    integers: inputOf(cast, 0),
    initializers: new Map([[factor, { ...scale, dims: [channels] }]]),
    cast,
  };
}
