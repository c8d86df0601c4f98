import { runGraph } from "../../src/execute/node.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { node, randomTensor, smallGraph } from "../../support/small_models.js";

/** What ONNX Runtime computes of a graph's single input: float32 [images, ...dims] in, one output out. */
export async function referenceOutput(
  graph: Graph,
  dims: readonly number[],
  data: Float32Array,
): Promise<Float32Array> {
  const images = dims[0] ?? 1;
  const outputs = await runGraph(
    fixBatch(graph, images),
    new Map([[graph.inputs[0]?.name ?? "", float32Tensor(dims, data)]]),
  );
  const [output] = outputs.values();
  if (output === undefined) throw new Error("the graph has no output");
  return float32Data(output);
}

/** Random numbers in [-1, 1). */
export function randomData(count: number, seed: number): Float32Array {
  return float32Data(randomTensor([count], seed));
}

/** Inputs "a" and "b", float32 [1, 4]; outputs "sum" and "product" of the two. */
export function twoInputsAndOutputs(): Graph {
  const graph = smallGraph([1, 4], [node("Add", ["a", "b"], "sum"), node("Mul", ["a", "b"], "product")], {});
  const [input] = graph.inputs;
  return {
    ...graph,
    inputs: ["a", "b"].map((name) => ({ ...input, name, type: input?.type })),
    outputs: ["sum", "product"].map((name) => ({ name, type: undefined })),
  };
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return Array.from(a).reduce((largest, value, index) => {
    const difference = Math.abs(value - (b[index] ?? Number.NaN));
    return difference <= largest ? largest : difference;
  }, 0);
}
