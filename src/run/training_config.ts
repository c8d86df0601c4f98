import { z } from "zod";
import { devices } from "../execute/device.js";
import { labelLoss, trainingDefaults } from "../method/defaults.js";
import type { LossOptions } from "../train/losses.js";
import { configSchema, cosineSchema, oneCycleSchema } from "./config.js";

const side = z.number().int().min(1);

/** Part of a training on smaller (or larger) images than the network is for. */
const resolutionSchema = z.object({
  width: side,
  height: side,
  /** Share of the epochs, rounded to whole ones. */
  share: z.number().gt(0).lt(1),
});

/** How `penni train` trains. */
export const trainingSettingsSchema = z.object({
  /** Passes over the training images; a fraction is allowed. */
  epochs: z.number().positive(),
  schedule: z.discriminatedUnion("kind", [cosineSchema, oneCycleSchema]),
  /** Share of each label that is spread over all classes. */
  labelSmoothing: z.number().min(0).lt(1),
  /** What is learned from another network besides the labels; absent where there is none. */
  distillation: z
    .object({
      /** Weight of its scores in the loss; the labels get the rest. */
      share: z.number().gt(0).lt(1),
      /** Softens both networks' scores. */
      temperature: z.number().positive(),
    })
    .optional(),
  optimizer: z.object({ momentum: z.number().min(0).lt(1), weightDecay: z.number().min(0) }),
  /** Decay of an average of the weights over the last part's steps; absent for none. */
  averaging: z.number().gt(0).lt(1).optional(),
  /** "insert": a network without BatchNormalization gets one behind every convolution, which changes nothing at first. */
  batchNormalization: z.enum(["keep", "insert"]).optional(),
  /** What the first epochs are trained at, in order; the rest at the network's own size. */
  resolutions: z.array(resolutionSchema),
  batch: z.number().int().min(1),
  augmentation: z.object({
    padding: z.number().int().min(0),
    flip: z.boolean(),
    cutout: z.number().int().min(0).optional(),
  }),
  /** Share of the training images held out for validation. */
  validation: z.number().min(0).lt(1),
  trainLimit: z.number().int().min(1).optional(),
  threads: z.number().int().min(1),
  device: z.enum(devices),
  checkpointSeconds: z.number().positive(),
});

export type TrainingSettings = z.infer<typeof trainingSettingsSchema>;

/** What is minimised. @param isTaught whether another network sees the images as it was trained to */
export function trainingLoss(
  { labelSmoothing, distillation }: Pick<TrainingSettings, "labelSmoothing" | "distillation">,
  isTaught: boolean,
): LossOptions {
  const labels = labelLoss(labelSmoothing);
  if (!isTaught || distillation === undefined) return labels;
  const { share, temperature } = distillation;
  return { ...labels, crossEntropy: 1 - share, distillation: share, temperature };
}

/** Tells the configuration of a training from that of a compression, which states no kind. */
export const trainingKind = z.object({ kind: z.literal("training") });

/** `config.json` of a training: written once when it starts, read when it is resumed. */
export const trainingConfigSchema = trainingKind.extend({
  format: z.literal(1),
  model: z.string(),
  data: z.string(),
  seed: z.number().int().min(0),
  settings: trainingSettingsSchema,
  classes: configSchema.shape.classes,
  images: configSchema.shape.images,
  /** Path of the network that is learned from besides the labels. */
  teacher: z.string().optional(),
  preprocessing: configSchema.shape.preprocessing,
  versions: configSchema.shape.versions,
});

export type TrainingConfig = z.infer<typeof trainingConfigSchema>;

/** What is trained with where nothing else is asked for. */
export const defaultTraining: Omit<TrainingSettings, "epochs" | "threads"> = {
  ...trainingDefaults,
  resolutions: [],
  device: "cpu",
};
