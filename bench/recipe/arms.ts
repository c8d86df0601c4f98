import { PenniError } from "../../src/graph/errors.js";
import { sharedPath } from "../../support/shared.js";

/** What all arms are run with. */
export interface Setting {
  /** Of each run in all. */
  readonly epochs: number;
  /** Fraction of the multiply-accumulates that is left, where the arm says nothing else. */
  readonly targetMacs: number;
}

/** A way to compress: one row of the table. */
export interface Arm {
  readonly name: string;
  /** What it is asked for, as a heading of the table. */
  readonly question: string;
  /** The arms that it is to be compared with: each differs from it in one thing. */
  readonly against: readonly string[];
  /** Options of `penni compress` besides model, images, seed and directory; or the PyTorch script's. */
  readonly run:
    | { readonly by: "penni"; readonly options: (setting: Setting) => readonly string[] }
    | { readonly by: "pytorch"; readonly parts: (epochs: number) => Parts };
  /** Seconds of an epoch of ResNet-20 on the quiet machine of the README, and of all besides. */
  readonly seconds: { readonly epoch: number; readonly rest: number };
}

/** Epochs of both trainings. */
export interface Parts {
  readonly retrain: number;
  readonly fineTune: number;
}

/** Retraining takes a share of the epochs. */
function parts(epochs: number, retraining: number): Parts {
  const retrain = epochs * retraining;
  return { retrain, fineTune: epochs - retrain };
}

const words = (text: string): readonly string[] => (text === "" ? [] : text.split(" "));

function lengths(epochs: number, retraining: number): readonly string[] {
  const { retrain, fineTune } = parts(epochs, retraining);
  return words(`--epochs ${retrain} --fine-tune-epochs ${fineTune}`);
}

/** Epochs before coefficients and bases take turns, on both sides. */
export const PAPER_PHASE = 0.5;

/** Seconds of an epoch by who teaches; `penni compress` spent 10 min 22 s on 5.5 epochs with the original as teacher. */
const epochs = { own: 113, nobody: 80, resnet56: 160, pytorch: 125 } as const;
/** Start, test, measurements and report; and a calibration besides. */
const rests = { svd: 30, calibrated: 105 } as const;

interface Made {
  readonly epoch?: number;
  /** In place of the common fraction; "own": what the preset's rule comes to. */
  readonly target?: number | "own";
}

function penni(
  retraining: number,
  base: string,
  rest: number,
): (more: string, made?: Made) => Pick<Arm, "run" | "seconds"> {
  return (more, { epoch = epochs.own, target } = {}) => ({
    run: {
      by: "penni",
      options: ({ epochs, targetMacs }) => [
        ...lengths(epochs, retraining),
        ...words(base),
        ...words(more),
        ...(target === "own" ? [] : words(`--target-macs ${target ?? targetMacs}`)),
      ],
    },
    seconds: { epoch, rest },
  });
}

/** The decomposition of the kernels, retrained and cut once, as the preset fast. */
const fast = penni(0.25, "--preset fast", rests.svd);
/** As much retraining as fine-tuning, without a penalty, all together: what gradual pruning is compared with. */
const halves = penni(0.5, "--preset fast --l1 0 --phases joint", rests.svd);
/** The calibrated start, then fine-tuning alone. */
const calibrated = penni(0, "--preset fast --start calibrate --basis auto", rests.calibrated);
/** The published procedure, whose phases would be longer than a short training. */
const paper = penni(0.75, `--preset paper --phase-epochs ${PAPER_PHASE}`, rests.svd);

/** Of the published rule at one deviation: what both sides are compared at (docs/training-speed.md). */
const PAPER_FRACTION = 0.312;

const resnet56 = `--teacher ${sharedPath("models/resnet56.onnx")}`;

/** All arms, most worth knowing first within each question; what an arm is compared with is an arm. */
export const arms: readonly Arm[] = [
  { name: "fast", question: "the start, and one budget over all layers", against: [], ...fast("") },
  {
    name: "calibrated",
    question: "the start, and one budget over all layers",
    against: ["fast", "calibrated-d5"],
    ...calibrated(""),
  },
  {
    name: "calibrated-d5",
    question: "the start, and one budget over all layers",
    against: ["fast"],
    ...calibrated("--basis 5"),
  },
  { name: "fast-d4", question: "the size of the basis", against: ["fast"], ...fast("--basis 4") },
  { name: "fast-d6", question: "the size of the basis", against: ["fast"], ...fast("--basis 6") },
  { name: "fast-joint", question: "joint against alternating", against: ["fast"], ...fast("--phases joint") },
  { name: "cut", question: "one cut against little by little", against: ["fast-joint"], ...halves("") },
  {
    name: "gradual",
    question: "one cut against little by little",
    against: ["cut"],
    ...halves("--gradual"),
  },
  {
    name: "calibrated-gradual",
    question: "one cut against little by little",
    against: ["calibrated"],
    ...penni(
      0.5,
      "--preset fast --start calibrate --basis auto --l1 0 --phases joint",
      rests.calibrated,
    )("--gradual"),
  },
  {
    name: "fisher",
    question: "what goes: magnitude against the loss",
    against: ["cut"],
    ...halves("--saliency fisher"),
  },
  {
    name: "taylor",
    question: "what goes: magnitude against the loss",
    against: ["cut"],
    ...halves("--saliency taylor"),
  },
  {
    name: "fast-fisher",
    question: "what goes: magnitude against the loss",
    against: ["fast"],
    ...fast("--saliency fisher"),
  },
  { name: "ema", question: "averaged weights", against: ["calibrated"], ...calibrated("--ema 0.998") },
  {
    name: "rate-half",
    question: "the schedule of the fine-tuning",
    against: ["calibrated"],
    ...calibrated("--fine-tune-lr 0.01"),
  },
  {
    name: "rate-quarter",
    question: "the schedule of the fine-tuning",
    against: ["calibrated"],
    ...calibrated("--fine-tune-lr 0.005"),
  },
  {
    name: "rate-double",
    question: "the schedule of the fine-tuning",
    against: ["calibrated"],
    ...calibrated("--fine-tune-lr 0.04"),
  },
  {
    name: "one-cycle",
    question: "the schedule of the fine-tuning",
    against: ["calibrated"],
    ...calibrated("--schedule one-cycle --fine-tune-lr 0.05"),
  },
  {
    name: "longer",
    question: "twice the epochs (not equal)",
    against: ["calibrated"],
    ...longer(calibrated("")),
  },
  {
    name: "labels",
    question: "who teaches, and what",
    against: ["calibrated"],
    ...calibrated("--loss labels", { epoch: epochs.nobody }),
  },
  {
    name: "distillation-40",
    question: "who teaches, and what",
    against: ["calibrated"],
    ...calibrated("--distillation 0.4"),
  },
  {
    name: "distillation-95",
    question: "who teaches, and what",
    against: ["calibrated"],
    ...calibrated("--distillation 0.95"),
  },
  {
    name: "temperature-2",
    question: "who teaches, and what",
    against: ["calibrated"],
    ...calibrated("--temperature 2"),
  },
  {
    name: "temperature-8",
    question: "who teaches, and what",
    against: ["calibrated"],
    ...calibrated("--temperature 8"),
  },
  {
    name: "features",
    question: "who teaches, and what",
    against: ["calibrated"],
    ...calibrated("--teacher-features 5"),
  },
  {
    name: "teacher",
    question: "who teaches, and what",
    against: ["calibrated"],
    ...calibrated(resnet56, { epoch: epochs.resnet56 }),
  },
  {
    name: "teacher-features",
    question: "who teaches, and what",
    against: ["teacher"],
    ...calibrated(`${resnet56} --teacher-features 5`, { epoch: epochs.resnet56 }),
  },
  {
    name: "penalty-channels",
    question: "whole channels",
    against: ["fast"],
    ...fast("--penalty channels"),
  },
  {
    name: "channels",
    question: "whole channels",
    against: ["fast"],
    ...channelsFirst(""),
  },
  {
    name: "residual-channels",
    question: "whole channels",
    against: ["channels"],
    ...channelsFirst(" --residual-channels"),
  },
  {
    name: "paper",
    question: "the published procedure, at its own amount",
    against: [],
    ...paper("", { epoch: epochs.nobody, target: "own" }),
  },
  {
    name: "paper-pytorch",
    question: "the published procedure, at its own amount",
    against: ["paper"],
    run: { by: "pytorch", parts: (count) => parts(count, 0.75) },
    seconds: { epoch: epochs.pytorch, rest: rests.svd },
  },
  {
    name: "calibrated-31",
    question: "the published procedure, at its own amount",
    against: ["paper-pytorch"],
    ...calibrated("", { target: PAPER_FRACTION }),
  },
];

/** Half of the epochs train what removing channels leaves. */
function channelsFirst(more: string): Pick<Arm, "run" | "seconds"> {
  return {
    run: {
      by: "penni",
      options: ({ epochs, targetMacs }) => [
        ...words(`--preset fast --channels 0.75${more} --channel-epochs ${epochs / 2}`),
        ...lengths(epochs / 2, 0.25),
        ...words(`--target-macs ${targetMacs}`),
      ],
    },
    seconds: { epoch: epochs.own, rest: rests.svd },
  };
}

function longer({ run, seconds }: Pick<Arm, "run" | "seconds">): Pick<Arm, "run" | "seconds"> {
  if (run.by !== "penni") return { run, seconds };
  const { options } = run;
  return {
    run: { by: "penni", options: (setting) => options({ ...setting, epochs: 2 * setting.epochs }) },
    seconds: { ...seconds, epoch: 2 * seconds.epoch },
  };
}

/** @throws PenniError "bad-option" for a name that no arm has */
export function armNamed(name: string): Arm {
  const found = arms.find((arm) => arm.name === name);
  if (found !== undefined) return found;
  throw new PenniError("bad-option", "there is no such arm", {
    expected: arms.map((arm) => arm.name).join(", "),
    found: name,
  });
}
