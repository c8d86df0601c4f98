import type { Augmentation } from "../data/augment.js";
import type { Dataset, ImageSize } from "../data/dataset.js";
import { noticesOf } from "../data/dataset.js";
import { CLASS_NAMES_KEY, PREPROCESSING_KEY } from "../data/preprocessing.js";
import { readModel, writeModel } from "../files/model_files.js";
import type { Graph } from "../graph/types.js";
import { evaluate, inputImageSize } from "../measure/accuracy.js";
import { type Interval, shareInterval } from "../measure/interval.js";
import { plainRule } from "../method/defaults.js";
import { inFormatOf } from "../method/export.js";
import { hasNormalization, normalizationSites } from "../method/insert_normalization.js";
import { trainableParameters } from "../method/parameters.js";
import { importModel } from "../ops/passes/import_model.js";
import { weightsTypeOf } from "../ops/passes/store_weights.js";
import type { TrainingPlan } from "../train/plan.js";
import type { RunDirectory } from "./directory.js";
import { describeLabels, outputNames } from "./labels.js";
import { RunLock } from "./lock.js";
import { naming } from "./naming.js";
import { openFittingDataset } from "./pipeline.js";
import { recordedTraining } from "./recorded_training.js";
import { withNormalization } from "./stages/moments.js";
import type { KeptName, TrainingPartName } from "./stages/names.js";
import { tellImages } from "./stoppable.js";
import type { TrainingListener } from "./training/launch.js";
import { type TrainingConfig, trainingLoss } from "./training_config.js";
import { atSize, type ResolutionPart, trainingParts } from "./training_parts.js";

/** What a training tells about itself while it goes on. */
export interface TrainingRunListener extends TrainingListener {
  stage?(name: string): void;
  images?(what: string, done: number, total: number): void;
}

/** `summary.json` of a training. */
export interface TrainingSummary {
  /** On the test images, which are used for nothing else. */
  readonly test: { readonly correct: number; readonly total: number } & Partial<Interval>;
  /** Of the last epoch, where images are held out; 0 to 1. */
  readonly validation?: number;
  /** How many images that is of. */
  readonly validationImages?: number;
  readonly epochs: number;
  /** The trained network. */
  readonly model: string;
}

export type TrainingRun = RunDirectory<TrainingConfig>;

/**
 * Runs (or resumes) a training in a run directory that holds `stages/original.onnx`, writes `model.onnx` and returns how
 * well it does on the test images, which are used once, at the end.
 * @throws PenniError "io" if another process works in the directory; "interrupted" when `signal` is aborted; what the
 *   training throws
 */
export async function trainRun(
  run: TrainingRun,
  listener: TrainingRunListener = {},
  signal?: AbortSignal,
): Promise<TrainingSummary> {
  const lock = await RunLock.acquire(run.root, (text) => listener.notice?.(text));
  try {
    await run.restore();
    return await naming(run.config, () => trainLocked(run, lock, listener, signal));
  } finally {
    await lock.release();
  }
}

async function trainLocked(
  run: TrainingRun,
  lock: RunLock,
  listener: TrainingRunListener,
  signal: AbortSignal | undefined,
): Promise<TrainingSummary> {
  const { config } = run;
  if (config.teacher !== undefined)
    listener.notice?.(`learning from the scores of ${config.teacher}, too${atFullSize(config.settings)}`);
  const { dataset, classNames } = await openedDataset(run, listener);
  const imported = async (): Promise<Graph> => importModel(await run.readOriginal(), { keepsDropout: true });
  await run.complete("simplify", imported, listener.notice);
  let from = await startOfTraining(run, dataset, listener);
  const parts = trainingParts(config.settings, dataset);
  for (const [index, part] of parts.entries()) {
    const name: TrainingPartName = parts.length === 1 ? "train" : `train-${index + 1}`;
    listener.stage?.(describePart(part, parts.length));
    const before = from;
    await run.complete(
      name,
      () => trainPart({ run, lock, listener, signal, name, part, from: before }),
      listener.notice,
    );
    from = name;
  }
  const graph = await readModel(run.stagePath(from));
  const named = withMetadata(atSize(graph, dataset, config.preprocessing), config, classNames);
  const trained = asTheOriginal(named, await run.readOriginal(), listener);
  const model = run.path("model.onnx");
  await writeModel(model, trained);
  listener.stage?.("measure");
  const test = await evaluate(trained, await dataset.test(), config.preprocessing, {
    threads: config.settings.threads,
    onProgress: (done, total) => tellImages({ listener, signal }, "test", done, total),
  });
  const { validation, validationImages } = (await run.readMetrics()).at(-1) ?? {};
  const summary: TrainingSummary = {
    test: { correct: test.correct, total: test.total, ...shareInterval(test.correct, test.total) },
    ...(validation === undefined ? {} : { validation }),
    ...(validationImages === undefined ? {} : { validationImages }),
    epochs: config.settings.epochs,
    model,
  };
  await run.writeJson("summary.json", summary);
  return summary;
}

/** Whether normalisations may have been folded away: there are convolutions, and nothing of the kind behind them. */
function lacksNormalization(graph: Graph): boolean {
  const kinds = ["BatchNormalization", "InstanceNormalization", "GroupNormalization", "LayerNormalization"];
  return normalizationSites(graph).length > 0 && !graph.nodes.some(({ op }) => kinds.includes(op));
}

/** With weights, inputs and outputs of the types that the original has. */
function asTheOriginal(trained: Graph, original: Graph, { notice }: TrainingRunListener): Graph {
  const type = weightsTypeOf(original);
  if (type !== "float32")
    notice?.(
      `weights are stored as ${type}, as the model has them; penni export --weights-type changes that`,
    );
  return inFormatOf(trained, { original });
}

/** The stage that training starts from: what was imported, or with the normalizations that were asked for. */
async function startOfTraining(
  run: TrainingRun,
  dataset: Dataset,
  listener: TrainingRunListener,
): Promise<KeptName> {
  const graph = await readModel(run.stagePath("simplify"));
  if (run.config.settings.batchNormalization === "insert" && !hasNormalization(graph)) {
    await run.complete("normalize", () => withNormalization(graph, { run, dataset }), listener.notice);
    return "normalize";
  }
  if (lacksNormalization(graph)) {
    listener.notice?.(
      "the network has no BatchNormalization: if an export folded it away, --insert-normalization trains it better",
    );
  }
  return "simplify";
}

/** The run's images, which fit its network, and the names of its outputs; what is to be known of both is told. */
async function openedDataset(
  run: TrainingRun,
  listener: TrainingRunListener,
): Promise<{ readonly dataset: Dataset; readonly classNames: readonly string[] | undefined }> {
  const { config } = run;
  const original = await run.readOriginal();
  const dataset = await openFittingDataset(original, config.data, config.preprocessing, config.classes);
  for (const line of [...noticesOf(dataset), ...describeLabels(config, original, dataset)])
    listener.notice?.(line);
  return { dataset, classNames: outputNames(config, original, dataset) };
}

/** A network that is learned from knows little of images of another size than its own. */
const atFullSize = ({ resolutions }: TrainingConfig["settings"]): string =>
  resolutions.length === 0 ? "" : ", once images have the network's own size";

function describePart({ size, epochs, epochsBefore }: ResolutionPart, parts: number): string {
  if (parts === 1) return "train";
  const last = epochsBefore + epochs;
  return `train at ${size.width}x${size.height}, epochs ${epochsBefore + 1} to ${Math.ceil(last)}`;
}

interface PartRequest {
  readonly run: TrainingRun;
  readonly lock: RunLock;
  readonly listener: TrainingRunListener;
  readonly signal: AbortSignal | undefined;
  readonly name: TrainingPartName;
  readonly part: ResolutionPart;
  /** The stage that the network before the part comes from. */
  readonly from: KeptName;
}

async function trainPart({ lock, listener, signal, ...request }: PartRequest): Promise<Graph> {
  const { run, part } = request;
  const { plan, native } = await startOfPart(request);
  const trained = await recordedTraining(plan, { run, lock, listener, signal });
  return atSize(trained, native ?? part.size, run.config.preprocessing);
}

/** What is trained, and the size of images that the network takes; nobody holds the network while it is trained. */
async function startOfPart({
  run,
  name,
  part,
  from,
}: Pick<PartRequest, "run" | "name" | "part" | "from">): Promise<{
  readonly plan: TrainingPlan;
  readonly native: ImageSize | undefined;
}> {
  const { preprocessing } = run.config;
  const graph = await readModel(run.stagePath(from));
  const native = inputImageSize(graph, preprocessing);
  const isNative = native?.width === part.size.width && native.height === part.size.height;
  const network = isNative ? run.stagePath(from) : run.path("checkpoints", `${name}.start.onnx`);
  if (!isNative) await writeModel(network, atSize(graph, part.size, preprocessing));
  return { plan: partPlan(graph, { run, name, part, network, native, isNative }), native };
}

interface PlanRequest {
  readonly run: TrainingRun;
  readonly name: TrainingPartName;
  readonly part: ResolutionPart;
  readonly network: string;
  /** The size of images that the network is for, and whether the part has it. */
  readonly native: ImageSize | undefined;
  readonly isNative: boolean;
}

function partPlan(graph: Graph, request: PlanRequest): TrainingPlan {
  const { run, name, part, network, native, isNative } = request;
  const { config } = run;
  const { settings } = config;
  const names = [...trainableParameters(graph).keys()];
  const trained = Object.fromEntries(names.map((parameter) => [parameter, plainRule]));
  const isTaught = config.teacher !== undefined && isNative;
  // An average over several sizes would mix networks that saw different images.
  const isLast = part.epochsBefore + part.epochs >= part.epochsInAll;
  return {
    stage: name,
    network,
    ...(isTaught ? { teacher: run.stagePath("teacher") } : {}),
    result: run.path("checkpoints", `${name}.onnx`),
    checkpoint: run.checkpointPath(name),
    data: {
      spec: config.data,
      ...(config.classes === undefined ? {} : { classes: config.classes }),
      ...(config.images === undefined ? {} : { images: config.images }),
      ...(native === undefined ? {} : { readAt: native }),
      preprocessing: config.preprocessing,
      augmentation: scaledAugmentation(settings.augmentation, part.size, native),
      validation: settings.validation,
      ...(settings.trainLimit === undefined ? {} : { trainLimit: settings.trainLimit }),
    },
    seed: config.seed,
    batch: settings.batch,
    epochs: part.epochs,
    part: { epochsBefore: part.epochsBefore, epochsInAll: part.epochsInAll },
    phases: [{ name: "all", trained }],
    phaseEpochs: Math.max(1, part.epochs),
    schedule: settings.schedule,
    l1Strength: 0,
    optimizer: settings.optimizer,
    loss: trainingLoss(settings, isTaught),
    batchNormalization: "batch",
    ...(isLast && settings.averaging !== undefined ? { averaging: settings.averaging } : {}),
    sparse: [],
    threads: settings.threads,
    device: settings.device,
    checkpointSeconds: settings.checkpointSeconds,
  };
}

/** Crops move by the same share of an image at every size, and holes are the same share of it. */
function scaledAugmentation(
  { padding, flip, cutout }: Augmentation,
  size: ImageSize,
  native: ImageSize | undefined,
): Augmentation {
  const scale = native === undefined ? 1 : size.width / native.width;
  return {
    padding: Math.round(padding * scale),
    flip,
    ...(cutout === undefined ? {} : { cutout: Math.round(cutout * scale) }),
  };
}

/** What whoever runs the network has to know of its images and its outputs. */
function withMetadata(
  graph: Graph,
  { preprocessing }: TrainingConfig,
  classNames: readonly string[] | undefined,
): Graph {
  const names: readonly [string, string][] =
    classNames === undefined ? [] : [[CLASS_NAMES_KEY, JSON.stringify(classNames)]];
  const metadata = new Map([
    ...graph.metadata,
    [PREPROCESSING_KEY, JSON.stringify(preprocessing)] as const,
    ...names,
  ]);
  return { ...graph, metadata };
}
