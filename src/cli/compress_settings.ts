import { availableParallelism } from "node:os";
import type { Device } from "../execute/device.js";
import { type LossName, lossShares, oneCycle } from "../method/defaults.js";
import { isGoal } from "../method/goal/rules.js";
import type { Settings } from "../run/config.js";
import type { Penalty, PresetName, Saliency } from "../run/names.js";
import type { OutputChoice } from "../run/outputs.js";
import { highestRate, type Schedule, withRate } from "../train/schedule.js";
import { contradiction } from "./extra.js";
import type { AskedRule } from "./goal_options.js";

/** The options of `penni compress` that are settings of a run. */
export interface SettingOptions {
  /** Default: the preset's. */
  readonly rule?: AskedRule;
  readonly preset: PresetName;
  readonly basis?: number | "auto";
  readonly start?: Settings["start"];
  readonly calibrationImages?: number;
  readonly channels?: number;
  readonly residualChannels?: boolean;
  readonly channelEpochs?: number;
  readonly channelLr?: number;
  readonly channelLoss?: LossName;
  readonly teacher?: TeacherOption;
  readonly teacherFeatures?: number;
  readonly saliency?: Saliency;
  readonly gradual?: boolean;
  readonly epochs?: number;
  readonly fineTuneEpochs?: number;
  readonly phaseEpochs?: number;
  readonly lr?: number;
  readonly fineTuneLr?: number;
  readonly l1?: number;
  readonly penalty?: Penalty;
  readonly loss?: LossName;
  readonly outputLoss?: ReadonlyMap<string, OutputChoice>;
  readonly distillation?: number;
  readonly temperature?: number;
  readonly labelSmoothing?: number;
  readonly shrinkWhileTraining: boolean;
  readonly weightsType?: Settings["weights"];
  readonly batch?: number;
  readonly threads?: number;
  readonly device: Device;
  readonly validation?: number;
  readonly trainLimit?: number;
  readonly weightDecay?: number;
  readonly ema?: number;
  readonly phases?: Settings["retrain"]["phases"];
  readonly schedule?: ScheduleName;
  readonly checkpointSeconds?: number;
}

/** What later stages learn from: the network that came in, or what is left of it once it has recovered. */
const teacherNames = ["original", "recovered"] as const;

/** One of these names, or another classifier's file. */
export type TeacherOption = { readonly name: (typeof teacherNames)[number] } | { readonly file: string };

export function teacherOption(text: string): TeacherOption {
  const name = teacherNames.find((candidate) => candidate === text);
  return name === undefined ? { file: text } : { name };
}

export const scheduleNames = ["cosine", "one-cycle"] as const;

export type ScheduleName = (typeof scheduleNames)[number];

const schedules: Readonly<Record<ScheduleName, (peak: number) => Schedule>> = {
  cosine: (initial) => ({ kind: "cosine", initial }),
  "one-cycle": oneCycle,
};

/** Times a preset's strength for single coefficients is what whole channels need (docs/training-speed.md). */
const CHANNEL_STRENGTH = 10;

/**
 * The preset's settings with what the command line says in their place.
 * @throws PenniError "bad-option" if two options contradict each other
 */
export async function settingsFrom(options: SettingOptions): Promise<Settings> {
  const [{ channelTraining, gradualPruning, presets }, { askedCriterion }] = await Promise.all([
    import("../run/config.js"),
    import("../method/goal/criterion.js"),
  ]);
  const preset = presets[options.preset];
  const prune = options.rule?.rule ?? preset.prune;
  const hasTarget = askedCriterion(prune)?.fraction !== undefined;
  const { phaseEpochs } = options;
  const stage = (name: "retrain" | "fineTune", epochs?: number, rate?: number): Settings["retrain"] => ({
    ...preset[name],
    ...given({ epochs, phaseEpochs }),
    ...(name === "retrain" && options.phases !== undefined ? { phases: options.phases } : {}),
    schedule: scheduleFrom(preset[name].schedule, options.schedule, rate),
  });
  const retrain = stage("retrain", options.epochs, options.lr);
  return {
    ...preset,
    ...channelsFrom(options, preset.loss, channelTraining),
    retrain,
    fineTune: stage("fineTune", options.fineTuneEpochs, options.fineTuneLr),
    ...(options.basis === undefined ? {} : { basis: options.basis }),
    ...(options.start === undefined ? {} : { start: options.start }),
    ...(options.weightsType === undefined ? {} : { weights: options.weightsType }),
    ...penaltyFrom(options, preset, retrain),
    ...given({
      calibrationImages: options.calibrationImages,
      batch: options.batch,
      validation: options.validation,
      trainLimit: options.trainLimit,
      checkpointSeconds: options.checkpointSeconds,
    }),
    ...(options.shrinkWhileTraining ? {} : { shrinkWhileTraining: "off" }),
    optimizer: { ...preset.optimizer, ...given({ weightDecay: options.weightDecay }) },
    ...given({ averaging: options.ema }),
    loss: lossFrom(options, preset.loss),
    prune,
    ...gradualFrom(options, retrain, hasTarget, gradualPruning),
    ...saliencyFrom(options, preset, hasTarget || prune.rule === "loss"),
    threads: options.threads ?? availableParallelism(),
    device: options.device,
  };
}

/** The preset's schedule, or another one of the same highest rate unless one is given. */
function scheduleFrom(preset: Schedule, name: ScheduleName | undefined, rate?: number): Schedule {
  const schedule = name === undefined ? preset : schedules[name](highestRate(preset));
  return rate === undefined ? schedule : withRate(schedule, rate);
}

function channelsFrom(
  options: SettingOptions,
  preset: Settings["loss"],
  training: Settings["retrain"],
): Pick<Settings, "channels"> {
  const { channels, residualChannels, channelEpochs, channelLr, channelLoss, teacher } = options;
  if (channels === undefined) {
    const [given] = Object.entries({
      "--residual-channels": residualChannels,
      "--channel-epochs": channelEpochs,
      "--channel-lr": channelLr,
      "--channel-loss": channelLoss,
      "--teacher recovered": isRecovered(teacher) ? true : undefined,
    }).find(([, value]) => value !== undefined) ?? [undefined];
    if (given === undefined) return {};
    throw contradiction(given, "--channels", "a run that removes no channels first");
  }
  const { rule } = options;
  if (rule !== undefined && isGoal(rule.rule))
    throw contradiction("--channels", "a rule such as --target-macs, or --deviations", rule.option);
  const loss = channelLoss === undefined ? undefined : { ...preset, ...lossShares[channelLoss] };
  if (loss !== undefined && loss.crossEntropy > 0 && lossFrom(options, preset).crossEntropy === 0)
    throw contradiction(`--channel-loss ${channelLoss}`, "a loss with labels", "a run without labels");
  const { epochs, schedule } = training;
  return {
    channels: {
      fraction: channels,
      ...(residualChannels === true ? { sums: "tied" } : {}),
      training: {
        ...training,
        epochs: channelEpochs ?? epochs,
        schedule: channelLr === undefined ? schedule : withRate(schedule, channelLr),
      },
      ...(loss === undefined ? {} : { loss }),
      teaches: isRecovered(teacher),
    },
  };
}

function isRecovered(teacher: TeacherOption | undefined): boolean {
  return teacher !== undefined && "name" in teacher && teacher.name === "recovered";
}

function gradualFrom(
  options: SettingOptions,
  { epochs }: Settings["retrain"],
  hasTarget: boolean,
  pruning: Settings["gradual"],
): Pick<Settings, "gradual"> {
  if (options.gradual !== true) return {};
  if (epochs === 0) throw contradiction("--gradual", "--epochs above 0", "no retraining");
  if (!hasTarget) {
    const found = options.rule?.option ?? `the rule of --preset ${options.preset}`;
    throw contradiction("--gradual", "a target (--target-macs)", found);
  }
  return { gradual: pruning };
}

function saliencyFrom(
  { saliency, start, gradual, rule, preset: name }: SettingOptions,
  preset: Pick<Settings, "start">,
  hasTarget: boolean,
): Pick<Settings, "saliency"> {
  if (saliency === undefined || saliency === "magnitude") return {};
  const option = `--saliency ${saliency}`;
  if ((start ?? preset.start) === "calibrate")
    throw contradiction(option, "--start svd", "--start calibrate, which has an own measure of what goes");
  if (gradual === true) throw contradiction(option, "one cut after retraining", "--gradual");
  const found = rule?.option ?? `the rule of --preset ${name}`;
  if (!hasTarget) throw contradiction(option, "--target-macs or --max-loss", found);
  return { saliency };
}

function penaltyFrom(
  { penalty, l1 }: SettingOptions,
  preset: Pick<Settings, "l1" | "l1Form">,
  { epochs }: Settings["retrain"],
): Pick<Settings, "l1" | "l1Form"> {
  if (penalty !== "channels") return { l1Form: preset.l1Form, l1: l1 ?? preset.l1 };
  const strength = l1 ?? CHANNEL_STRENGTH * preset.l1;
  if (epochs === 0) throw contradiction("--penalty channels", "--epochs above 0", "no retraining");
  if (strength === 0) throw contradiction("--penalty channels", "--l1 above 0", "a penalty of strength 0");
  return { l1Form: "channels", l1: strength };
}

function lossFrom(options: SettingOptions, preset: Settings["loss"]): Settings["loss"] {
  const { loss, outputLoss, distillation, labelSmoothing, temperature, teacherFeatures } = options;
  if (distillation !== undefined && loss !== undefined && loss !== "mixed")
    throw contradiction("--distillation", "the shares of --loss mixed", `--loss ${loss}`);
  const weights = {
    ...preset,
    ...(loss === undefined ? {} : lossShares[loss]),
    ...(distillation === undefined ? {} : { distillation, crossEntropy: 1 - distillation }),
  };
  if (weights.crossEntropy === 0 && labelSmoothing !== undefined)
    throw contradiction("--label-smoothing", "a loss with labels", "--loss distill");
  if (weights.crossEntropy > 0 && outputLoss !== undefined)
    throw contradiction(
      "--output-loss",
      "--loss distill",
      loss === undefined ? `the loss with labels of --preset ${options.preset}` : `--loss ${loss}`,
    );
  if (weights.distillation === 0 && temperature !== undefined)
    throw contradiction("--temperature", "a loss with the original's outputs", "a loss of labels alone");
  return { ...weights, ...given({ labelSmoothing, temperature, features: teacherFeatures }) };
}

/** The entries that are not undefined. */
function given<Entries extends Readonly<Record<string, number | undefined>>>(
  entries: Entries,
): { [Key in keyof Entries]?: number } {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined)) as {
    [Key in keyof Entries]?: number;
  };
}
