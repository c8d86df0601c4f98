import path from "node:path";
import { allIndices } from "../data/batches.js";
import { labelsOf } from "../data/dataset.js";
import { sampleIndices } from "../data/hold_out.js";
import { type KnownImages, knownImages } from "../data/known_images.js";
import { pictureFormat } from "../data/picture_format.js";
import { type Preprocessing, pixelWriting } from "../data/preprocessing.js";
import { readModelAndSize, type SizedModel } from "../files/model_files.js";
import { PenniError } from "../graph/errors.js";
import { specializeInputs } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { expectImages } from "../measure/accuracy.js";
import { batchObstacle, batchProblem } from "../measure/batch_independence.js";
import { refuseEndlessLoops } from "../measure/endless_loops.js";
import { PLAUSIBILITY_IMAGES, pictureWarning } from "../measure/plausibility.js";
import { withRuntimeShapes } from "../measure/runtime_shapes.js";
import { withTrueBatch } from "../measure/working_batch.js";
import { dequantizedNetwork } from "../method/dequantized.js";
import { importForCompression } from "../method/import_for_compression.js";
import { layerName } from "../method/inspect.js";
import { encodedSize } from "../onnx/write.js";
import type { CompressRequest } from "./compress_request.js";
import { checkCompressible } from "./compressible.js";
import { hasTraining, type RunConfig, trainingEpochs } from "./config.js";
import { RunDirectory } from "./directory.js";
import { checkGoal, type GivenModel } from "./goal_check.js";
import { type Judgement, judge } from "./judgement.js";
import { labelledDataset } from "./labelled_dataset.js";
import { naming } from "./naming.js";
import { absoluteSpec, versions } from "./provenance.js";
import { type CutNetwork, cutBefore } from "./rest.js";
import { checkBatch, checkEnoughImages, checkSettings, needsBatches, usesLabels } from "./settings_checks.js";
import { checkAttention, readTeacher } from "./teacher.js";
import { checkTrainable, untrainedPart } from "./trainability.js";
import { expectedTraining } from "./training_time.js";

export type { CompressRequest } from "./compress_request.js";

/**
 * Checks everything that can be checked before hours are spent (model, data, their fit, a gradient for
 * every operator on the way), then creates the run's directory. Nothing is written if a check fails.
 * @throws PenniError what is wrong, naming file, node, operator or path
 */
export async function prepareRun(request: CompressRequest): Promise<RunDirectory> {
  await RunDirectory.checkFree(request.out);
  checkSettings(request.settings);
  return naming(request, async () => {
    const { config, original, others, told } = await prepare(request);
    const run = await RunDirectory.create(request.out, config, original, others);
    await told();
    return run;
  });
}

/** Checks all that `prepareRun` does, but for the directory, and writes nothing. @throws as `prepareRun` */
export async function checkRun(request: CompressRequest): Promise<void> {
  checkSettings(request.settings);
  await naming(request, () => prepare(request));
}

/** What a run starts with. */
interface PreparedRun {
  readonly config: RunConfig;
  readonly original: Graph;
  readonly others: { readonly rest: Graph | undefined; readonly teacher: Graph | undefined };
  /** Tells who listens what was found of the pictures, and how long the training takes. */
  readonly told: () => Promise<void>;
}

async function prepare(request: CompressRequest): Promise<PreparedRun> {
  const given = await readModelAndSize(request.model);
  const { graph: model, bytes: modelBytes } = computable(given, request);
  const { runnable: original, rest } = await runnablePart(
    specializeInputs(model, request.inputShapes ?? new Map()),
    request,
  );
  const format = pictureFormat(original, request.pictures);
  const { preprocessing } = format;
  const file = { graph: original, bytes: modelBytes };
  const { network, known, judgement, pictureProblem } = await judgeModel(
    { file, rest },
    preprocessing,
    request,
  );
  const { outputs, ...judged } = judgement;
  const { settings } = request;
  const teacher = await askedTeacher(original, preprocessing, request);
  checkAttention(original, teacher, settings);
  const config: RunConfig = {
    format: 1,
    model: path.resolve(request.model),
    modelBytes,
    data: absoluteSpec(request.data),
    seed: request.seed,
    images: known,
    preset: request.preset,
    settings: outputs === undefined ? settings : { ...settings, loss: { ...settings.loss, outputs } },
    ...judged,
    ...(request.inputShapes === undefined ? {} : { inputShapes: shapesOf(request.inputShapes) }),
    ...(request.externalData === undefined ? {} : { externalData: request.externalData }),
    ...(request.teacher === undefined ? {} : { teacher: path.resolve(request.teacher) }),
    preprocessing,
    versions: versions(),
  };
  const told = async (): Promise<void> => {
    await request.onPictures?.(format, pictureProblem);
    const training = expectedTraining(network, teacher, known.count, settings);
    if (training !== undefined) request.onTraining?.(training);
  };
  return { config, original, others: { rest, teacher }, told };
}

/** The network that is learned from in place of the original, where one is given. */
async function askedTeacher(
  model: Graph,
  preprocessing: Preprocessing,
  { teacher, settings }: CompressRequest,
): Promise<Graph | undefined> {
  if (teacher === undefined) return undefined;
  const { crossEntropy, distillation, features } = settings.loss;
  const isAsked = distillation > 0 || features !== undefined;
  if (crossEntropy === 0 || !isAsked || !hasTraining(settings)) {
    throw new PenniError("bad-option", "there is no use for another network to learn from", {
      expected: "a training on labels and scores (--loss mixed)",
      found: hasTraining(settings) ? "a loss without one of them" : "no training",
    });
  }
  return readTeacher(model, teacher, preprocessing);
}

/** What checking a model together with its images finds out. */
interface JudgedModel {
  /** The model, imported. */
  readonly network: Graph;
  readonly known: KnownImages;
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
  if (hasTraining(request.settings))
    checkEnoughImages(train, request.settings, request.seed, trainingEpochs(request.settings));
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
  const known = knownImages(dataset, train);
  return { network: graph, known, judgement: { ...found, ...classes }, pictureProblem };
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
function computable(
  given: SizedModel,
  { dequantize = false, notice }: CompressRequest,
): Omit<SizedModel, "dataFiles"> {
  if (!dequantize) return given;
  const { graph, description } = dequantizedNetwork(given.graph);
  const bytes = encodedSize(graph);
  notice?.(description);
  notice?.(
    `file sizes are compared with the float32 network's, ${bytes.toLocaleString("en-US")} bytes, not with the quantized file's, ${given.bytes.toLocaleString("en-US")}`,
  );
  return { ...given, graph, bytes };
}

function shapesOf(shapes: ReadonlyMap<string, readonly number[]>): RunConfig["inputShapes"] {
  return Object.fromEntries([...shapes].map(([name, dims]) => [name, [...dims]]));
}
