import { at, hasInput, hasOutput, outputOf, present } from "../../graph/at.js";
import { linkGraph } from "../../graph/links.js";
import { inputsOf, ofInput } from "../../graph/operands.js";
import { elementCount, float32Data, float32Tensor } from "../../graph/tensor.js";
import type { Graph, Node, Tensor } from "../../graph/types.js";

/**
 * The graph with constant factors multiplied together, and into the weight of the Conv (without bias) or MatMul before
 * them, where they are one number or one for each output channel: what is left of scales.
 */
export function foldFactors(graph: Graph): Graph {
  const { readers, outputNames, producers } = linkGraph(graph);
  const initializers = new Map(graph.initializers);
  const replaced = new Map<Node, Node | undefined>();
  for (const node of graph.nodes) {
    if (node.op !== "Mul" || node.domain !== "" || !hasOutput(node, 0)) continue;
    const [a, b] = inputsOf(node, 2);
    const y = outputOf(node, 0);
    const product = productOf(initializers.get(a), initializers.get(b));
    if (product !== undefined && !outputNames.has(y)) {
      initializers.set(y, product);
      replaced.set(node, undefined);
      continue;
    }
    const [value, factor] = initializers.has(b) ? [a, b] : [b, a];
    const before = producers.get(value);
    const isOnly = readers.get(value)?.length === 1 && !outputNames.has(value);
    const factors = initializers.get(factor);
    if (before === undefined || !isOnly || factors === undefined || replaced.has(before)) continue;
    const weight = weightTimes(before, initializers, factors);
    if (weight === undefined) continue;
    const name = `${before.inputs[1]}/${y}`;
    if (initializers.has(name) || producers.has(name)) continue;
    initializers.set(name, weight);
    replaced.set(before, { ...before, inputs: before.inputs.with(1, name), outputs: [y] });
    replaced.set(node, undefined);
  }
  const nodes = graph.nodes
    .map((node) => (replaced.has(node) ? replaced.get(node) : node))
    .filter((node) => node !== undefined);
  return { ...graph, nodes, initializers };
}

/** A product of constants one of which is a single number. */
function productOf(a: Tensor | undefined, b: Tensor | undefined): Tensor | undefined {
  if (a?.type !== "float32" || b?.type !== "float32") return undefined;
  const [many, one] = elementCount(a.dims) >= elementCount(b.dims) ? [a, b] : [b, a];
  if (elementCount(one.dims) !== 1 || one.dims.length > many.dims.length) return undefined;
  const factor = at(float32Data(one), 0);
  return float32Tensor(
    many.dims,
    float32Data(many).map((value) => value * factor),
  );
}

/** The weight of a Conv [K, ...] or MatMul [..., N], each output channel times its factor. */
function weightTimes(
  node: Node,
  initializers: ReadonlyMap<string, Tensor>,
  factors: Tensor,
): Tensor | undefined {
  const weight = ofInput(initializers, node, 1);
  const isConv = node.op === "Conv" && !hasInput(node, 2);
  if (weight?.type !== "float32" || factors.type !== "float32" || !(isConv || node.op === "MatMul"))
    return undefined;
  const data = float32Data(weight);
  const by = float32Data(factors);
  const channels = isConv ? weight.dims[0] : weight.dims.at(-1);
  if (channels === undefined) return undefined;
  const inner = isConv ? elementCount(weight.dims.slice(1)) : 1;
  const expected = isConv ? [channels, ...weight.dims.slice(2).map(() => 1)] : [channels];
  const own = factors.dims.slice(-expected.length);
  const isPerChannel =
    own.length === expected.length &&
    own.every((dim, axis) => dim === expected[axis]) &&
    elementCount(factors.dims) === channels;
  if (by.length !== 1 && !isPerChannel) return undefined;
  const factor = (index: number): number =>
    present(by[by.length === 1 ? 0 : Math.floor(index / inner) % channels]);
  return float32Tensor(
    weight.dims,
    data.map((value, index) => value * factor(index)),
  );
}
