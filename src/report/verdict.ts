import path from "node:path";
import { last } from "../graph/at.js";
import { sameAnswers } from "../measure/likeness.js";
import type { RunConfig } from "../run/config.js";
import type { Outcome } from "./data/outcome_schema.js";
import type { RunReport } from "./data/run.js";
import { counted, percent, signed, times } from "./format.js";
import { shellLine } from "./shell_words.js";

/** Whether a result is to be used: "open" where that is not known yet. */
export type VerdictLevel = "good" | "fair" | "poor" | "open";

export interface Verdict {
  readonly level: VerdictLevel;
  /** In a few words. */
  readonly headline: string;
  /** Why, in a sentence or two. */
  readonly text: string;
  /** What to do next, and the command that does it. */
  readonly next: { readonly text: string; readonly command: string } | undefined;
}

/** Losses up to here are worth it for many, and training on is worth it beyond: shares of top-1, or of same answers. */
const SMALL_LOSS = 0.01;
const LARGE_LOSS = 0.03;
/** Errors of outputs without classes, as shares of their deviation. */
const SMALL_ERROR = 0.1;
const LARGE_ERROR = 0.25;
/** Below this nothing was gained. */
const LEAST_GAIN = 1.05;
/** With fewer test images a loss of a point cannot be told from chance. */
const FEW_IMAGES = 1000;

/** What to think of a run as it stands. */
export function verdictOf(report: RunReport): Verdict {
  const { run, state, root } = report;
  if (run.outcome === undefined) return unfinished(report);
  if (run.kind === "training") {
    const { test } = run.outcome;
    return {
      level: "good",
      headline: `The network is trained: ${percent(test.correct / test.total)} top-1`,
      text: `Measured once, on ${counted(test.total, "test image")} that took no part in any choice.`,
      next: {
        text: "Make it small and fast:",
        command: shellLine([
          "penni",
          "compress",
          modelOf(root),
          "--data",
          run.config.data,
          "-o",
          `${root}-small`,
        ]),
      },
    };
  }
  const verdict = judge(run.outcome);
  const finished = { ...verdict, next: nextStep(verdict.level, report, run.config) };
  return state === "running" ? { ...finished, text: `${finished.text} The run is still at work.` } : finished;
}

const modelOf = (root: string): string => path.join(root, "model.onnx");

function unfinished({ run, state, root, metrics }: RunReport): Verdict {
  const command = run.kind === "compression" ? "compress" : "train";
  const last = metrics.at(-1);
  const so =
    last === undefined ? "No epoch is over yet." : `Last: epoch ${last.epoch} of stage ${last.stage}.`;
  if (state === "running") {
    return {
      level: "open",
      headline: "The run is at work",
      text: `${so} Size, speed and accuracy are measured once, at the end.`,
      next: {
        text: "Follow it in a browser:",
        command: shellLine(["penni", "report", "--watch", root, "--open"]),
      },
    };
  }
  return {
    level: "open",
    headline: "The run was stopped before its end",
    text: `${so} There is no result yet; nothing that was done is lost.`,
    next: { text: "Go on with it:", command: shellLine(["penni", command, "--resume", root]) },
  };
}

type Judgement = Pick<Verdict, "level" | "headline" | "text">;

/** How much is lost, in words and as a level. */
interface Quality {
  readonly level: "none" | "small" | "middle" | "large" | "unknown";
  readonly text: string;
}

function judge(outcome: Outcome): Judgement {
  const gains = gainsOf(outcome);
  const quality = qualityOf(outcome);
  const best = gains.reduce((most, { factor }) => Math.max(most, factor), 0);
  const gained = gains
    .filter(({ factor }) => factor >= LEAST_GAIN)
    .map(({ factor, what }) => `${times(factor, 1)} ${what}`);
  const gain =
    gained.length === 0 ? "It is neither smaller nor faster than the original" : `It is ${listed(gained)}`;
  const text = `${gain}. ${quality.text}`;
  if (best < LEAST_GAIN) return { level: "poor", headline: "Not worth using: nothing was gained", text };
  switch (quality.level) {
    case "none":
      return { level: "good", headline: "Ready to use", text };
    case "small":
      return { level: "good", headline: "Ready to use, if the small loss does not matter", text };
    case "middle":
      return { level: "fair", headline: "Usable, but training longer is likely to pay", text };
    case "large":
      return { level: "poor", headline: "Not to be used yet: too much accuracy is lost", text };
    case "unknown":
      return { level: "fair", headline: "Smaller, but check it on your own data", text };
  }
}

/** "2.5x smaller, 2.4x faster compiled". */
function gainsOf({
  original,
  compressed,
  changes,
}: Outcome): readonly { readonly factor: number; readonly what: string }[] {
  const faster = (change: { readonly value: number; readonly differs: boolean } | undefined, what: string) =>
    change?.differs === true ? [{ factor: 1 / change.value, what }] : [];
  return [
    { factor: original.bytes / compressed.bytes, what: "smaller" },
    ...faster(changes?.compiled, "faster compiled to WebAssembly"),
    ...faster(changes?.latency, "faster in ONNX Runtime"),
  ];
}

function listed(parts: readonly string[]): string {
  const rest = parts.slice(0, -1);
  return rest.length === 0 ? last(parts) : `${rest.join(", ")} and ${last(parts)}`;
}

function qualityOf({ original, compressed, changes, agreement }: Outcome): Quality {
  const [before, after] = [original.test, compressed.test];
  if (before !== undefined && after !== undefined) {
    const { value, low, high, differs } = changes?.test ?? {
      value: after.correct / after.total - before.correct / before.total,
      low: -1,
      high: 1,
      differs: true,
    };
    const few =
      before.total < FEW_IMAGES ? ` Only ${counted(before.total, "test image")}: the interval is wide.` : "";
    const range =
      changes?.test === undefined
        ? ""
        : ` (95\u202f% confidence: ${signed(100 * low)} to ${signed(100 * high)})`;
    if (!differs) return { level: "none", text: `No change of accuracy was measured${range}.${few}` };
    const word = value < 0 ? "fell" : "rose";
    const text = `Top-1 ${word} by ${Math.abs(100 * value).toFixed(2)} points${range}.${few}`;
    return { level: levelOf(-value, SMALL_LOSS, LARGE_LOSS), text };
  }
  return agreement === undefined
    ? { level: "unknown", text: "Nothing says how well it does." }
    : agreementQuality(agreement);
}

function agreementQuality({ images, outputs }: NonNullable<Outcome["agreement"]>): Quality {
  const classes = outputs.map(sameAnswers).filter((share) => share !== undefined);
  const on = `on ${counted(images, "test image")}`;
  if (classes.length > 0) {
    const least = Math.min(...classes);
    return {
      level: levelOf(1 - least, SMALL_LOSS, LARGE_LOSS),
      text: `${percent(least)} of the answers are those of the original ${on}.`,
    };
  }
  const errors = outputs.map(({ error }) => (error === null ? Number.POSITIVE_INFINITY : error));
  const most = Math.max(...errors);
  if (!Number.isFinite(most)) return { level: "large", text: "An output is not finite." };
  return {
    level: levelOf(most, SMALL_ERROR, LARGE_ERROR),
    text: `The outputs are off by at most ${percent(most)} of their deviation from image to image, ${on}.`,
  };
}

function levelOf(loss: number, small: number, large: number): Quality["level"] {
  if (loss <= 0) return "none";
  if (loss <= small) return "small";
  return loss <= large ? "middle" : "large";
}

/** Epochs of fine-tuning to suggest where accuracy was lost. */
const MORE_EPOCHS = 8;

/** Options with a value that the suggested command has anew. */
const replaced: readonly string[] = ["-o", "--out", "--fine-tune-epochs"];

function nextStep(level: VerdictLevel, report: RunReport, config: RunConfig): Verdict["next"] {
  const { root, sessions } = report;
  if (level === "good") {
    const compile = ["penni", "compile", modelOf(root), "--target", "wasm", "--example"];
    const command = shellLine([...compile, "-o", path.join(root, "wasm")]);
    return { text: "Compile it for a page, where its zeros make it fast:", command };
  }
  const epochs = Math.max(MORE_EPOCHS, Math.ceil(2 * config.settings.fineTune.epochs));
  const given = sessions.find(({ command }) => command[1] === "compress" && !command.includes("--resume"));
  const words = given?.command ?? [
    "penni",
    "compress",
    config.model,
    "--data",
    config.data,
    "--preset",
    config.preset,
  ];
  const isReplaced = (word: string | undefined): boolean => word !== undefined && replaced.includes(word);
  const kept = words.filter((word, index) => !isReplaced(word) && !isReplaced(words[index - 1]));
  const command = shellLine([...kept, "--fine-tune-epochs", `${epochs}`, "-o", `${root}-longer`]);
  return { text: "Train longer, into a new directory:", command };
}
