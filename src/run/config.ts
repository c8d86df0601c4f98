import { availableParallelism } from "node:os";
import { z } from "zod";
import { devices } from "../execute/device.js";
import { colourOrders, layouts, resizeModes } from "../graph/image_metadata.js";
import { weightsTypes } from "../graph/weights_type.js";
import { compressionDefaults, compressionLoss, fractionsLeft, recoveryDefaults } from "../method/defaults.js";
import { pruneSchema } from "../method/goal/schema.js";
import { outputLossSchema } from "../train/outputs.js";
import { references } from "../train/step.js";
import { type PresetName, saliencies, starts } from "./names.js";

/** Down by half a cosine. */
export const cosineSchema = z.object({ kind: z.literal("cosine"), initial: z.number().positive() });

/** Up and down again. */
export const oneCycleSchema = z.object({
  kind: z.literal("one-cycle"),
  peak: z.number().positive(),
  /** Share of the training in which the rate rises. */
  warmUp: z.number().min(0).lt(1),
  fall: z.enum(["linear", "cosine"]),
});

const scheduleSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("step"),
    initial: z.number().positive(),
    factor: z.number().positive(),
    milestones: z.array(z.number().min(0).max(1)).readonly(),
  }),
  cosineSchema,
  oneCycleSchema,
]);

const stageSchema = z.object({
  /** Passes over the training images; 0 leaves the stage out, fractions are allowed. */
  epochs: z.number().min(0),
  schedule: scheduleSchema,
  /** "alternating": coefficients and bases take turns (paper); "joint": both in every step. */
  phases: z.enum(["alternating", "joint"]),
  /** Epochs before the phases change places; fractions are allowed. */
  phaseEpochs: z.number().positive(),
});

const lossSchema = z.object({
  crossEntropy: z.number().min(0),
  labelSmoothing: z.number().min(0).lt(1),
  distillation: z.number().min(0),
  temperature: z.number().positive(),
  /** Weight of the distance to the teacher's attention maps; absent: it is not in the loss. */
  features: z.number().positive().optional(),
  /** The outputs to match, where there are no labels to learn from besides. */
  outputs: z.array(outputLossSchema).min(1).optional(),
});

/** Everything a compression run depends on besides the files it reads. */
export const settingsSchema = z.object({
  /** Basis kernels of each layer; "auto", with a calibrated start, chooses for each layer. */
  basis: z.union([z.number().int().min(1), z.literal("auto")]),
  /**
   * Where bases and coefficients come from: the kernels alone (paper, section 3.1), or what they do on unlabelled
   * images, pruned to the target at once (`calibrate`).
   */
  start: z.enum(starts).default("svd"),
  /** Images of a calibrated start, or of a saliency by the loss. Where a run is from before this was written, so many. */
  calibrationImages: z.number().int().min(1).default(512),
  /**
   * Before anything else, whole channels are removed until this fraction of the original's MACs (paper count) is left,
   * and what is left is trained; absent for none of that.
   */
  channels: z
    .object({
      fraction: z.number().gt(0).max(1),
      /** "tied": channels of residual streams may go as well. */
      sums: z.enum(["fixed", "tied"]).optional(),
      training: stageSchema,
      /** What is learned from in that training; by default as in all others. */
      loss: lossSchema.optional(),
      /** Whether later stages learn from what it ends with, which is faster than the original. */
      teaches: z.boolean(),
    })
    .optional(),
  retrain: stageSchema,
  fineTune: stageSchema,
  /**
   * Coefficients go little by little in retraining, and may come back, until the MACs target is reached after the share
   * `until` of the steps; absent for one cut after it.
   */
  gradual: z.object({ until: z.number().gt(0).max(1), interval: z.number().int().min(1) }).optional(),
  /** Strength λ of λ‖coefficients‖₁ in retraining, or of the channels' norms. */
  l1: z.number().min(0),
  l1Form: z.enum(["proximal", "subgradient", "channels"]),
  prune: pruneSchema,
  /** Absent: "magnitude". */
  saliency: z.enum(saliencies).optional(),
  loss: lossSchema,
  optimizer: z.object({ momentum: z.number().min(0).lt(1), weightDecay: z.number().min(0) }),
  /** Decay of an average of the weights over fine-tuning's steps, which is what the stage ends with; absent for none. */
  averaging: z.number().gt(0).lt(1).optional(),
  /** Divide the learning rate of each basis by the curvature its coefficients give it (see `basisRates`). */
  scaleBasisRate: z.boolean(),
  /** "insert": give normalisations back to a network that has none, for the time of training. */
  batchNormalization: z.enum(["batch", "frozen", "insert"]),
  /** Shrinking leaves multiples of so many channels: ONNX Runtime's fast convolutions want blocks. */
  channelMultiple: z.number().int().min(1),
  /** Removing dead channels at the start of each training epoch that finds enough of them; see `ShrinkingRule`. */
  shrinkWhileTraining: z.union([
    z.literal("off"),
    z.object({ multiple: z.number().int().min(1), minimumGain: z.number().min(0).lt(1) }),
  ]),
  /** How the result's weights are stored; absent: as the model that came in has them. */
  weights: z.enum([...weightsTypes, "auto"]).optional(),
  batch: z.number().int().min(1),
  augmentation: z.object({ padding: z.number().int().min(0), flip: z.boolean() }),
  /** Share of the training images held out for validation. */
  validation: z.number().min(0).lt(1),
  trainLimit: z.number().int().min(1).optional(),
  threads: z.number().int().min(1),
  /** Where the training steps run. */
  device: z.enum(devices).default("cpu"),
  checkpointSeconds: z.number().positive(),
});

export type Settings = z.infer<typeof settingsSchema>;

/** `config.json`: written once when a run starts, read when it is resumed. */
export const configSchema = z.object({
  format: z.literal(1),
  model: z.string(),
  /** Bytes of the model's file and its data files, as it came in; of the float32 network's if it was de-quantized. */
  modelBytes: z.number().int().min(1).optional(),
  data: z.string(),
  seed: z.number().int().min(0),
  /** Dimensions of inputs that the model's file leaves open, as `stages/original.onnx` has them. */
  inputShapes: z.record(z.string(), z.array(z.number().int().min(1))).optional(),
  /** Whether the result's weights go into a file of their own; by default only where they must. */
  externalData: z.boolean().optional(),
  /** The file of the network that is learned from in place of the original. */
  teacher: z.string().optional(),
  preset: z.string(),
  settings: settingsSchema,
  /** Names of all classes in the order of the model's outputs, where labels are matched to them by name. */
  classes: z.array(z.string()).min(1).optional(),
  /** By what the training images are known again; absent in runs from before this was written. */
  images: z.object({ count: z.number().int().min(1), classes: z.string() }).optional(),
  /** What the networks are judged by; "labels" where absent. */
  reference: z.enum(references).optional(),
  /** Outputs that cannot be matched to the original's, and why. */
  leftOut: z.array(z.object({ output: z.string(), reason: z.string() })).optional(),
  preprocessing: z.object({
    mean: z.array(z.number()),
    std: z.array(z.number()),
    scale: z.number(),
    layout: z.enum(layouts),
    colour: z.enum(colourOrders),
    // Runs from before these were written.
    resize: z.enum(resizeModes).default("cover"),
    crop: z.number().gt(0).lt(1).optional(),
    pad: z.array(z.number().int().min(0).max(255)).length(3).optional(),
    filter: z.literal("cubic").default("cubic"),
  }),
  versions: z.object({ penni: z.string(), node: z.string(), onnxruntime: z.string() }),
});

export type RunConfig = z.infer<typeof configSchema>;

const CHANNEL_MULTIPLE = 8;

const shared = {
  ...compressionDefaults,
  start: "svd",
  channelMultiple: CHANNEL_MULTIPLE,
  shrinkWhileTraining: { multiple: CHANNEL_MULTIPLE, minimumGain: 0.02 },
  threads: availableParallelism(),
  device: "cpu",
} as const;

/** A training stage of the paper: 0.01, divided by 10 at 50 % and 75 %; phases swap every two epochs. */
function paperStage(epochs: number): Settings["retrain"] {
  return {
    epochs,
    schedule: { kind: "step", initial: 0.01, factor: 0.1, milestones: [0.5, 0.75] },
    phases: "alternating",
    phaseEpochs: 2,
  };
}

/** What begins with a calibration, which makes the zeros: nothing is retrained before. */
const calibrated = {
  basis: "auto",
  start: "calibrate",
  retrain: { epochs: 0, schedule: { kind: "cosine", initial: 0.01 }, phases: "joint", phaseEpochs: 1 },
  l1: 0,
  l1Form: "proximal",
  scaleBasisRate: true,
  batchNormalization: "insert",
} as const satisfies Partial<Settings>;

/** How a network learns to do without the channels that were removed: nearly a training of its own. */
export const channelTraining: Settings["retrain"] = {
  ...recoveryDefaults,
  phases: "joint",
  phaseEpochs: 1,
};

/** Zhu and Gupta 2018 train about as long again after their last cut; here fine-tuning follows besides. */
export const gradualPruning: Settings["gradual"] = { until: 0.75, interval: 32 };

/** Named settings; command line options override single values. */
export const presets: Readonly<Record<PresetName, Settings>> = {
  /** The procedure of the paper (section 4.1), for as long as it takes. */
  paper: {
    ...shared,
    retrain: paperStage(100),
    fineTune: paperStage(30),
    l1: 1e-4,
    l1Form: "subgradient",
    prune: { rule: "deviation", factor: 1 },
    loss: compressionLoss("labels"),
    scaleBasisRate: false,
    batchNormalization: "batch",
  },
  /** Minutes instead of hours: distillation from the original, fewer epochs, a MACs target. */
  fast: {
    ...shared,
    retrain: {
      epochs: 1.5,
      schedule: { kind: "cosine", initial: 0.01 },
      phases: "alternating",
      phaseEpochs: 0.5,
    },
    fineTune: { epochs: 4, schedule: { kind: "cosine", initial: 0.02 }, phases: "joint", phaseEpochs: 1 },
    l1: 3e-4,
    l1Form: "proximal",
    prune: { rule: "macs", fraction: fractionsLeft.trained },
    loss: compressionLoss("mixed"),
    scaleBasisRate: true,
    batchNormalization: "insert",
  },
  /**
   * Hours: the calibrated start, a basis for each layer, and one long fine-tuning of all at once whose weights are
   * averaged. Who gives no other teacher learns from the network as it came in.
   */
  best: {
    ...shared,
    ...calibrated,
    fineTune: { epochs: 30, schedule: { kind: "cosine", initial: 0.02 }, phases: "joint", phaseEpochs: 1 },
    averaging: 0.998,
    prune: { rule: "macs", fraction: fractionsLeft.trained },
    loss: compressionLoss("mixed"),
  },
  /** Minutes, without labels and without training: the calibrated start alone. */
  calibrate: {
    ...shared,
    ...calibrated,
    fineTune: { epochs: 0, schedule: { kind: "cosine", initial: 0.02 }, phases: "joint", phaseEpochs: 1 },
    prune: { rule: "macs", fraction: fractionsLeft.untrained },
    loss: compressionLoss("distill"),
  },
};

type Trainings = Pick<Settings, "channels" | "retrain" | "fineTune">;

/** Of each training, in order; 0 for one that is left out. */
export function trainingEpochs({ channels, retrain, fineTune }: Trainings): readonly number[] {
  return [channels?.training, retrain, fineTune].map((part) => (part === undefined ? 0 : part.epochs));
}

export function hasTraining(settings: Trainings): boolean {
  return trainingEpochs(settings).some((epochs) => epochs > 0);
}

/** Where the basis is chosen for each layer, the smallest that is tried for 3x3 kernels stands for all. */
const SMALLEST_AUTOMATIC_BASIS = 4;

/** One number of basis kernels for all layers. */
export function fixedBasis({ basis }: Pick<Settings, "basis">): number {
  return basis === "auto" ? SMALLEST_AUTOMATIC_BASIS : basis;
}
