import { cifarAugmentation } from "../data/augment.js";
import type { LossOptions } from "../train/losses.js";
import type { UpdateRule } from "../train/optimizer.js";
import type { Schedule } from "../train/schedule.js";

/**
 * What is pruned and trained with where nothing else is asked for. Each number stands here alone, without what is
 * behind it, so that the command line can name it without loading that.
 */

/** The shares of the labels and of the original's outputs, by what a loss is called. */
export const lossShares = {
  labels: { crossEntropy: 1, distillation: 0 },
  mixed: { crossEntropy: 0.3, distillation: 0.7 },
  distill: { crossEntropy: 0, distillation: 1 },
} as const;

/** What training learns from: the labels, the original's outputs, or both. */
export type LossName = keyof typeof lossShares;

export const lossNames = ["labels", "mixed", "distill"] as const satisfies readonly LossName[];

/** What a compressed network learns from. */
export function compressionLoss(name: LossName): Omit<LossOptions, "outputs"> {
  const { crossEntropy, distillation } = lossShares[name];
  return { crossEntropy, labelSmoothing: 0, distillation, temperature: 4 };
}

/** What a network learns from that has nobody to learn from. */
export function labelLoss(labelSmoothing: number): LossOptions {
  return { crossEntropy: 1, labelSmoothing, distillation: 0, temperature: 1 };
}

/** How a parameter is trained that neither a penalty nor a mask is for. */
export const plainRule = { l1: "none", masked: false, rate: 1 } as const satisfies UpdateRule;

const MOMENTUM = 0.9;

/** Up and down again (Smith 2018); the rate is for batches of 128. */
export function oneCycle(peak: number): Extract<Schedule, { readonly kind: "one-cycle" }> {
  return { kind: "one-cycle", peak, warmUp: 0.15, fall: "linear" };
}

/** Of `penni compress`, and of a training as a library function. */
export const compressionDefaults = {
  /** Basis kernels of each layer. */
  basis: 5,
  /** Images of a calibrated start. */
  calibrationImages: 512,
  optimizer: { momentum: MOMENTUM, weightDecay: 1e-4 },
  batch: 128,
  augmentation: cifarAugmentation,
  /** Share of the training images held out. */
  validation: 0.05,
  checkpointSeconds: 30,
} as const;

/** How a network learns to do without the channels that were removed: nearly a training of its own. */
export const recoveryDefaults = { epochs: 8, schedule: oneCycle(0.05) } as const;

/** Of the original's multiply-accumulates (paper count) so much is left, with training and without. */
export const fractionsLeft = { trained: 0.42, untrained: 0.58 } as const;

/** Of `penni train`. */
export const trainingDefaults = {
  schedule: oneCycle(0.1),
  labelSmoothing: 0.05,
  optimizer: { momentum: MOMENTUM, weightDecay: 5e-4 },
  batch: 128,
  augmentation: cifarAugmentation,
  validation: 0.02,
  checkpointSeconds: 60,
} as const;
