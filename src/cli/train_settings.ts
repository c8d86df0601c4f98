import { availableParallelism } from "node:os";
import { InvalidArgumentError } from "commander";
import type { PictureOptions } from "../data/picture_format.js";
import type { Device } from "../execute/device.js";
import { compressionLoss, trainingDefaults } from "../method/defaults.js";
import type { TrainingSettings } from "../run/training_config.js";
import { contradiction } from "./extra.js";
import { type InputShapes, sidesOf } from "./options.js";

type Resolution = TrainingSettings["resolutions"][number];

export const scheduleNames = ["one-cycle", "cosine"] as const;

export interface TrainOptions extends PictureOptions {
  /** Of a configuration file. */
  readonly model?: string;
  readonly data?: string;
  readonly out?: string;
  readonly resume?: string;
  readonly epochs: number;
  readonly lr?: number;
  readonly schedule: (typeof scheduleNames)[number];
  readonly warmUp?: number;
  readonly labelSmoothing?: number;
  readonly weightDecay?: number;
  readonly momentum?: number;
  readonly ema?: number;
  /** An .onnx file. */
  readonly teacher?: string;
  readonly distillation?: number;
  readonly temperature?: number;
  readonly cutout?: number;
  readonly insertNormalization?: boolean;
  readonly resolution?: readonly Resolution[];
  readonly pad?: number;
  readonly flip: boolean;
  readonly batch?: number;
  readonly seed: number;
  readonly threads?: number;
  readonly device: Device;
  readonly validation?: number;
  readonly trainLimit?: number;
  readonly checkpointSeconds?: number;
  readonly inputShape?: InputShapes;
  readonly classes?: string;
  readonly open?: boolean;
  readonly json?: boolean;
}

/** Of images, in pixels. */
const LARGEST_SIDE = 8192;

/** Parser of "16:0.5,24:0.3" or "64x48:0.5": sizes, width first, and their shares of the epochs. */
export function resolutionList(text: string): readonly Resolution[] {
  return text.split(",").map((part) => {
    const [size, share, ...more] = part.split(":");
    const sides = size === undefined || more.length > 0 ? undefined : sidesOf(size, LARGEST_SIDE);
    const isShare = share !== undefined && share.trim() !== "" && Number(share) > 0 && Number(share) < 1;
    if (sides !== undefined && isShare) return { ...sides, share: Number(share) };
    throw new InvalidArgumentError(`expected SIZE:SHARE with a share between 0 and 1, found "${part}"`);
  });
}

/** The defaults with what the command line says in their place. */
export async function trainingSettings(options: TrainOptions): Promise<TrainingSettings> {
  const { defaultTraining: defaults } = await import("../run/training_config.js");
  const { epochs, trainLimit, device, momentum, weightDecay, pad, flip, cutout, ema } = options;
  return {
    ...defaults,
    epochs,
    schedule: scheduleFrom(options),
    labelSmoothing: options.labelSmoothing ?? defaults.labelSmoothing,
    ...distillationFrom(options),
    optimizer: {
      momentum: momentum ?? defaults.optimizer.momentum,
      weightDecay: weightDecay ?? defaults.optimizer.weightDecay,
    },
    resolutions: [...(options.resolution ?? defaults.resolutions)],
    batch: options.batch ?? defaults.batch,
    augmentation: {
      padding: pad ?? defaults.augmentation.padding,
      flip,
      ...(cutout === undefined ? {} : { cutout }),
    },
    ...(ema === undefined ? {} : { averaging: ema }),
    ...(options.insertNormalization === true ? { batchNormalization: "insert" } : {}),
    validation: options.validation ?? defaults.validation,
    ...(trainLimit === undefined ? {} : { trainLimit }),
    threads: options.threads ?? availableParallelism(),
    device,
    checkpointSeconds: options.checkpointSeconds ?? defaults.checkpointSeconds,
  };
}

/** @throws PenniError "bad-option" for what there is no teacher for */
function distillationFrom({
  teacher,
  distillation,
  temperature,
}: TrainOptions): Pick<TrainingSettings, "distillation"> {
  const usual = compressionLoss("mixed");
  if (teacher !== undefined)
    return {
      distillation: {
        share: distillation ?? usual.distillation,
        temperature: temperature ?? usual.temperature,
      },
    };
  if (distillation === undefined && temperature === undefined) return {};
  const option = distillation === undefined ? "--temperature" : "--distillation";
  throw contradiction(option, "--teacher FILE, a network to learn from", "none");
}

function scheduleFrom({ schedule, lr, warmUp }: TrainOptions): TrainingSettings["schedule"] {
  const cycle = trainingDefaults.schedule;
  const peak = lr ?? cycle.peak;
  if (schedule === "one-cycle") return { ...cycle, peak, warmUp: warmUp ?? cycle.warmUp };
  if (warmUp === undefined || warmUp === 0) return { kind: "cosine", initial: peak };
  return { kind: "one-cycle", peak, warmUp, fall: "cosine" };
}
