import { entryOf } from "../../src/graph/at.js";
import { withInitializers } from "../../src/graph/edit.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { convolutions, prunableWeight } from "../../src/layers/weights.js";
import { decompose } from "../../src/method/decompose.js";
import { exportModel } from "../../src/method/export.js";
import { importForCompression } from "../../src/method/import_for_compression.js";
import { pruneToMacs } from "../../src/method/prune.js";
import { shrink } from "../../src/method/shrink.js";

/**
 * At most half of the multiply-accumulates (paper count) left: bases from the kernels, one threshold for all layers, the
 * smallest coefficients gone. With random weights it is the arithmetic that such a network has, not what it can do.
 */
async function halved(graph: Graph): Promise<Graph> {
  const network = fixBatch(decompose(importForCompression(graph), { basis: 5 }), 1);
  const pruned = pruneToMacs(network, { fraction: 0.5 }).graph;
  return (await exportModel(shrink(pruned))).graph;
}

/** Of the weights of each 1x1 convolution so many are zero: the smallest. */
const ZEROS = 0.85;

function sparsePointwise(graph: Graph): Graph {
  const imported = importForCompression(graph);
  const changed = convolutions(imported).flatMap((conv): [string, Tensor][] => {
    const { weight = "", dims = [] } = prunableWeight(imported, conv) ?? {};
    const isPointwise = dims.length === 4 && dims.slice(2).every((side) => side === 1);
    return isPointwise ? [[weight, withoutSmallest(entryOf(imported.initializers, weight))]] : [];
  });
  return withInitializers(fixBatch(imported, 1), changed);
}

function withoutSmallest(tensor: Tensor): Tensor {
  const values = float32Data(tensor);
  const sizes = Float32Array.from(values, Math.abs).sort();
  const least = sizes[Math.floor(ZEROS * sizes.length)] ?? 0;
  return float32Tensor(
    tensor.dims,
    values.map((value) => (Math.abs(value) < least ? 0 : value)),
  );
}

/** Ways to make a shipped network sparser without pictures, for what it gains in time. */
export const sparserForms = {
  half: halved,
  pointwise: sparsePointwise,
} as const satisfies Readonly<Record<string, (graph: Graph) => Graph | Promise<Graph>>>;

export type SparserForm = keyof typeof sparserForms;
