import { readFileSync } from "node:fs";
import path from "node:path";
import { allIndices } from "../data/batches.js";
import { type Dataset, labelsOf, type Split } from "../data/dataset.js";
import { holdOut, sampleIndices } from "../data/hold_out.js";
import { isSynthetic } from "../data/open.js";
import { type PictureFormat, type PictureOptions, pictureFormat } from "../data/picture_format.js";
import { type Preprocessing, pixelWriting } from "../data/preprocessing.js";
import { readModel, readModelAndSize, type SizedModel } from "../files/model_files.js";
import { PenniError } from "../graph/errors.js";
import { fixBatch, specializeInputs } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { expectImages } from "../measure/accuracy.js";
import { batchObstacle, batchProblem } from "../measure/batch_independence.js";
import { fitClasses, matchedNames, scoredClasses } from "../measure/classes.js";
import { refuseEndlessLoops } from "../measure/endless_loops.js";
import { PLAUSIBILITY_IMAGES, pictureWarning } from "../measure/plausibility.js";
import { withRuntimeShapes } from "../measure/runtime_shapes.js";
import { withTrueBatch } from "../measure/working_batch.js";
import { decompose, decompositionCandidates } from "../method/decompose.js";
import { plainRule } from "../method/defaults.js";
import { dequantizedNetwork } from "../method/dequantized.js";
import { askedCriterion } from "../method/goal/criterion.js";
import { importForCompression } from "../method/import_for_compression.js";
import { layerName } from "../method/inspect.js";
import { trainableParameters } from "../method/parameters.js";
import { prunableInitializers } from "../method/prune.js";
import { FROM_FLOAT, quantizedNode } from "../method/remarks.js";
import { encodeModel } from "../onnx/write.js";
import { inferGraph } from "../ops/inference/infer.js";
import type { OutputLoss } from "../train/outputs.js";
import { buildTrainingStep, type Reference } from "../train/step.js";
import { fixedBasis, hasTraining, type RunConfig, type Settings, settingsSchema } from "./config.js";
import { RunDirectory } from "./directory.js";
import { frozenIn } from "./frozen.js";
import { checkGoal, type GivenModel } from "./goal_check.js";
import { naming } from "./naming.js";
import { type MatchedOutputs, matchOutputs, type OutputChoice } from "./outputs.js";
import { openFittingDataset } from "./pipeline.js";
import { type CutNetwork, cutBefore } from "./rest.js";
import { checkTarget } from "./target.js";
import { teacherFor } from "./teacher.js";

/** What the user asks for. */
export interface CompressRequest {
  /** An .onnx file. */
  readonly model: string;
  /** As for `openDataset`. */
  readonly data: string;
  /** Names of all classes in the order of the model's outputs: labels are matched to them by name. */
  readonly classes?: readonly string[];
  /** The run's directory: new or empty. */
  readonly out: string;
  readonly preset: string;
  readonly settings: Settings;
  /**
   * How outputs are matched where the loss has no part for the labels (`crossEntropy` is 0), by name; the others by
   * what they are.
   */
  readonly outputs?: ReadonlyMap<string, OutputChoice>;
  readonly seed: number;
  /** Dimensions of inputs that the model leaves open; its batch stays as it is. */
  readonly inputShapes?: ReadonlyMap<string, readonly number[]>;
  /** Compress the float32 network behind a quantized one. */
  readonly dequantize?: boolean;
  /** Told what was done to the model before the run, in a sentence. */
  readonly notice?: (text: string) => void;
  /** An .onnx file of a classifier of the same pictures, whose scores are learned from in place of the original's. */
  readonly teacher?: string;
  /** Put the result's weights into a file of their own, `model.onnx.data`; by default only where they must. */
  readonly externalData?: boolean;
  /** How the model takes pictures, in place of what it says itself. */
  readonly pictures?: PictureOptions;
  /**
   * Called, before anything runs, with how the model takes pictures, and what speaks against that (`pictureWarning`).
   */
  readonly onPictures?: (format: PictureFormat, warning: string | undefined) => Promise<void>;
}

/**
 * Checks everything that can be checked before hours are spent (model, data, their fit, a gradient for
 * every operator on the way), then creates the run's directory. Nothing is written if a check fails.
 * @throws PenniError what is wrong, naming file, node, operator or path
 */
export async function prepareRun(request: CompressRequest): Promise<RunDirectory> {
  await RunDirectory.checkFree(request.out);
  checkSettings(request.settings);
  return naming(request, () => prepare(request));
}

async function prepare(request: CompressRequest): Promise<RunDirectory> {
  const given = await readModelAndSize(request.model);
  const { graph: model, bytes: modelBytes } = computable(given, request);
  const { runnable: original, rest } = await runnablePart(
    specializeInputs(model, request.inputShapes ?? new Map()),
    request,
  );
  const format = pictureFormat(original, request.pictures);
  const { preprocessing } = format;
  const file = { graph: original, bytes: modelBytes };
  const { judgement, pictureProblem } = await judgeModel({ file, rest }, preprocessing, request);
  const { outputs, ...judged } = judgement;
  const { settings } = request;
  const teacher = await readTeacher(original, preprocessing, request);
  const config: RunConfig = {
    format: 1,
    model: path.resolve(request.model),
    modelBytes,
    data: absoluteSpec(request.data),
    seed: request.seed,
    preset: request.preset,
    settings: outputs === undefined ? settings : { ...settings, loss: { ...settings.loss, outputs } },
    ...judged,
    ...(request.inputShapes === undefined ? {} : { inputShapes: shapesOf(request.inputShapes) }),
    ...(request.externalData === undefined ? {} : { externalData: request.externalData }),
    ...(request.teacher === undefined ? {} : { teacher: path.resolve(request.teacher) }),
    preprocessing,
    versions: versions(),
  };
  const run = await RunDirectory.create(request.out, config, original, { rest, teacher });
  await request.onPictures?.(format, pictureProblem);
  return run;
}

/** The network that is learned from in place of the original, where one is given. */
async function readTeacher(
  model: Graph,
  preprocessing: Preprocessing,
  { teacher, settings }: CompressRequest,
): Promise<Graph | undefined> {
  if (teacher === undefined) return undefined;
  const { crossEntropy, distillation } = settings.loss;
  if (crossEntropy === 0 || distillation === 0 || !hasTraining(settings)) {
    throw new PenniError("bad-option", "there is no use for another network to learn from", {
      expected: "a training on labels and scores (--loss mixed)",
      found: hasTraining(settings) ? "a loss without one of them" : "no training",
    });
  }
  try {
    return teacherFor(model, await readModel(teacher), preprocessing);
  } catch (error) {
    throw error instanceof PenniError ? error.within({ file: teacher }) : error;
  }
}

/** What checking a model together with its images finds out. */
interface JudgedModel {
  readonly judgement: Judgement;
  readonly pictureProblem: string | undefined;
}

async function judgeModel(
  { file, rest }: Pick<GivenModel, "file" | "rest">,
  preprocessing: Preprocessing,
  request: CompressRequest,
): Promise<JudgedModel> {
  const { graph: original } = file;
  const graph = importForCompression(original);
  checkBatch(batchObstacle(graph), request.settings);
  const labelled = usesLabels(request.settings);
  const decomposed = checkCompressible(graph, request.settings, labelled);
  if (labelled) checkTrainable(decomposed, request.settings, "labels", true);
  const { dataset, classes, isFitting } = await labelledDataset(original, request, preprocessing);
  const train = await dataset.train();
  expectImages((await dataset.test()).count, "test images");
  pixelWriting(preprocessing, dataset.channels);
  const indices = sampleIndices(allIndices(train), PLAUSIBILITY_IMAGES, request.seed);
  const pictureProblem = await pictureWarning(graph, { split: train, indices, preprocessing });
  if (hasTraining(request.settings)) checkEnoughImages(train, request.settings, request.seed);
  if (needsBatches(request.settings)) {
    const { threads } = request.settings;
    checkBatch(
      await batchProblem(graph, { split: train, indices: allIndices(train), preprocessing, threads }),
      request.settings,
    );
  }
  const judged = isFitting ? train : { ...train, labels: undefined };
  if (labelled) labelsOf(train);
  const found: Judgement = labelled ? {} : await judge(graph, decomposed, judged, preprocessing, request);
  const frozen = labelled ? untrainedPart(graph, request.settings) : new Set<string>();
  const given = { file, network: graph, rest, frozen };
  await checkGoal(given, train, { settings: request.settings, seed: request.seed, ...found });
  return { judgement: { ...found, ...classes }, pictureProblem };
}

/** The network with its shapes, cut before operators that ONNX Runtime does not have. */
async function runnablePart(
  model: Graph,
  { settings, notice }: CompressRequest,
): Promise<Pick<CutNetwork, "runnable"> & Partial<CutNetwork>> {
  refuseEndlessLoops(model);
  const { graph, missing } = await withRuntimeShapes(model);
  const [first] = missing;
  if (first === undefined) return { runnable: await withTrueBatch(graph) };
  const cut = cutBefore(graph, missing);
  const name = layerName(first);
  if (usesLabels(settings)) {
    throw new PenniError(
      "unsupported",
      "ONNX Runtime does not have this operator, so labels cannot be compared",
      {
        node: name,
        op: first.op,
        expected: "a loss on what is before it",
        found: "a loss with a part for the labels",
        advice: "Learn from the original's values before it: --loss distill, or --preset calibrate",
      },
    );
  }
  notice?.(
    `${name} (${first.op}): ONNX Runtime does not have this operator: what is before it is compressed and measured, the rest (${cut.rest.nodes.length} nodes) is put behind it again as it is`,
  );
  return cut;
}

/** The model in float32 arithmetic, where that was asked for, and the bytes that its result is compared with. */
function computable(given: SizedModel, { dequantize = false, notice }: CompressRequest): SizedModel {
  if (!dequantize) return given;
  const { graph, description } = dequantizedNetwork(given.graph);
  const bytes = encodeModel(graph).byteLength;
  notice?.(description);
  notice?.(
    `file sizes are compared with the float32 network's, ${bytes.toLocaleString("en-US")} bytes, not with the quantized file's, ${given.bytes.toLocaleString("en-US")}`,
  );
  return { graph, bytes };
}

function shapesOf(shapes: ReadonlyMap<string, readonly number[]>): RunConfig["inputShapes"] {
  return Object.fromEntries([...shapes].map(([name, dims]) => [name, [...dims]]));
}

function checkSettings(settings: Settings): void {
  const { error } = settingsSchema.safeParse(settings);
  if (error === undefined) {
    checkAutomaticBasis(settings);
    return;
  }
  throw new PenniError("bad-option", "a setting is impossible", {
    found: error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; "),
    advice: "See penni compress --help",
  });
}

/** Bases are chosen for each layer by what they save and lose: for a calibrated start with a target. */
function checkAutomaticBasis({ basis, start, prune }: Settings): void {
  const criterion = askedCriterion(prune);
  const isTarget = criterion === undefined || criterion.fraction !== undefined;
  if (basis !== "auto" || (start === "calibrate" && isTarget)) return;
  throw new PenniError(
    "bad-option",
    "--basis auto chooses a basis for each layer by what it saves and loses",
    {
      expected: "--start calibrate and a target, such as --target-macs",
      found: start === "calibrate" && criterion !== undefined ? criterion.option : `--start ${start}`,
      advice: "Give a number of basis kernels, such as --basis 5",
    },
  );
}

/** The images of a run, and how their labels meet the model's outputs. */
interface LabelledDataset {
  readonly dataset: Dataset;
  readonly classes: Pick<RunConfig, "classes">;
  /** Whether the labels are of the classes that the model scores. */
  readonly isFitting: boolean;
}

/**
 * Labels that are learned from, or that a possible classifier is judged by, must be of the classes it scores. Those of
 * made-up images are not needed where outputs are matched to the original's.
 * @throws PenniError as `fitClasses`
 */
async function labelledDataset(
  model: Graph,
  request: CompressRequest,
  preprocessing: Preprocessing,
): Promise<LabelledDataset> {
  const given = request.classes;
  const opened = await openFittingDataset(model, request.data, preprocessing);
  const isFitting =
    given !== undefined || usesLabels(request.settings) || isJudgedByLabels(model, opened, request);
  if (!isFitting) return { dataset: opened, classes: {}, isFitting };
  const dataset = fitClasses(model, opened, given);
  const names = matchedNames(opened, dataset);
  return { dataset, classes: names === undefined ? {} : { classes: [...names] }, isFitting };
}

/** Whether labels judge a result that was not trained on them: that of what may be a classifier. */
function isJudgedByLabels(
  model: Graph,
  { classNames }: Dataset,
  { data, outputs }: CompressRequest,
): boolean {
  if (classNames === undefined) return false;
  const scored = scoredClasses(model);
  if (scored === undefined) return true;
  const measure = outputs?.get(scored.output)?.measure ?? "kl";
  if (scored.shape.length !== 2 || measure !== "kl") return false;
  return !isSynthetic(data) || scored.classes === classNames.length;
}

function classCount(labels: Uint16Array): number {
  return labels.reduce((most, label) => Math.max(most, label), 0) + 1;
}

/** @throws PenniError "bad-data" if what is left of the images for training is less than one batch */
export function checkEnoughImages(
  split: Split,
  { validation, trainLimit, batch }: Pick<Settings, "validation" | "trainLimit" | "batch">,
  seed: number,
): void {
  const { train } = holdOut(split, validation, seed);
  const count = Math.min(train.length, trainLimit ?? train.length);
  if (count >= batch) return;
  throw new PenniError("bad-data", "there are fewer training images than one batch", {
    expected: `at least ${batch}`,
    found: `${count}`,
    advice: "Give more images or a smaller --batch",
  });
}

/** Whether training takes several images at once; calibration takes as many as the network can. */
function needsBatches(settings: Settings): boolean {
  return hasTraining(settings) && settings.batch > 1;
}

/**
 * Refuses to train a network on batches that it cannot take.
 * @throws PenniError "bad-option" naming the node that stands against it, if one is known
 */
function checkBatch(problem: PenniError | undefined, settings: Settings): void {
  if (problem === undefined || !needsBatches(settings)) return;
  const { node, op } = problem.details;
  throw new PenniError("bad-option", "the network can take one image at a time only", {
    ...(node === undefined ? {} : { node }),
    ...(op === undefined ? {} : { op }),
    expected: `--batch 1, not ${settings.batch}`,
    found: problem.problem,
    advice: "Give --batch 1, or export the model with a dynamic batch",
  });
}

/** Whether the loss compares anything with the labels; without, every network can be trained. */
function usesLabels({ loss }: Settings): boolean {
  return loss.crossEntropy > 0 || loss.distillation === 0;
}

/**
 * Refuses a network without anything to compress, and says why it is so.
 * @throws PenniError "unsupported"
 */
function expectCompressible(graph: Graph): void {
  if (prunableInitializers(graph).length > 0) return;
  const [obstacle] = decompositionCandidates(graph);
  const quantized = quantizedNode(graph);
  const details =
    quantized === undefined
      ? { advice: "penni inspect says more about each layer" }
      : { node: quantized.name, op: quantized.op, advice: FROM_FLOAT };
  throw new PenniError("unsupported", "there is nothing to compress", {
    ...details,
    expected: "a network with convolutions of float32 weights",
    found:
      obstacle === undefined
        ? `no convolution, but ${[...new Set(graph.nodes.map((node) => node.op))].slice(0, 8).join(", ") || "no nodes"}`
        : `convolutions that stay as they are, as ${obstacle.layer === undefined ? obstacle.reason : "they are not pruned"}`,
  });
}

/** The network decomposed, if there is anything to compress and the target can be reached. */
function checkCompressible(graph: Graph, settings: Settings, labelled: boolean): Graph {
  expectCompressible(graph);
  // Which outputs will be matched, and so what is frozen, is not known yet where there are no labels.
  const frozen = labelled ? untrainedPart(graph, settings) : new Set<string>();
  const decomposed = decompose(graph, { basis: fixedBasis(settings), frozen });
  // With fewer channels more can be reached: the run checks it when it knows them, before it trains.
  if (settings.channels === undefined)
    checkTarget({ graph, decomposed: () => decomposed, frozen, original: graph }, settings);
  return decomposed;
}

/**
 * The weights that cannot be trained on labels.
 * @throws PenniError "unsupported" naming a node without a gradient if that are all of them
 */
function untrainedPart(graph: Graph, settings: Settings): ReadonlySet<string> {
  const { frozen, blockades, isTrainable } = frozenIn(graph, { settings });
  const [first] = blockades;
  if (first !== undefined && !isTrainable) throw first.reason;
  return frozen;
}

/** Images on which it is seen how the original's outputs vary. */
const DEVIATION_IMAGES = 64;

/** What is found out about labels and outputs for the configuration. */
interface Judgement extends Pick<RunConfig, "reference" | "leftOut" | "classes"> {
  readonly outputs?: OutputLoss[];
}

/** How the outputs are matched, and whether the labels, if there are any, are still what the result is judged by. */
async function judge(
  graph: Graph,
  decomposed: Graph,
  split: Split,
  preprocessing: Preprocessing,
  { settings, seed, outputs: choices = new Map() }: CompressRequest,
): Promise<Judgement> {
  const labelClasses = split.labels === undefined ? undefined : (split.classes ?? classCount(split.labels));
  const { train } = holdOut(split, settings.validation, seed);
  const indices = sampleIndices(train, DEVIATION_IMAGES, seed);
  const { matched, leftOut } = await preferringWhole((mayFreeze) =>
    matchOutputs({
      network: graph,
      choices,
      labelClasses,
      images: { split, indices, preprocessing, threads: settings.threads },
      trainingProblem: (losses) => trainingProblem(decomposed, settings, losses, mayFreeze),
    }),
  );
  return {
    outputs: [...matched],
    ...(isLabelledClassifier(graph, matched, labelClasses) ? {} : { reference: "original" }),
    ...(leftOut.length === 0 ? {} : { leftOut: [...leftOut] }),
  };
}

/** Matches outputs with gradients to all weights before them; where there are none, those with gradients to some. */
async function preferringWhole(
  match: (mayFreeze: boolean) => Promise<MatchedOutputs>,
): Promise<MatchedOutputs> {
  try {
    return await match(false);
  } catch (error) {
    if (error instanceof PenniError && error.code === "unsupported") return match(true);
    throw error;
  }
}

/** Whether the first output has class scores [N, K], for the classes that the labels have. */
function isLabelledClassifier(
  graph: Graph,
  matched: readonly OutputLoss[],
  labelClasses: number | undefined,
): boolean {
  const [first] = graph.outputs;
  const loss = matched.find(({ output }) => output === first?.name);
  if (loss?.measure !== "kl" || loss.axis !== 1 || labelClasses === undefined) return false;
  const shape = inferGraph(fixBatch(graph, 1)).types.get(loss.output)?.shape;
  return shape?.length === 2 && shape[1] === labelClasses;
}

/** Why the network cannot be trained on these outputs; undefined if it can, or is not trained at all. */
function trainingProblem(
  decomposed: Graph,
  settings: Settings,
  outputs: readonly OutputLoss[],
  mayFreeze: boolean,
): string | undefined {
  try {
    const loss = { ...settings.loss, outputs: [...outputs] };
    checkTrainable(decomposed, { ...settings, loss }, "original", mayFreeze);
    return undefined;
  } catch (error) {
    if (error instanceof PenniError && (error.code === "unsupported" || error.code === "shape"))
      return error.message;
    throw error;
  }
}

/**
 * Builds the training step once, if there is any training, so that what stands in its way is named before the run starts.
 * @param mayFreeze whether weights that no gradient reaches are left out, as long as others remain
 * @throws PenniError "unsupported" naming an operator without a gradient, or if there is nothing to train
 */
function checkTrainable(
  decomposed: Graph,
  settings: Settings,
  reference: Reference,
  mayFreeze: boolean,
): void {
  if (!hasTraining(settings)) return;
  const network = fixBatch(decomposed, settings.batch);
  const found = frozenIn(decomposed, { settings, reference });
  const [blockade] = found.blockades;
  if (blockade !== undefined && !(mayFreeze && found.isTrainable)) throw blockade.reason;
  const names = [...trainableParameters(network).keys()].filter((name) => !found.frozen.has(name));
  const trained = new Map(names.map((name) => [name, plainRule]));
  const { parameters } = buildTrainingStep(network, new Set(trained.keys()), {
    trained,
    batchNormalization: "frozen",
    loss: settings.loss,
    reference,
    optimizer: settings.optimizer,
  });
  if (parameters.size > 0) return;
  throw new PenniError("unsupported", "no weight leads to what the loss compares");
}

/** A run may be resumed from another directory, so paths in the specification are made absolute. */
export function absoluteSpec(spec: string): string {
  const colon = spec.indexOf(":");
  const kind = spec.slice(0, colon);
  if (colon < 0 || kind === "synthetic") return spec;
  return `${kind}:${path.resolve(spec.slice(colon + 1))}`;
}

/** Of what a run depends on. */
export function versions(): RunConfig["versions"] {
  const version = (file: URL): string =>
    (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
  const runtime = new URL("../package.json", import.meta.resolve("onnxruntime-node"));
  return {
    penni: version(new URL("../../../package.json", import.meta.url)),
    node: process.versions.node,
    onnxruntime: version(runtime),
  };
}
