import { readFile, writeFile } from "node:fs/promises";
import { withInitializers } from "../src/graph/edit.js";
import { PenniError } from "../src/graph/errors.js";
import { elementCount, float32Data, float32Tensor } from "../src/graph/tensor.js";
import type { Graph, Tensor } from "../src/graph/types.js";
import { findDecompositions } from "../src/layers/weights.js";

/**
 * Weights that travel between a graph and a PyTorch model: raw little-endian float32, one tensor after the
 * other, with the modules in the order in which images pass them. A module's tensors come in PyTorch's order:
 * convolution (weight, or coefs and basis), normalisation (weight, bias, mean, variance), linear (weight, bias).
 */
export async function writeWeights(file: string, graph: Graph): Promise<void> {
  const data = weightNames(graph).map((name) => float32Data(initializer(graph, name)));
  await writeFile(
    file,
    Buffer.concat(
      data.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength)),
    ),
  );
}

/**
 * The graph with the weights of a file that a PyTorch model of the same structure has written.
 * @throws PenniError "bad-file" if the file does not hold just as many numbers
 */
export async function readWeights(file: string, graph: Graph): Promise<Graph> {
  const bytes = Uint8Array.from(await readFile(file));
  const values = new Float32Array(bytes.buffer, 0, Math.floor(bytes.length / 4));
  const replaced = new Map<string, Tensor>();
  let offset = 0;
  for (const name of weightNames(graph)) {
    const { dims } = initializer(graph, name);
    const end = offset + elementCount(dims);
    if (end > values.length) throw wrongSize(file, values.length);
    replaced.set(name, float32Tensor(dims, values.slice(offset, end)));
    offset = end;
  }
  if (offset < values.length) throw wrongSize(file, values.length);
  return withInitializers(graph, replaced);
}

function wrongSize(file: string, found: number): PenniError {
  return new PenniError("bad-file", "the weights are not those of this network", {
    file,
    found: `${found} numbers`,
  });
}

/** Inputs with the weights of a node, by operator. */
const weightInputs: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  BatchNormalization: [1, 2, 3, 4],
  Gemm: [1, 2],
};

function weightNames(graph: Graph): readonly string[] {
  const decomposed = new Map(findDecompositions(graph).map((layer) => [layer.conv, layer]));
  return graph.nodes.flatMap((node) => {
    const layer = decomposed.get(node);
    if (layer !== undefined) return [layer.coefs, layer.basis];
    const names = (weightInputs[node.op] ?? []).map((index) => node.inputs[index] ?? "");
    return names.filter((name) => name !== "");
  });
}

function initializer(graph: Graph, name: string): Tensor {
  const tensor = graph.initializers.get(name);
  if (tensor !== undefined) return tensor;
  throw new PenniError("unsupported", `weight "${name}" is not a constant of the network`);
}
