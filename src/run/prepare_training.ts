import path from "node:path";
import { type ImageSize, labelsOf } from "../data/dataset.js";
import { knownImages } from "../data/known_images.js";
import { type PictureFormat, type PictureOptions, pictureFormat } from "../data/picture_format.js";
import { type Preprocessing, pixelWriting } from "../data/preprocessing.js";
import { readModel } from "../files/model_files.js";
import { PenniError } from "../graph/errors.js";
import { fixBatch, specializeInputs } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { expectImages, inputImageSize } from "../measure/accuracy.js";
import { fitClasses, matchedNames } from "../measure/classes.js";
import { refuseEndlessLoops } from "../measure/endless_loops.js";
import { plainRule } from "../method/defaults.js";
import { trainableParameters } from "../method/parameters.js";
import { importModel } from "../ops/passes/import_model.js";
import { buildTrainingStep } from "../train/step.js";
import { RunDirectory } from "./directory.js";
import { naming } from "./naming.js";
import { openFittingDataset } from "./pipeline.js";
import { absoluteSpec, versions } from "./provenance.js";
import { checkEnoughImages } from "./settings_checks.js";
import { readTeacher } from "./teacher.js";
import type { TrainingRun } from "./train_pipeline.js";
import {
  type TrainingConfig,
  type TrainingSettings,
  trainingLoss,
  trainingSettingsSchema,
} from "./training_config.js";
import { atSize, trainingParts } from "./training_parts.js";

/** What the user asks for. */
export interface TrainingRequest {
  /** An .onnx file. */
  readonly model: string;
  /** As for `openDataset`; with labels. */
  readonly data: string;
  /** Names of all classes in the order of the model's outputs: labels are matched to them by name. */
  readonly classes?: readonly string[];
  /** An .onnx file of a classifier that is learned from besides the labels, as `settings.distillation` says. */
  readonly teacher?: string;
  /** The run's directory: new or empty. */
  readonly out: string;
  readonly settings: TrainingSettings;
  readonly seed: number;
  /** Dimensions of inputs that the model leaves open; its batch stays as it is. */
  readonly inputShapes?: ReadonlyMap<string, readonly number[]>;
  /** How the model takes pictures, in place of what its metadata say. */
  readonly pictures?: PictureOptions;
  /** Told how the model takes pictures, and who says so, before anything runs. */
  readonly onPictures?: (format: PictureFormat) => void | Promise<void>;
}

/**
 * Checks everything that can be checked before hours are spent (model, data, their fit, a gradient for every operator, the
 * network at every resolution), then creates the run's directory. Nothing is written if a check fails.
 * @throws PenniError what is wrong, naming file, node, operator or path
 */
export async function prepareTraining(request: TrainingRequest): Promise<TrainingRun> {
  await RunDirectory.checkFree(request.out);
  checkSettings(request.settings);
  checkTeaching(request);
  return naming(request, () => prepare(request));
}

async function prepare(request: TrainingRequest): Promise<TrainingRun> {
  const { model, data, out, settings, seed } = request;
  const given = await readModel(model);
  const original = specializeInputs(given, request.inputShapes ?? new Map());
  refuseEndlessLoops(original);
  const format = pictureFormat(original, request.pictures);
  const { preprocessing } = format;
  const opened = await openFittingDataset(original, data, preprocessing);
  const dataset = fitClasses(original, opened, request.classes);
  const teacher =
    request.teacher === undefined ? undefined : await readTeacher(original, request.teacher, preprocessing);
  const train = await dataset.train();
  expectImages((await dataset.test()).count, "test images");
  pixelWriting(preprocessing, dataset.channels);
  labelsOf(train);
  const parts = trainingParts(settings, dataset);
  checkPadding(
    settings,
    parts.map(({ size }) => size),
  );
  const epochs = parts.map((part) => part.epochs);
  checkEnoughImages(train, settings, seed, epochs);
  checkTrainable(importModel(original, { keepsDropout: true }), settings, preprocessing);
  const classes = matchedNames(opened, dataset);
  const config: TrainingConfig = {
    format: 1,
    kind: "training",
    model: path.resolve(model),
    // As it was understood: a folder may look otherwise when the run is gone on with.
    data: absoluteSpec(opened.name),
    seed,
    settings,
    ...(classes === undefined ? {} : { classes: [...classes] }),
    images: knownImages(dataset, train),
    ...(request.teacher === undefined ? {} : { teacher: path.resolve(request.teacher) }),
    preprocessing,
    versions: versions(),
  };
  const run = await RunDirectory.create(out, config, original, { teacher });
  await request.onPictures?.(format);
  return run;
}

function checkSettings(settings: TrainingSettings): void {
  const { error } = trainingSettingsSchema.safeParse(settings);
  if (error !== undefined) {
    throw new PenniError("bad-option", "a setting is impossible", {
      found: error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; "),
      advice: "See penni train --help",
    });
  }
  const share = settings.resolutions.reduce((sum, part) => sum + part.share, 0);
  if (share < 1) return;
  throw new PenniError("bad-option", "no epochs are left for the network's own size", {
    expected: "shares of --resolution that add up to less than 1",
    found: `${share}`,
  });
}

/** @throws PenniError "bad-option" if there is a teacher without a share of the loss, or a share without a teacher */
function checkTeaching({ teacher, settings: { distillation } }: TrainingRequest): void {
  if ((teacher === undefined) === (distillation === undefined)) return;
  throw new PenniError("bad-option", "what another network teaches is not fully given", {
    expected: "a teacher and settings.distillation",
    found: teacher === undefined ? "no teacher" : "no settings.distillation",
  });
}

/** @throws PenniError "bad-option" if random crops may leave nothing of a picture */
function checkPadding({ augmentation: { padding } }: TrainingSettings, sizes: readonly ImageSize[]): void {
  const smallest = sizes.toSorted((a, b) => shorter(a) - shorter(b)).at(0);
  if (smallest === undefined || padding < shorter(smallest)) return;
  throw new PenniError("bad-option", "random crops would move pictures out of sight", {
    expected: `--pad below ${shorter(smallest)}, as the pictures have ${smallest.width}x${smallest.height} pixels`,
    found: `--pad ${padding}`,
    advice: "An eighth of the side is usual: 4 for 32x32",
  });
}

const shorter = ({ width, height }: ImageSize): number => Math.min(width, height);

/** Builds the training step once at every size, so that what stands in its way is named before the run starts. */
function checkTrainable(graph: Graph, settings: TrainingSettings, preprocessing: Preprocessing): void {
  const native = inputImageSize(graph, preprocessing);
  if (native === undefined) {
    throw new PenniError("bad-option", "the model leaves the size of its images open", {
      advice: "Fix it: --input-shape NAME:1x3x32x32",
    });
  }
  const names = [...trainableParameters(graph).keys()];
  if (names.length === 0) throw new PenniError("unsupported", "the model has no weights to train");
  const trained = new Map(names.map((name) => [name, plainRule]));
  const build = (size: ImageSize, isTaught: boolean): void => {
    const network = fixBatch(atSize(graph, size, preprocessing), settings.batch);
    buildTrainingStep(network, new Set(names), {
      trained,
      batchNormalization: "batch",
      loss: trainingLoss(settings, isTaught),
      optimizer: settings.optimizer,
    });
  };
  build(native, true);
  // The last of them is the network's own size.
  for (const { size } of trainingParts(settings, native).slice(0, -1))
    buildAt(size, (smaller) => build(smaller, false));
}

/** @throws PenniError "bad-option" if the network, which can be trained, takes no images of this size */
function buildAt(size: ImageSize, build: (size: ImageSize) => void): void {
  try {
    build(size);
  } catch (error) {
    if (!(error instanceof PenniError)) throw error;
    const { node, op } = error.details;
    throw new PenniError("bad-option", "the network cannot be trained on images of another size", {
      ...(node === undefined ? {} : { node }),
      ...(op === undefined ? {} : { op }),
      expected: "a network whose last layers take a mean over all positions",
      found: `at ${size.width}x${size.height}: ${error.problem}`,
      advice: "Leave out --resolution",
    });
  }
}
