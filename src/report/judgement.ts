import { last } from "../graph/at.js";
import type { ClassFigures } from "../measure/class_tally.js";
import { GUESSING_CAUSES, mayBeGuessing } from "../measure/guessing.js";
import { type Change, type Interval, shareOfThingsInterval } from "../measure/interval.js";
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
  /** What is to be looked at before anything else: whether the original is right at all. */
  readonly doubt?: "original";
}

interface JudgedFigures {
  readonly bytes: number;
  readonly test?:
    | { readonly correct: number; readonly total: number; readonly classes?: number | undefined }
    | undefined;
}

type JudgedOutput = Pick<OutputAgreement, "error" | keyof ClassFigures>;

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

/** Up to the small one a loss is worth it for many, and training on is beyond; above the large one nobody should use it. */
interface Limits {
  readonly small: number;
  readonly large: number;
}

/** Shares of top-1, or of same answers. */
const LOSSES: Limits = { small: 0.01, large: 0.03 };
/**
 * Shares of what is found that one network finds alone. They say more than is lost: a box that changes sides at the least
 * score or overlap counts, whichever network is right, and a box that moves counts for both.
 */
const MISSES: Limits = { small: 0.05, large: 0.1 };
/** Errors of outputs without classes, as shares of their deviation. */
const ERRORS: Limits = { small: 0.1, large: 0.25 };
/** Below this nothing was gained. */
const LEAST_GAIN = 1.05;
/** With fewer test images a loss of a point cannot be told from chance. */
const FEW_IMAGES = 1000;

const ADVICE = "Ask for less (a higher --target-macs, or --max-loss), or train on (--fine-tune-epochs 8).";
const MORE_IMAGES =
  "Run it with more pictures (a folder's test/ or val/, or else a fifth of all, judges), or look at its answers yourself.";

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
    case "few":
      return {
        level: "open",
        headline: "Too few test images to say whether to use it",
        text,
        advice: MORE_IMAGES,
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
    doubt: "original",
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
  if (before !== undefined && after !== undefined) return accuracyQuality(before, after, changes?.test);
  return agreement === undefined
    ? { level: "unknown", text: "Nothing says how well it does." }
    : agreementQuality(agreement);
}

type JudgedTest = NonNullable<JudgedFigures["test"]>;

function accuracyQuality(before: JudgedTest, after: JudgedTest, change: Change | undefined): Quality {
  const images = before.total;
  // Runs from before intervals were written.
  const value = change?.value ?? after.correct / after.total - before.correct / before.total;
  const loss = { value: -value, low: -(change?.high ?? value), high: -(change?.low ?? value) };
  const range =
    change === undefined
      ? ""
      : ` (95\u202f% confidence: ${signed(100 * change.low)} to ${signed(100 * change.high)})`;
  const more = moreImages(images, (times) => narrowed(loss, times), LOSSES);
  const few = images < FEW_IMAGES ? ` Only ${counted(images, "test image")}: the interval is wide.` : "";
  const rest = more === "" ? few : more;
  const level = more === "" ? levelOf(loss.value, LOSSES) : "few";
  if (change?.differs === false) {
    const text = `No change of accuracy was measured${range}.${rest}`;
    return { level: level === "few" ? level : "none", text };
  }
  const word = value < 0 ? "fell" : "rose";
  return { level, text: `Top-1 ${word} by ${Math.abs(100 * value).toFixed(2)} points${range}.${rest}` };
}

/** With so many times as many images. */
function narrowed({ low, high }: Interval, times: number): Interval {
  const [centre, half] = [(low + high) / 2, (high - low) / 2 / Math.sqrt(times)];
  return { low: centre - half, high: centre + half };
}

/** An output's answers, as many as are the original's. */
interface Answered {
  readonly loss: number;
  readonly limits: Limits;
  /** Of the share that is the original's, with so many times as many images; undefined of runs from before it was written. */
  readonly interval: ((times: number) => Interval) | undefined;
}

function answeredOf(output: JudgedOutput, images: number): readonly Answered[] {
  const { sameClass, classOf, answers = classOf === "image" ? images : undefined } = output;
  const share = sameAnswers(output);
  if (share === undefined) return [];
  const limits = sameClass === undefined ? MISSES : LOSSES;
  const interval =
    answers === undefined
      ? undefined
      : (times: number) => shareOfThingsInterval(share, times * answers, times * images);
  return [{ loss: 1 - share, limits, interval }];
}

/** The outputs with answers by the least share that is the original's, the others by the largest error; the worst decides. */
function agreementQuality({ images, outputs }: NonNullable<Judged["agreement"]>): Quality {
  const on = `on ${counted(images, "test image")}`;
  const answered = outputs.flatMap((output) => answeredOf(output, images));
  const errors = outputs
    .filter((output) => sameAnswers(output) === undefined)
    .map(({ error }) => (error === null ? Number.POSITIVE_INFINITY : error));
  const most = Math.max(...errors);
  const level = [
    ...answered.map((each) => levelOfAnswers(each, images)),
    ...errors.map((error) => levelOf(error, ERRORS)),
  ].reduce(worse, "none");
  if (errors.length > 0 && !Number.isFinite(most)) return { level, text: "An output is not finite." };
  const distance = `are off by at most ${percent(most)} of their deviation from image to image`;
  const [first, ...others] = answered;
  if (first === undefined) return { level, text: `The outputs ${distance}, ${on}.` };
  const worst = others.reduce((found, each) => (each.loss > found.loss ? each : found), first);
  const areFound = outputs.every(({ sameClass }) => sameClass === undefined);
  const [share, range] = [percent(1 - worst.loss), rangeOf(worst)];
  const answers = areFound
    ? `Of what either network finds, ${share} is found by both`
    : `${share} of the answers are those of the original`;
  const beside = errors.length === 0 ? " " : `, the outputs without answers ${distance}, `;
  const more =
    level === "few" ? answered.map((each) => moreAnswers(each, images)).find((text) => text !== "") : "";
  return { level, text: `${answers}${range}${beside}${on}.${more}` };
}

function rangeOf({ interval }: Answered): string {
  if (interval === undefined) return "";
  const { low, high } = interval(1);
  return ` (95\u202f% confidence: ${percent(low)} to ${percent(high)})`;
}

function levelOfAnswers(answered: Answered, images: number): Loss {
  return moreAnswers(answered, images) === "" ? levelOf(answered.loss, answered.limits) : "few";
}

function moreAnswers({ interval, limits }: Answered, images: number): string {
  if (interval === undefined) return "";
  const lost = (times: number): Interval => {
    const { low, high } = interval(times);
    return { low: 1 - high, high: 1 - low };
  };
  return moreImages(images, lost, limits);
}

/** Whether a loss may be too large or not, and lies in so wide an interval that nobody can tell. */
const cannotTell = ({ low, high }: Interval, { large }: Limits): boolean =>
  low <= large && high > large && high - low > large;

/** Nobody has more pictures than this for a test. */
const MOST_IMAGES = 1e6;

/** How many test images would tell whether the loss is too large; "" where these do. */
function moreImages(images: number, lossWith: (times: number) => Interval, limits: Limits): string {
  if (!cannotTell(lossWith(1), limits)) return "";
  let wanted = images;
  while (wanted < MOST_IMAGES && cannotTell(lossWith(wanted / images), limits))
    wanted = Math.ceil(1.05 * wanted);
  return ` About ${Number(wanted.toPrecision(2)).toLocaleString("en-US")} test images would tell.`;
}

const levels = ["none", "small", "middle", "few", "large"] as const;
type Loss = (typeof levels)[number];

const worse = (a: Loss, b: Loss): Loss => (levels.indexOf(a) > levels.indexOf(b) ? a : b);

/** 1 - 0.95 is more than 0.05 in binary numbers. */
const ROUNDING = 1e-9;

function levelOf(loss: number, { small, large }: Limits): Exclude<Loss, "few"> {
  if (loss <= 0) return "none";
  if (loss <= small + ROUNDING) return "small";
  return loss <= large + ROUNDING ? "middle" : "large";
}
