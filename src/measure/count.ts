import { entryOf, orDefault, outputOf, present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { inputOrOmitted } from "../graph/operands.js";
import { countNonZeros, elementCount, float32Data } from "../graph/tensor.js";
import type { Graph, Node, Shape, ValueType } from "../graph/types.js";
import { convolutions, type DecomposedLayer, findDecompositions, prunableWeight } from "../layers/weights.js";
import { ruleOf, standardOpset } from "../ops/core/definition.js";
import { isStatic } from "../ops/core/dims.js";
import { type Inference, inferGraph, nodeContext } from "../ops/inference/infer.js";
import { findOp } from "../ops/inference/registry.js";

/** The initializer of a layer whose zeros save arithmetic: coefficients, or the weight of a dense convolution. */
export interface SparseWeight {
  readonly initializer: string;
  readonly nonZeros: number;
  /** Output positions at which each non-zero is used once. */
  readonly positions: number;
}

export interface LayerCount {
  readonly node: Node;
  /** Dimensions of the weight: [K, C, R, S] for convolutions, also decomposed ones. */
  readonly weightDims: readonly number[] | undefined;
  /** Of what it computes with, its first input, where they are known. */
  readonly inputDims: readonly number[] | undefined;
  /** Paper count: non-zero coefficients + bases + the rest. */
  readonly parameters: number;
  /** Elements of the initializers, zeros included. */
  readonly elements: number;
  /** Multiply-accumulates, paper count. */
  readonly paperMacs: number;
  /** Multiply-accumulates of the dense kernels that ONNX Runtime runs. */
  readonly executedMacs: number;
  readonly sparse: SparseWeight | undefined;
}

/** Parameters and multiply-accumulates (MACs) of a graph, for the batch size its inputs declare. */
export interface GraphCount {
  readonly layers: readonly LayerCount[];
  readonly parameters: number;
  readonly elements: number;
  readonly paperMacs: number;
  readonly executedMacs: number;
  /** Nodes that Penni does not know, or that lie behind such: their arithmetic is missing from the totals. */
  readonly uncounted: readonly Node[];
}

/** Attributes every float initializer to the first node that computes with it, through constant arithmetic. */
class ParameterOwners {
  /** For each value that is known before the model runs, the values that it is computed from. */
  private readonly behind = new Map<string, readonly string[]>();
  /** Known values whose parameters have their owner. */
  private readonly owned = new Set<string>();

  constructor(private readonly graph: Graph) {
    for (const name of graph.initializers.keys()) this.behind.set(name, []);
  }

  /** Names of the parameters this node is the first to use; undefined if the node itself is constant. */
  visit(node: Node): readonly string[] | undefined {
    const skipped = orDefault(findOp(node)?.constants?.settings, []);
    const used = node.inputs.filter((name, index) => this.behind.has(name) && !skipped.includes(index));
    if (node.inputs.every((name) => name === "" || this.behind.has(name))) {
      for (const output of node.outputs) this.behind.set(output, used);
      return undefined;
    }
    return this.take(used);
  }

  /** Marks values, and all that they are computed from, as owned; the parameters among those that were not yet. */
  private take(names: readonly string[]): readonly string[] {
    const found: string[] = [];
    const open = names.toReversed();
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      if (this.owned.has(name)) continue;
      this.owned.add(name);
      if (this.graph.initializers.get(name)?.type.startsWith("float")) found.push(name);
      for (const source of entryOf(this.behind, name).toReversed()) open.push(source);
    }
    return found;
  }
}

function outputPositions({ types }: Inference, node: Node): number {
  const [batch, , ...spatial] = present(types.get(outputOf(node, 0))?.shape);
  const dims = [batch, ...spatial];
  return dims.every((dim) => typeof dim === "number") ? elementCount(dims) : 0;
}

/** Whether the arithmetic of a node cannot be told, as a shape behind an unknown operator is not known. */
function isObscure(node: Node, { types }: Inference): boolean {
  if (ruleOf(findOp(node)?.cost) === undefined) return false;
  const isOpen = (name: string): boolean =>
    name !== "" && types.get(name)?.shape?.every((dim) => typeof dim === "number") !== true;
  return [...node.inputs, ...node.outputs].some(isOpen);
}

interface SparseLayer {
  readonly initializer: string;
  readonly weightDims: readonly number[];
  /** Basis arithmetic at each output position: R*S for each map, d for every input channel of every group. */
  readonly basisMacs: number;
}

function decomposedAsSparse({ coefs, K, C, R, S, d, groups }: DecomposedLayer): SparseLayer {
  return { initializer: coefs, weightDims: [K, C, R, S], basisMacs: R * S * C * groups * d };
}

/** The convolutions whose zeros the paper counts: decomposed ones, and those whose weights are pruned directly. */
function sparseLayers(graph: Graph): ReadonlyMap<Node, SparseLayer> {
  const layers = new Map<Node, SparseLayer>();
  for (const conv of convolutions(graph)) {
    const dense = prunableWeight(graph, conv);
    if (dense === undefined) continue;
    layers.set(conv, { initializer: dense.weight, weightDims: dense.dims, basisMacs: 0 });
  }
  for (const layer of findDecompositions(graph)) layers.set(layer.conv, decomposedAsSparse(layer));
  return layers;
}

function executedMacs(graph: Graph, node: Node, inference: Inference): number {
  const cost = ruleOf(findOp(node)?.cost);
  if (cost === undefined || isObscure(node, inference)) return 0;
  const context = nodeContext(node, standardOpset(graph), inference.types, inference.values);
  const outputs = node.outputs.map(
    (name): ValueType => inference.types.get(name) ?? { elementType: "other", shape: undefined },
  );
  return cost(context, outputs);
}

/** Dimensions of the largest parameter: what a reader calls "the weight". */
function largest(graph: Graph, names: readonly string[]): readonly number[] | undefined {
  const dims = names.map((name) => entryOf(graph.initializers, name).dims);
  return dims.toSorted((a, b) => elementCount(b) - elementCount(a))[0];
}

function countNode(
  graph: Graph,
  node: Node,
  parameters: readonly string[],
  inference: Inference,
  sparseLayer: SparseLayer | undefined,
): LayerCount {
  const sizeOf = (name: string): number => elementCount(entryOf(graph.initializers, name).dims);
  const elements = parameters.reduce((sum, name) => sum + sizeOf(name), 0);
  const executed = executedMacs(graph, node, inference);
  const shape = inference.types.get(inputOrOmitted(node, 0))?.shape;
  const inputDims = isStatic(shape) ? shape : undefined;
  if (sparseLayer === undefined) {
    const weightDims = largest(graph, parameters);
    const macs = { paperMacs: executed, executedMacs: executed };
    return { node, weightDims, inputDims, parameters: elements, elements, ...macs, sparse: undefined };
  }
  const { initializer, weightDims, basisMacs } = sparseLayer;
  const positions = isObscure(node, inference) ? 0 : outputPositions(inference, node);
  const nonZeros = countNonZeros(float32Data(entryOf(graph.initializers, initializer)));
  const zeros = parameters.includes(initializer) ? sizeOf(initializer) - nonZeros : 0;
  return {
    node,
    weightDims,
    inputDims,
    parameters: elements - zeros,
    elements,
    paperMacs: positions * (basisMacs + nonZeros),
    executedMacs: executed,
    sparse: { initializer, nonZeros, positions },
  };
}

const total = (layers: readonly LayerCount[], pick: (layer: LayerCount) => number): number =>
  layers.reduce((sum, layer) => sum + pick(layer), 0);

/**
 * Counts parameters and multiply-accumulates of a graph as it stands, both ways (design.md, "Counting").
 * *Paper*: for each decomposed layer R*S for each of the basis maps (d for every input channel, whatever its group)
 * plus one per non-zero coefficient, for each other convolution but depthwise ones one per non-zero weight, all
 * times the output positions; parameters are non-zero coefficients and weights of convolutions, bases and the rest
 * (running statistics are no parameters). *Executed*: the dense arithmetic
 * that ONNX Runtime does, which folds the product of coefficients and basis when it loads the model. For a
 * graph that is decomposed but not yet shrunk, the executed count is that of the original network. Only
 * multiplications of weights count (convolution, matrix products); element-wise operators cost nothing.
 * @throws PenniError "shape" if an input has a dimension that is not fixed.
 */
export function countGraph(graph: Graph): GraphCount {
  checkFixedInputs(graph);
  const inference = inferGraph(graph);
  const owners = new ParameterOwners(graph);
  const sparse = sparseLayers(graph);
  const uncounted: Node[] = [];
  const layers: LayerCount[] = [];
  for (const node of graph.nodes) {
    const parameters = owners.visit(node);
    if (parameters === undefined) continue;
    if (findOp(node) === undefined || isObscure(node, inference)) uncounted.push(node);
    const layer = countNode(graph, node, parameters, inference, sparse.get(node));
    if (layer.elements > 0 || layer.executedMacs > 0) layers.push(layer);
  }
  return {
    layers,
    parameters: total(layers, (layer) => layer.parameters),
    elements: total(layers, (layer) => layer.elements),
    paperMacs: total(layers, (layer) => layer.paperMacs),
    executedMacs: total(layers, (layer) => layer.executedMacs),
    uncounted,
  };
}

function checkFixedInputs(graph: Graph): void {
  for (const { name, type } of graph.inputs) {
    if (type?.shape?.every((dim) => typeof dim === "number")) continue;
    throw new PenniError("shape", `the dimensions of input "${name}" must be fixed to count arithmetic`, {
      expected: "numbers only",
      found: `[${type?.shape?.map((dim) => dim ?? "?").join(", ") ?? "unknown rank"}]`,
      advice: `Fix them, for example with --input-shape ${name}:${exampleOf(type?.shape).join("x")}`,
    });
  }
}

/** An image where nothing is known of an input; else one of the batch, and some size for what is open besides. */
function exampleOf(shape: Shape = [1, 3, "height", "width"]): readonly number[] {
  const isImage = shape.length === 4;
  const isFirst = isImage && typeof shape[3] !== "number";
  const size = (axis: number): number => (axis === 0 ? 1 : !isImage ? 32 : axis === 1 && isFirst ? 3 : 224);
  return shape.map((dim, axis) => (typeof dim === "number" ? dim : size(axis)));
}
