import { last } from "../graph/at.js";
import { GUESSING_CAUSES, mayBeGuessing } from "../measure/guessing.js";
import type { Change } from "../measure/interval.js";
import { sameAnswers } from "../measure/likeness.js";
import type { OutputAgreement } from "../measure/output_comparison.js";
import { counted, percent, signed, times } from "./format.js";

/** Whether a result is to be used: "open" where that is not known yet. */
export type JudgementLevel = "good" | "fair" | "poor" | "open";

export interface Judgement {
  readonly level: JudgementLevel;
  /** In a few words. */
  readonly headline: string;
  /** Why, in a sentence or two. */
  readonly text: string;
  /** What to ask for where it lost too much. */
  readonly advice?: string;
}

interface JudgedFigures {
  readonly bytes: number;
  readonly test?:
    | { readonly correct: number; readonly total: number; readonly classes?: number | undefined }
    | undefined;
}

type JudgedOutput = Pick<OutputAgreement, "error"> & {
  readonly [Name in "sameClass" | "overlap"]?: number | undefined;
};

/** What is judged of an outcome, whether it was measured just now or read from `summary.json`. */
export interface Judged {
  readonly original: JudgedFigures;
  readonly compressed: JudgedFigures;
  readonly agreement?: { readonly images: number; readonly outputs: readonly JudgedOutput[] } | undefined;
  readonly changes?:
    | {
        readonly latency: Change;
        readonly compiled?: Change | undefined;
        readonly test?: Change | undefined;
      }
    | undefined;
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

const ADVICE = "Ask for less (a higher --target-macs, or --max-loss), or train on (--fine-tune-epochs 8).";

/** How much is lost, in words and as a level. */
interface Quality {
  readonly level: Loss | "unknown";
  readonly text: string;
}

/** Whether the result of a compression is to be used, by what was gained and what was lost. */
export function judge(outcome: Judged): Judgement {
  const gains = gainsOf(outcome);
  const guess = guessOf(outcome);
  if (guess !== undefined) return guess;
  const quality = qualityOf(outcome);
  const best = gains.reduce((most, { factor }) => Math.max(most, factor), 0);
  const gained = gains
    .filter(({ factor }) => factor >= LEAST_GAIN)
    .map(({ factor, what }) => `${times(factor, 1)} ${what}`);
  const gain =
    gained.length === 0 ? "It is neither smaller nor faster than the original" : `It is ${listed(gained)}`;
  const slower = gains
    .filter(({ factor }) => factor * LEAST_GAIN <= 1)
    .map(({ factor, slower }) => `${times(1 / factor, 1)} ${slower}`);
  const loss = slower.length === 0 ? "" : `, but ${listed(slower)}`;
  const text = `${gain}${loss}. ${quality.text}`;
  if (best < LEAST_GAIN) return { level: "poor", headline: "Not worth using: nothing was gained", text };
  switch (quality.level) {
    case "none":
      return { level: "good", headline: "Ready to use", text };
    case "small":
      return { level: "good", headline: "Ready to use, if the small loss does not matter", text };
    case "middle":
      return {
        level: "fair",
        headline: "Usable, but training longer is likely to pay",
        text,
        advice: ADVICE,
      };
    case "large":
      return {
        level: "poor",
        headline: "Not to be used yet: too much accuracy is lost",
        text,
        advice: ADVICE,
      };
    case "unknown":
      return { level: "fair", headline: "Smaller, but check it on your own data", text };
  }
}

/** Where neither network is better than guessing, nothing is known of what was lost. */
function guessOf({ original: { test: before }, compressed: { test: after } }: Judged): Judgement | undefined {
  const classes = before?.classes;
  if (before === undefined || after === undefined || classes === undefined) return undefined;
  if (!mayBeGuessing(before, classes) || !mayBeGuessing(after, classes)) return undefined;
  return {
    level: "open",
    headline: "Not known: the original itself may be guessing",
    text: `It is right about ${before.correct} of ${counted(before.total, "test image")}, with ${classes} classes: ${GUESSING_CAUSES}.`,
  };
}

interface Gain {
  readonly factor: number;
  readonly what: string;
  /** What it is called where the factor is below 1. */
  readonly slower: string;
}

/** "2.5x smaller, 2.4x faster compiled". */
function gainsOf({ original, compressed, changes }: Judged): readonly Gain[] {
  const faster = (change: Change | undefined, where: string): readonly Gain[] =>
    change?.differs === true
      ? [{ factor: 1 / change.value, what: `faster ${where}`, slower: `slower ${where}` }]
      : [];
  return [
    { factor: original.bytes / compressed.bytes, what: "smaller", slower: "larger" },
    ...faster(changes?.compiled, "compiled to WebAssembly"),
    ...faster(changes?.latency, "in ONNX Runtime"),
  ];
}

function listed(parts: readonly string[]): string {
  const rest = parts.slice(0, -1);
  return rest.length === 0 ? last(parts) : `${rest.join(", ")} and ${last(parts)}`;
}

function qualityOf({ original, compressed, changes, agreement }: Judged): Quality {
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

/** The outputs with answers by the least share that is the original's, the others by the largest error; the worse decides. */
function agreementQuality({ images, outputs }: NonNullable<Judged["agreement"]>): Quality {
  const on = `on ${counted(images, "test image")}`;
  const shares = outputs.map(sameAnswers).filter((share) => share !== undefined);
  const errors = outputs
    .filter((output) => sameAnswers(output) === undefined)
    .map(({ error }) => (error === null ? Number.POSITIVE_INFINITY : error));
  const [least, most] = [Math.min(...shares), Math.max(...errors)];
  const level = worse(
    shares.length === 0 ? "none" : levelOf(1 - least, SMALL_LOSS, LARGE_LOSS),
    errors.length === 0 ? "none" : levelOf(most, SMALL_ERROR, LARGE_ERROR),
  );
  if (errors.length > 0 && !Number.isFinite(most)) return { level, text: "An output is not finite." };
  const areFound = outputs.every(({ sameClass }) => sameClass === undefined);
  const answers = areFound
    ? `Of what either network finds, ${percent(least)} is found by both`
    : `${percent(least)} of the answers are those of the original`;
  const distance = `are off by at most ${percent(most)} of their deviation from image to image`;
  if (errors.length === 0) return { level, text: `${answers} ${on}.` };
  if (shares.length === 0) return { level, text: `The outputs ${distance}, ${on}.` };
  return { level, text: `${answers}, the outputs without answers ${distance}, ${on}.` };
}

const levels = ["none", "small", "middle", "large"] as const;
type Loss = (typeof levels)[number];

const worse = (a: Loss, b: Loss): Loss => (levels.indexOf(a) > levels.indexOf(b) ? a : b);

function levelOf(loss: number, small: number, large: number): Loss {
  if (loss <= 0) return "none";
  if (loss <= small) return "small";
  return loss <= large ? "middle" : "large";
}
