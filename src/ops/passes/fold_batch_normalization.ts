import { hasInput, hasOutput, inputOf, orDefault, outputOf, present } from "../../graph/at.js";
import { floatAttributeOr, intAttribute } from "../../graph/attributes.js";
import { freshNames, usedNames } from "../../graph/edit.js";
import { type GraphLinks, linkGraph } from "../../graph/links.js";
import { inputOrOmitted, inputsOf, ofInput } from "../../graph/operands.js";
import { removeDeadNodes } from "../../graph/passes/remove_dead_nodes.js";
import { elementCount, float32Data, float32Tensor } from "../../graph/tensor.js";
import type { Graph, Node, Tensor } from "../../graph/types.js";
import { findOp } from "../inference/registry.js";

/** y[k] = scale[k] * x[k] + shift[k], in float64. */
interface Affine {
  readonly scale: Float64Array;
  readonly shift: Float64Array;
}

/** The linear operator before a BatchNormalization, with the affine map folded into its constants. */
interface Folded {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

/**
 * Folds each BatchNormalization in inference form into the Conv, ConvTranspose or Gemm before it:
 * W'[k] = W[k] * s[k], b'[k] = (b[k] - mean[k]) * s[k] + beta[k], s = gamma / sqrt(variance + epsilon),
 * computed in float64. It stays where the operator's output has another reader, where anything is not a
 * float32 initializer, and in training form. A weight that other nodes read too is copied.
 */
export function foldBatchNormalization(graph: Graph): Graph {
  const links = linkGraph(graph);
  const fresh = freshNames(usedNames(graph));
  const initializers = new Map(graph.initializers);
  const replaced = new Map<Node, Node>();
  const removed = new Set<Node>();

  for (const normalization of graph.nodes) {
    const producer = foldableProducer(links, normalization);
    const affine = producer === undefined ? undefined : affineOf(graph, normalization);
    if (producer === undefined || affine === undefined) continue;
    const folded = foldInto(graph, producer, affine);
    if (folded === undefined) continue;
    const [x, weight] = inputsOf(producer, 2);
    const bias = inputOrOmitted(producer, 2);
    const newWeight = isShared(links, weight) ? fresh(weight) : weight;
    const newBias = bias === "" || isShared(links, bias) ? fresh(`${weight}_bias`) : bias;
    initializers.set(newWeight, folded.weight).set(newBias, folded.bias);
    replaced.set(producer, {
      ...producer,
      inputs: [x, newWeight, newBias],
      outputs: [outputOf(normalization, 0)],
    });
    removed.add(normalization);
  }
  if (removed.size === 0) return graph;
  const nodes = graph.nodes.filter((node) => !removed.has(node)).map((node) => replaced.get(node) ?? node);
  return removeDeadNodes({ ...graph, nodes, initializers });
}

function isShared(links: GraphLinks, name: string): boolean {
  return orDefault(links.readers.get(name)?.length, 0) > 1 || links.outputNames.has(name);
}

/**
 * The node whose output only this BatchNormalization reads, and which has nothing that would be lost: a broken file may
 * give it more inputs and outputs than its operator has.
 */
function foldableProducer(links: GraphLinks, node: Node): Node | undefined {
  if (node.op !== "BatchNormalization" || node.domain !== "") return undefined;
  if (intAttribute(node, "training_mode") === 1 || node.outputs.slice(1).some((name) => name !== "")) {
    return undefined;
  }
  if (!hasInput(node, 0) || !hasOutput(node, 0)) return undefined;
  const producer = isShared(links, inputOf(node, 0)) ? undefined : ofInput(links.producers, node, 0);
  const isWhole = producer !== undefined && producer.outputs.length === 1 && producer.inputs.length <= 3;
  return isWhole ? producer : undefined;
}

function floats(graph: Graph, name: string | undefined): Float32Array | undefined {
  const tensor = name === undefined ? undefined : graph.initializers.get(name);
  return tensor?.type === "float32" ? float32Data(tensor) : undefined;
}

/** The default of ONNX BatchNormalization. */
const DEFAULT_EPSILON = 1e-5;

function affineOf(graph: Graph, node: Node): Affine | undefined {
  const [gamma, beta, mean, variance] = node.inputs.slice(1).map((name) => floats(graph, name));
  if (gamma === undefined || beta === undefined || mean === undefined || variance === undefined) {
    return undefined;
  }
  if ([beta, mean, variance].some(({ length }) => length !== gamma.length)) return undefined;
  const epsilon = floatAttributeOr(node, "epsilon", DEFAULT_EPSILON);
  const scale = Float64Array.from(gamma, (value, k) => value / Math.sqrt(present(variance[k]) + epsilon));
  const shift = Float64Array.from(beta, (value, k) => value - present(mean[k]) * present(scale[k]));
  return { scale, shift };
}

function foldInto(graph: Graph, node: Node, affine: Affine): Folded | undefined {
  if (node.domain !== "") return undefined;
  const weight = ofInput(graph.initializers, node, 1);
  const channelOf =
    weight === undefined ? undefined : outputChannelOf(node, weight.dims, affine.scale.length);
  const bias = biasOf(graph, node, affine.scale.length);
  if (weight?.type !== "float32" || channelOf === undefined || bias === undefined) return undefined;
  const { scale, shift } = affine;
  const scaled = float32Data(weight).map((value, index) => value * present(scale[channelOf(index)]));
  const moved = Float32Array.from(shift, (value, k) => value + present(bias[k]) * present(scale[k]));
  return { weight: float32Tensor(weight.dims, scaled), bias: float32Tensor([moved.length], moved) };
}

/** The operator's bias as float64; zeros where it has none; undefined where it is scaled or not constant. */
function biasOf(graph: Graph, node: Node, channels: number): Float64Array | undefined {
  const beta = node.op === "Gemm" ? floatAttributeOr(node, "beta", 1) : 1;
  if (beta !== 1) return undefined;
  if (!hasInput(node, 2)) return new Float64Array(channels);
  const values = floats(graph, inputOf(node, 2));
  if (values === undefined || (values.length !== channels && values.length !== 1)) return undefined;
  return Float64Array.from({ length: channels }, (_, k) => present(values[values.length === 1 ? 0 : k]));
}

/** Flat weight index -> output channel; undefined for operators that BatchNormalization cannot fold into, or with others than `channels`. */
function outputChannelOf(
  node: Node,
  dims: readonly number[],
  channels: number,
): ((index: number) => number) | undefined {
  const weight = findOp(node)?.weight;
  if (weight?.takesBias !== true) return undefined;
  const [first, second] = dims;
  if (first === undefined || second === undefined) return undefined;
  const perRow = elementCount(dims.slice(1));
  const isByRow = weight.outputAxis(node) === 0;
  if ((isByRow ? first : second * weight.groups(node)) !== channels) return undefined;
  if (isByRow) return (index) => Math.floor(index / perRow);
  // [C, K / groups, ...]: rows of one group share their output channels.
  const rowsPerGroup = first / weight.groups(node);
  const perChannel = elementCount(dims.slice(2));
  return (index) => {
    const group = Math.floor(index / perRow / rowsPerGroup);
    return group * second + (Math.floor(index / perChannel) % second);
  };
}
