import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { openDataset } from "../data/open.js";
import { pictureFormat } from "../data/picture_format.js";
import type { Preprocessing } from "../data/preprocessing.js";
import type { Device } from "../execute/device.js";
import { readModel, writeModel } from "../files/model_files.js";
import type { Graph } from "../graph/types.js";
import { inputImageSize } from "../measure/accuracy.js";
import { fitClasses, matchedNames } from "../measure/classes.js";
import { compressionLoss, compressionDefaults as defaults } from "../method/defaults.js";
import { type PhaseMode, type SparseRule, sparseParameters, trainingPhases } from "../method/phases.js";
import type { LossOptions } from "../train/losses.js";
import type { ShrinkingRule } from "../train/plan.js";
import type { Schedule } from "../train/schedule.js";
import type { Reference } from "../train/step.js";
import { RunLock } from "./lock.js";
import { runTraining, type TrainingListener } from "./training/launch.js";

export interface TrainOptions {
  /** The images: "cifar10:DIR", "folder:DIR", "images:DIR", "synthetic". */
  readonly data: string;
  /**
   * Names of all classes in the order of the network's outputs, to which labels are matched by name. Default: those of
   * the network's metadata where the data's classes are among them, else the data's classes in their order.
   */
  readonly classes?: readonly string[];
  /** Passes over the training images; a fraction is allowed. */
  readonly epochs: number;
  readonly schedule: Schedule;
  /** The original network: with one, the default loss matches its logits besides the labels. */
  readonly teacher?: Graph;
  readonly loss?: LossOptions;
  /**
   * "original" for images without labels: only the teacher's outputs are learned from, those of `loss.outputs` or
   * else a classifier's logits ("labels").
   */
  readonly reference?: Reference;
  /** Default: "alternating" where the network has bases. */
  readonly phases?: PhaseMode;
  /** Epochs before the phases take turns (1). */
  readonly phaseEpochs?: number;
  /** Keep coefficients that are exactly zero at zero: fine-tuning after `prune` (false). */
  readonly holdZeros?: boolean;
  /** λ of the penalty on the coefficients, by proximal steps (0). */
  readonly l1?: number;
  /** What the penalty sets to zero: single coefficients, or all that read an input channel ("coefficients"). */
  readonly penalty?: "coefficients" | "channels";
  /** Remove dead channels at the start of epochs, where the result computes the same as with them (no). */
  readonly shrinking?: ShrinkingRule;
  /** Images in a batch (128). */
  readonly batch?: number;
  /** Momentum 0.9 and weight decay 1e-4 by default. */
  readonly optimizer?: { readonly momentum: number; readonly weightDecay: number };
  /** Default: what the network's metadata say, or ImageNet's. */
  readonly preprocessing?: Preprocessing;
  /** Random crops with so many pixels of padding, and flips (4, true). */
  readonly augmentation?: { readonly padding: number; readonly flip: boolean };
  /** Share of the training images held out for validation (0.05). */
  readonly validation?: number;
  readonly batchNormalization?: "batch" | "frozen";
  readonly seed?: number;
  /** Threads of the runtime (one per core). */
  readonly threads?: number;
  /** Where the steps run ("cpu"). */
  readonly device?: Device;
  /** Keeps networks and checkpoint here: the same call resumes. Without it a temporary directory is used. */
  readonly directory?: string;
  readonly listener?: TrainingListener;
  readonly signal?: AbortSignal;
}

function defaultLoss({ teacher, reference }: TrainOptions): LossOptions {
  if (reference === "original") return compressionLoss("distill");
  return compressionLoss(teacher === undefined ? "labels" : "mixed");
}

/**
 * Trains a network, decomposed or not, in a process of its own, and returns it with its new parameters.
 * @throws PenniError "interrupted" when `signal` is aborted; "unsupported" naming an operator without a
 *   gradient; "bad-data" if data and network do not fit; "diverged" if the loss explodes however small the
 *   learning rate; "io" if another process trains in the directory
 */
export async function train(graph: Graph, options: TrainOptions): Promise<Graph> {
  const directory = options.directory ?? (await mkdtemp(path.join(tmpdir(), "penni-")));
  try {
    await mkdir(directory, { recursive: true });
    return await trainLocked(directory, graph, options);
  } finally {
    if (options.directory === undefined) await rm(directory, { recursive: true, force: true });
  }
}

async function trainLocked(directory: string, graph: Graph, options: TrainOptions): Promise<Graph> {
  const { listener = {} } = options;
  const lock = await RunLock.acquire(directory, (text) => listener.notice?.(text));
  const started = (pid: number): Promise<void> => lock.cover(pid);
  try {
    return await trainIn(directory, graph, { ...options, listener: { ...listener, started } });
  } finally {
    await lock.release();
  }
}

/** The names by which labels are matched to the network's outputs; undefined where they are taken in their order. */
async function labelOrder(
  graph: Graph,
  { data, classes, preprocessing = pictureFormat(graph).preprocessing }: TrainOptions,
): Promise<readonly string[] | undefined> {
  const imageSize = inputImageSize(graph, preprocessing);
  const dataset = await openDataset(data, {
    preprocessing,
    ...(imageSize === undefined ? {} : { imageSize }),
  });
  return matchedNames(dataset, fitClasses(graph, dataset, classes));
}

async function trainIn(directory: string, graph: Graph, options: TrainOptions): Promise<Graph> {
  const file = (name: string): string => path.join(directory, name);
  const { teacher, l1 = 0, penalty, seed = 0, phaseEpochs = 1 } = options;
  const form = penalty === "channels" ? "channels" : "proximal";
  const sparse: SparseRule = { l1: l1 > 0 ? form : "none", masked: options.holdZeros === true };
  const classes = options.reference === "original" ? undefined : await labelOrder(graph, options);
  await writeModel(file("network.onnx"), graph);
  if (teacher !== undefined) await writeModel(file("teacher.onnx"), teacher);
  await runTraining(
    {
      stage: "train",
      network: file("network.onnx"),
      ...(teacher === undefined ? {} : { teacher: file("teacher.onnx") }),
      result: file("result.onnx"),
      checkpoint: file("checkpoint.ckpt"),
      data: {
        spec: options.data,
        ...(classes === undefined ? {} : { classes }),
        preprocessing: options.preprocessing ?? pictureFormat(graph).preprocessing,
        augmentation: options.augmentation ?? defaults.augmentation,
        validation: options.validation ?? defaults.validation,
      },
      seed,
      batch: options.batch ?? defaults.batch,
      epochs: options.epochs,
      phases: trainingPhases(graph, { mode: options.phases ?? "alternating", sparse, scaleBasisRate: true }),
      phaseEpochs,
      schedule: options.schedule,
      l1Strength: l1,
      optimizer: options.optimizer ?? defaults.optimizer,
      loss: options.loss ?? defaultLoss(options),
      ...(options.reference === undefined ? {} : { reference: options.reference }),
      batchNormalization: options.batchNormalization ?? "batch",
      sparse: sparseParameters(graph),
      ...(options.shrinking === undefined ? {} : { shrinking: options.shrinking }),
      threads: options.threads ?? availableParallelism(),
      device: options.device ?? "cpu",
      checkpointSeconds: defaults.checkpointSeconds,
    },
    options.listener,
    options.signal,
  );
  return readModel(file("result.onnx"));
}
