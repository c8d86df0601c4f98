import { evaluateArithmetic } from "../compile/compile.js";
import type { ConstantLimits } from "../compile/evaluate_constants.js";
import { elementCount } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";
import { isQuantizedOp } from "../ops/families/quantization.js";
import { importModel } from "../ops/passes/import_model.js";
import { recogniseFactored } from "../ops/passes/recognise_factored.js";
import type { SimplifyOptions } from "../ops/passes/simplify.js";

/** Elements that a model may have more in all than its file, besides as many as the file has: 1 MiB. */
const FREE_GROWTH = 2 ** 18;
/** No single value may have more elements than that which are made of less: 4 MiB. */
const LARGEST_GROWTH = 2 ** 20;

/**
 * `importModel` for a model that is to be compressed: weights that are computed from constants (weight normalisation and
 * standardisation, casts, transpositions) become constants, so that they are layers like all others. Values that
 * would make the file much larger stay behind their nodes, and so do quantized weights. Layers that were factored are
 * decomposed ones again.
 * @throws PenniError as `importModel` does
 */
export function importForCompression(graph: Graph, options: SimplifyOptions = {}): Graph {
  // First, because a factored layer of our own holds its basis once and repeats it by arithmetic on constants.
  return withKnownConstants(recogniseFactored(importModel(graph, options)), options);
}

/** An imported model without arithmetic on constants, and without the branches that hang on it. */
export function withKnownConstants(imported: Graph, options: SimplifyOptions = {}): Graph {
  const evaluated = evaluateArithmetic(imported, limitsOf(imported), imported.nodes.filter(isQuantizedOp));
  return evaluated === imported ? imported : importModel(evaluated, options);
}

function limitsOf(graph: Graph): ConstantLimits {
  const elements = [...graph.initializers.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0);
  return { growth: LARGEST_GROWTH, totalGrowth: FREE_GROWTH + elements };
}
