/**
 * `penni/graph`: what the method does to a network, as functions from graph to graph that run anywhere JavaScript
 * does, a browser or a worker included: nothing here reads a file, starts a process or needs ONNX Runtime.
 *
 * @module penni/graph
 *
 * @example
 * const original = importModel(decodeModel(new Uint8Array(await (await fetch("net.onnx")).arrayBuffer())));
 * const pruned = pruneCoefficients(decompose(simplify(original), { basis: 5 }), { factor: 1 }).graph;
 * const bytes = encodeModel(shrink(pruned));
 */

export { type ErrorCode, type ErrorDetails, PenniError } from "./graph/errors.js";
export { fixBatch, fixInputShape, specializeInputs } from "./graph/passes/fix_input_shape.js";
export { float32Data, float32Tensor, int64Data, int64Tensor } from "./graph/tensor.js";
export type * from "./graph/types.js";
export { verifyGraph } from "./graph/verify.js";
export { countGraph, type GraphCount, type LayerCount } from "./measure/count.js";
export { type DecompositionDecision, decompose, decompositionCandidates } from "./method/decompose.js";
export { type ExportOptions, type ExportResult, exportModel } from "./method/export.js";
export { importForCompression } from "./method/import_for_compression.js";
export { inspectGraph } from "./method/inspect.js";
export { type MacsTarget, type Pruning, pruneCoefficients, pruneToMacs } from "./method/prune.js";
export { planShrink, type ShrinkPlan, shrink } from "./method/shrink.js";
export { type DecodeOptions, decodeModel } from "./onnx/read.js";
export { type EncodeOptions, encodeModel } from "./onnx/write.js";
export { inferGraph } from "./ops/inference/infer.js";
export { verifyTypes } from "./ops/inference/verify.js";
export { foldBatchNormalization } from "./ops/passes/fold_batch_normalization.js";
export { importModel } from "./ops/passes/import_model.js";
export { type SimplifyOptions, simplify } from "./ops/passes/simplify.js";
export { upgradeOpset } from "./ops/passes/upgrade_opset.js";
