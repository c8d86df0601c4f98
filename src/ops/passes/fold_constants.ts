import { at, present } from "../../graph/at.js";
import { capturedNames } from "../../graph/links.js";
import { ofInput } from "../../graph/operands.js";
import { elementBytes, elementCount, numericTensor } from "../../graph/tensor.js";
import type { Graph, Node, Tensor } from "../../graph/types.js";
import { isStatic, stridesOf } from "../core/dims.js";
import { forEachPosition, knownNumbers } from "../core/rearrange.js";
import { type Inference, inferGraph } from "../inference/infer.js";
import { findOp } from "../inference/registry.js";
import { constantTensor } from "../operators/constant.js";

/**
 * Turns nodes whose outputs are known before the model runs into initializers: Constant nodes, arithmetic on
 * small constants and on fixed dimensions, and rearranged weights of any size. A node that computes a graph
 * output stays.
 */
export function foldConstants(graph: Graph): Graph {
  const inference = inferGraph(graph);
  const initializers = new Map(graph.initializers);
  const outputs = new Set(graph.outputs.map((output) => output.name));
  const read = new Set(graph.nodes.flatMap((node) => [...node.inputs, ...capturedNames(node)]));

  const nodes = graph.nodes.filter((node) => {
    if (node.outputs.some((name) => outputs.has(name))) return true;
    const wanted = node.outputs.filter((name) => name !== "" && read.has(name));
    const tensors = wanted.map(
      (name) => [name, constantOutput(node, name, inference, initializers)] as const,
    );
    if (wanted.length === 0 || tensors.some(([, tensor]) => tensor === undefined)) return true;
    for (const [name, tensor] of tensors) if (tensor !== undefined) initializers.set(name, tensor);
    return false;
  });
  return nodes.length === graph.nodes.length ? graph : { ...graph, nodes, initializers };
}

function constantOutput(
  node: Node,
  output: string,
  inference: Inference,
  initializers: ReadonlyMap<string, Tensor>,
): Tensor | undefined {
  const isStandard = node.domain === "" || node.domain === "ai.onnx";
  if (isStandard && node.op === "Constant") return constantTensor(node);
  const value = inference.values.get(output);
  const numbers = knownNumbers(value);
  if (value !== undefined && numbers !== undefined) return numericTensor(value.type, value.dims, numbers);
  const source = ofInput(initializers, node, 0);
  if (!isStandard || source === undefined || output !== node.outputs[0]) return undefined;
  const shape = inference.types.get(output)?.shape;
  return isStatic(shape) ? rearranged(node, source, shape) : undefined;
}

/** Weights of any size that an exporter left behind a node that only moves them. */
function rearranged(node: Node, source: Tensor, dims: readonly number[]): Tensor | undefined {
  const definition = findOp(node);
  if (definition?.permutation !== undefined)
    return transposed(source, definition.permutation(node, source.dims.length));
  // A second input may ask of Dropout to be random.
  const isKept = definition?.elements === "kept" && node.inputs.length === 1;
  if (!isKept && definition?.elements !== "reshaped") return undefined;
  return elementCount(dims) === elementCount(source.dims) ? { ...source, dims } : undefined;
}

function transposed(source: Tensor, perm: readonly number[]): Tensor | undefined {
  const size = elementBytes[source.type];
  if (size === 0) return undefined;
  const dims = perm.map((axis) => at(source.dims, axis));
  const sourceStrides = stridesOf(source.dims);
  const strides = perm.map((axis) => at(sourceStrides, axis) * size);
  const bytes = new Uint8Array(source.bytes.byteLength);
  forEachPosition(dims, strides, 0, (order, position) => {
    for (let byte = 0; byte < size; byte++)
      bytes[order * size + byte] = present(source.bytes[position + byte]);
  });
  return { type: source.type, dims, bytes };
}
