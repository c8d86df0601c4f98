import { hasTraining, type Settings } from "../run/config.js";
import type { SettingOptions } from "./compress_settings.js";

/** What must be so for an option to change anything. */
interface Condition {
  readonly holds: (settings: Settings) => boolean;
  /** What is so otherwise. */
  readonly otherwise: string;
}

const retraining: Condition = {
  holds: ({ retrain }) => retrain.epochs > 0,
  otherwise: "nothing is retrained (--epochs is 0)",
};
const turns: Condition = {
  holds: ({ retrain }) => retrain.epochs > 0 && retrain.phases === "alternating",
  otherwise: "coefficients and bases do not take turns (--epochs above 0, --phases alternating)",
};
const fineTuning: Condition = {
  holds: ({ fineTune }) => fineTune.epochs > 0,
  otherwise: "nothing is fine-tuned (--fine-tune-epochs is 0)",
};
const training: Condition = {
  holds: hasTraining,
  otherwise: "nothing is trained (--epochs and --fine-tune-epochs are 0)",
};
const channelTraining: Condition = {
  holds: ({ channels }) => channels !== undefined && channels.training.epochs > 0,
  otherwise: "nothing is trained once channels are removed (--channel-epochs is 0)",
};
const teaching: Condition = {
  holds: (settings) =>
    hasTraining(settings) && (settings.loss.distillation > 0 || settings.loss.features !== undefined),
  otherwise: "nothing is learned from a teacher (--loss labels, or no training)",
};
const looking: Condition = {
  holds: ({ start, saliency }) => start === "calibrate" || saliency !== undefined,
  otherwise: "neither --start calibrate nor --saliency asks images before training",
};

/** "always": it changes something in every run, or what it contradicts is refused (`settingsFrom`). */
const effects: Readonly<Record<keyof SettingOptions, Condition | "always">> = {
  rule: "always",
  preset: "always",
  basis: "always",
  start: "always",
  calibrationImages: looking,
  channels: "always",
  residualChannels: "always",
  channelEpochs: "always",
  channelLr: channelTraining,
  channelLoss: channelTraining,
  teacher: teaching,
  teacherFeatures: training,
  saliency: "always",
  gradual: "always",
  epochs: "always",
  fineTuneEpochs: "always",
  phaseEpochs: turns,
  lr: retraining,
  fineTuneLr: fineTuning,
  l1: retraining,
  penalty: "always",
  loss: "always",
  outputLoss: "always",
  distillation: training,
  temperature: training,
  labelSmoothing: training,
  shrinkWhileTraining: "always",
  weightsType: "always",
  batch: "always",
  threads: "always",
  device: "always",
  validation: "always",
  trainLimit: "always",
  weightDecay: training,
  ema: fineTuning,
  phases: retraining,
  schedule: training,
  checkpointSeconds: training,
};

/** A sentence for each option that was given and changes nothing in a run with these settings. */
export function idleOptions(options: SettingOptions, settings: Settings): readonly string[] {
  return Object.entries(effects).flatMap(([name, condition]) => {
    const isGiven = options[name as keyof SettingOptions] !== undefined;
    if (!isGiven || condition === "always" || condition.holds(settings)) return [];
    return [`${flagOf(name)} changes nothing here: ${condition.otherwise}`];
  });
}

const flagOf = (name: string): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
