import { z } from "zod";
import type { Augmentation } from "../data/augment.js";
import type { ImageSize } from "../data/dataset.js";
import type { KnownImages } from "../data/known_images.js";
import type { Preprocessing } from "../data/preprocessing.js";
import type { Device } from "../execute/device.js";
import type { GradualPruning } from "./gradual_pruning.js";
import type { LossOptions } from "./losses.js";
import type { SgdOptions, UpdateRule } from "./optimizer.js";
import { outputAgreementSchema } from "./outputs.js";
import type { Schedule } from "./schedule.js";
import type { Reference } from "./step.js";

/** A stretch of training during which a fixed set of parameters is updated. */
export interface Phase {
  readonly name: string;
  /** Update rule of every parameter that this phase trains, by initializer name. */
  readonly trained: Readonly<Record<string, UpdateRule>>;
}

/** When a network is made smaller in the middle of its training: at the start of an epoch. */
export interface ShrinkingRule {
  /** Channels stay so as to make their numbers multiples of this, from 1. */
  readonly multiple: number;
  /** Share of the executed multiply-accumulates that must go to be worth new sessions, 0 to below 1. */
  readonly minimumGain: number;
}

/** Which images a run uses. */
export interface DataPlan {
  /** As for `openDataset`: "cifar10:DIR", "folder:DIR", "images:DIR", "synthetic". */
  readonly spec: string;
  /** As for `openDataset`. */
  readonly classes?: readonly string[];
  /** What the images must be; absent where nobody has noted it. */
  readonly images?: KnownImages;
  /** The size to read the images in, where they are resized to the network's input afterwards; else that of the input. */
  readonly readAt?: ImageSize;
  readonly preprocessing: Preprocessing;
  readonly augmentation: Augmentation;
  /** Share of the training images that is held out for validation, 0 to below 1. */
  readonly validation: number;
  /** Use only so many training images; all of them where absent. */
  readonly trainLimit?: number;
}

/** Where a stage stands in a longer training: its schedule, its random numbers and its epochs' numbers go on from there. */
export interface TrainingPart {
  /** Whole epochs before this stage, from 0. */
  readonly epochsBefore: number;
  /** Epochs of the whole training. */
  readonly epochsInAll: number;
}

/**
 * Everything a training stage depends on, as JSON: the same plan over the same files gives the same result.
 */
export interface TrainingPlan {
  readonly stage: string;
  /** ONNX files. */
  readonly network: string;
  readonly teacher?: string;
  readonly result: string;
  readonly checkpoint: string;
  readonly data: DataPlan;
  readonly seed: number;
  /** Images in a batch. */
  readonly batch: number;
  /** Passes over the training images; a fraction is allowed. */
  readonly epochs: number;
  /** Absent where the stage is a training of its own. */
  readonly part?: TrainingPart;
  /** Phases take turns, each for so many epochs (a fraction is allowed). */
  readonly phases: readonly Phase[];
  readonly phaseEpochs: number;
  readonly schedule: Schedule;
  /** λ of λ‖c‖₁, for the parameters whose rule has L1. */
  readonly l1Strength: number;
  readonly optimizer: SgdOptions;
  readonly loss: LossOptions;
  /** Default: "labels". With "original", images need no labels, and the loss must not ask for any. */
  readonly reference?: Reference;
  readonly batchNormalization: "batch" | "frozen";
  /** Decay of an average of the weights over the steps, 0 to below 1: what is validated and written is the average then. */
  readonly averaging?: number;
  /** Names of the parameters whose share of zeros is reported. */
  readonly sparse: readonly string[];
  /** Where absent, the network keeps its size. */
  readonly shrinking?: ShrinkingRule;
  /** Where absent, no coefficient is removed but by the phases' own rules. */
  readonly pruning?: GradualPruning;
  /** Threads of the runtime. */
  readonly threads: number;
  /** Where the steps run; "cpu" where absent. "auto" is resolved anew whenever the stage is started. */
  readonly device?: Device;
  /** Seconds between checkpoints. */
  readonly checkpointSeconds: number;
}

/** Where a stage stands, for progress lines. */
export interface TrainingProgress {
  readonly stage: string;
  readonly phase: string;
  /** Steps done and to do, over the whole stage. */
  readonly step: number;
  readonly steps: number;
  /** Current epoch from 1, and epochs in all. */
  readonly epoch: number;
  readonly epochs: number;
  /** Means over the current epoch so far. */
  readonly loss: number;
  /** Top-1; absent where the labels are no reference. */
  readonly accuracy?: number;
  /** Share of exact zeros among the sparse parameters, 0 to 1; what shrinking has removed counts as zeros. */
  readonly sparsity: number;
  readonly imagesPerSecond: number;
  readonly secondsLeft: number;
}

/** That a stage went back to a checkpoint, with a smaller learning rate. */
export const recoverySchema = z
  .object({
    /** What was wrong. */
    problem: z.string(),
    /** Steps that were done when it was found. */
    step: z.number(),
    /** Steps of the checkpoint that the stage went on from. */
    backTo: z.number(),
    /** What the schedule's learning rate is multiplied by from then on. */
    rateFactor: z.number(),
  })
  .readonly();

export type Recovery = z.infer<typeof recoverySchema>;

/** One line of `metrics.jsonl`: how an epoch went. It holds nothing that depends on the machine's speed. */
export const epochMetricsSchema = z
  .object({
    stage: z.string(),
    /** The phase of the epoch's last step. */
    phase: z.string(),
    epoch: z.number(),
    /** Steps done in the stage. */
    step: z.number(),
    learningRate: z.number(),
    /** Means over the epoch's training images. */
    loss: z.number(),
    /** Top-1; absent where the labels are no reference. */
    accuracy: z.number().optional(),
    sparsity: z.number(),
    /** Executed multiply-accumulates of one image, of the network as it was trained in this epoch. */
    macs: z.number(),
    /** Top-1 on the held-out validation images; absent where none are held out or the labels are no reference. */
    validation: z.number().optional(),
    /** How many these are; absent as `validation` is, and in runs from before this was written. */
    validationImages: z.number().optional(),
    /** On the validation images, where the original is the reference: see `OutputAgreement`. */
    outputs: z.array(outputAgreementSchema).optional(),
    /** How often the stage had to go back since the epoch before; absent where it did not. */
    recoveries: z.array(recoverySchema).optional(),
  })
  .readonly();

export type EpochMetrics = z.infer<typeof epochMetricsSchema>;

/** One line of `timing.jsonl`: how long an epoch's training steps took in this process. */
export interface EpochTiming {
  readonly stage: string;
  readonly epoch: number;
  /** Steps that were timed: fewer than the epoch has if the stage was resumed in its middle. */
  readonly steps: number;
  /** Of these steps with their data, without validation, checkpoints and rebuilding. */
  readonly seconds: number;
  /** As in the epoch's metrics. */
  readonly macs: number;
}
