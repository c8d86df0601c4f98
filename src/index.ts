/**
 * Penni as a library: every step of the command line as a function. Graphs are plain readonly data; each step
 * takes one and gives a new one.
 *
 * @module penni
 *
 * @example
 * const original = simplify(await readModel("resnet20.onnx"));
 * const data = "cifar10:cifar-10-batches-bin";
 * const schedule = { kind: "cosine", initial: 0.01 } as const;
 * const decomposed = decompose(original, { basis: 5 });
 * const retrained = await train(decomposed, { data, teacher: original, epochs: 2, schedule, l1: 3e-4 });
 * const pruned = pruneCoefficients(retrained, { factor: 1 }).graph;
 * const tuned = await train(pruned, { data, teacher: original, epochs: 4, schedule, holdZeros: true });
 * const { graph } = await exportModel(shrink(tuned));
 * await writeModel("small.onnx", graph, { sparse: true });
 * // Or all of it at once: await compress({ model: "net.onnx", data: "images:photos", out: "run" })
 * // Without training, step by step: await calibrateOnImages(original, { data: "images:photos", fraction: 0.58 })
 * const wasm = compileToWasm(graph); // for `load` of penni/runtime
 */

export { type AddonOptions, compileToAddon } from "./build/compile_to_addon.js";
export type { Backend, EmitOptions, EmittedFile as CFile, Execution } from "./compile/backend.js";
export { loadBackend, type TargetName, targetNames } from "./compile/backends.js";
export { type COptions, compileToC } from "./compile/c/compile_to_c.js";
export { type CFileOptions, cFiles } from "./compile/c/files.js";
export { compileProgram } from "./compile/compile.js";
export { compileToWasm, type WasmOptions } from "./compile/index.js";
export type { Program } from "./compile/program.js";
export { type ProgramSummary, summarizeProgram } from "./compile/summary.js";
export type { Target } from "./compile/target.js";
export { verifyProgram } from "./compile/verify/program.js";
export { type GivenImage, type GivenImages, writeArrays } from "./data/arrays.js";
export type { Augmentation, Dataset, OpenOptions, Preprocessing, Split } from "./data/index.js";
export {
  cifarAugmentation,
  holdOut,
  imagenetPreprocessing,
  openDataset,
  readPreprocessing,
} from "./data/index.js";
export type { Engine, Session, SessionOptions } from "./execute/engine.js";
export { openSession, runGraph } from "./execute/node.js";
export { readModel, type WriteOptions, writeModel } from "./files/model_files.js";
export { type ErrorCode, type ErrorDetails, PenniError } from "./graph/errors.js";
export { fixBatch, fixInputShape, specializeInputs } from "./graph/passes/fix_input_shape.js";
export { float32Data, float32Tensor, int64Data, int64Tensor } from "./graph/tensor.js";
export type * from "./graph/types.js";
export { verifyGraph } from "./graph/verify.js";
export { type Accuracy, type EvaluationSettings, evaluate } from "./measure/accuracy.js";
export { countGraph, type GraphCount, type LayerCount } from "./measure/count.js";
export { type ClassifierDifference, largestDifference } from "./measure/difference.js";
export { type Latency, type LatencySettings, measureLatency } from "./measure/latency.js";
export type { OutputAgreement } from "./measure/output_comparison.js";
export { type ShapedGraph, withRuntimeShapes } from "./measure/runtime_shapes.js";
export type {
  CalibratedLayer,
  Calibration,
  CalibrationOptions,
  CalibrationProgress,
} from "./method/calibrate.js";
export { type CalibrateOnImagesOptions, calibrateOnImages } from "./method/calibrate_on_images.js";
export type { AppliedCriterion } from "./method/criteria/criterion.js";
export type { PrunableNetwork } from "./method/criteria/network.js";
export { type CriterionRule, criterionOf } from "./method/criteria/table.js";
export { type DecompositionDecision, decompose, decompositionCandidates } from "./method/decompose.js";
export { type ExportOptions, type ExportResult, exportModel } from "./method/export.js";
export { floatOutputs, type Trainability, trainability } from "./method/frozen.js";
export { type Goal, goalOf } from "./method/goal/rules.js";
export type { PruneRule, Try } from "./method/goal/schema.js";
export { importForCompression } from "./method/import_for_compression.js";
export { inspectGraph } from "./method/inspect.js";
export type { PhaseMode } from "./method/phases.js";
export { type MacsTarget, type Pruning, pruneCoefficients, pruneToMacs } from "./method/prune.js";
export { modelRemarks, type Remark, type RemarkKind } from "./method/remarks.js";
export {
  type Effect,
  type LayerSensitivity,
  measureSensitivity,
  type Sensitivity,
  type SensitivitySettings,
} from "./method/sensitivity.js";
export { planShrink, type ShrinkPlan, shrink } from "./method/shrink.js";
export { type DecodeOptions, decodeModel } from "./onnx/read.js";
export { type EncodeOptions, encodeModel } from "./onnx/write.js";
export { inferGraph } from "./ops/inference/infer.js";
export { verifyTypes } from "./ops/inference/verify.js";
export { type Dequantization, dequantize } from "./ops/passes/dequantize.js";
export { foldBatchNormalization } from "./ops/passes/fold_batch_normalization.js";
export { importModel } from "./ops/passes/import_model.js";
export { type SimplifyOptions, simplify } from "./ops/passes/simplify.js";
export { upgradeOpset } from "./ops/passes/upgrade_opset.js";
export { writeReport } from "./report/write_report.js";
export { type CompressOptions, compress } from "./run/compress_model.js";
export { presets, type RunConfig, type Settings } from "./run/config.js";
export { RunDirectory } from "./run/directory.js";
export type { PresetName } from "./run/names.js";
export type { OutputChoice } from "./run/outputs.js";
export type { RunListener, StageName } from "./run/pipeline.js";
export { type CompressRequest, prepareRun } from "./run/prepare.js";
export type { Figures, GoalOutcome, Summary } from "./run/summary.js";
export { type TrainOptions, train } from "./run/train.js";
export type { LossOptions } from "./train/losses.js";
export type { OutputLoss } from "./train/outputs.js";
export type {
  EpochMetrics,
  EpochTiming,
  ShrinkingRule,
  TrainingPlan,
  TrainingProgress,
} from "./train/plan.js";
export { learningRate, type Schedule } from "./train/schedule.js";
