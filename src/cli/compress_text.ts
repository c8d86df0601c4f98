import { at } from "../graph/at.js";
import type { Change } from "../measure/interval.js";
import type { OutputAgreement } from "../measure/output_comparison.js";
import { describeParts } from "../measure/output_parts.js";
import type { Spread } from "../measure/rounds.js";
import { judge } from "../report/judgement.js";
import type { Changes, Figures, Summary } from "../run/summary.js";
import { classFigure } from "./class_figure.js";
import { describeGoalOutcome } from "./goal_text.js";
import { type Column, compactNumber, formatTable } from "./table.js";
import { wrap } from "./terminal.js";

interface Row {
  readonly figure: string;
  readonly original: string;
  readonly compressed: string;
  readonly ratio: string;
}

interface Figure {
  readonly name: string;
  readonly value: (figures: Figures) => number | undefined;
  readonly text: (value: number) => string;
  /** Of what is measured, not counted. */
  readonly spread?: (figures: Figures) => Spread | undefined;
  readonly change?: (changes: Changes) => Change | undefined;
}

const figures: readonly Figure[] = [
  { name: "parameters", value: (f) => f.parameters, text: compactNumber },
  { name: "MACs (paper count)", value: (f) => f.paperMacs, text: compactNumber },
  { name: "MACs (executed)", value: (f) => f.executedMacs, text: compactNumber },
  { name: "file, bytes", value: (f) => f.bytes, text: (value) => value.toLocaleString("en-US") },
  {
    name: "latency, ms, 1 thread",
    value: (f) => f.latencyMs,
    text: (value) => value.toFixed(2),
    spread: (f) => f.latencySpread,
    change: (changes) => changes.latency,
  },
  {
    name: "the same, compiled",
    value: (f) => f.compiledMs,
    text: (value) => value.toFixed(2),
    spread: (f) => f.compiledSpread,
    change: (changes) => changes.compiled,
  },
];

/** @param agreement without which the last column says nothing that the others do not */
const columns = (agreement: Summary["agreement"]): readonly Column<Row>[] => [
  { title: "", cell: (row) => row.figure, dropOrder: 0 },
  { title: "original", cell: (row) => row.original, align: "right", dropOrder: 0 },
  { title: "compressed", cell: (row) => row.compressed, align: "right", dropOrder: 0 },
  { title: "", cell: (row) => row.ratio, align: "right", dropOrder: agreement === undefined ? 1 : 0 },
];

const percent = (value: number): string => `${(100 * value).toFixed(2)} %`;

const signed = (points: number): string => `${points >= 0 ? "+" : ""}${points.toFixed(2)}`;

/** What is said where a difference may be chance. */
const NO_DIFFERENCE = "no difference measured";

type Test = NonNullable<Figures["test"]>;

/** How right both networks are about the labels. */
function accuracyRow(original: Test, compressed: Test, change: Change | undefined): Row {
  const share = ({ correct, total }: Test): number => correct / total;
  const points = 100 * (share(compressed) - share(original));
  return {
    figure: "top-1, test split",
    original: percent(share(original)),
    compressed: percent(share(compressed)),
    ratio: change?.differs === false ? NO_DIFFERENCE : `${signed(points)} points`,
  };
}

/** One row for each output, by the figure that suits what it is; the one with the largest error first. */
function agreementRows({ outputs }: NonNullable<Summary["agreement"]>): readonly Row[] {
  const size = ({ error }: OutputAgreement): number => (error === null ? Number.POSITIVE_INFINITY : error);
  return outputs
    .toSorted((a, b) => (size(a) === size(b) ? 0 : size(b) - size(a)))
    .flatMap((agreement): readonly Row[] => {
      const { output, error, parts = [] } = agreement;
      const figure = classFigure(agreement);
      if (figure !== undefined) {
        const ratio = `error ${shownError(error)}`;
        const name = `${figure.name}, ${output}`;
        return [{ figure: name, original: percent(1), compressed: percent(figure.value), ratio }];
      }
      if (parts.length < 2 || parts.length > MOST_PARTS) return [errorRow(output, error)];
      const names = describeParts(parts);
      return parts.map((part, index) => errorRow(`${output}${at(names, index)}`, part.error));
    });
}

/** Of an output of more parts one row tells the largest error. */
const MOST_PARTS = 4;

const errorRow = (what: string, error: number | null): Row => {
  return { figure: `error, ${what}`, original: percent(0), compressed: shownError(error), ratio: "" };
};

const shownError = (error: number | null): string => (error === null ? "not finite" : percent(error));

/** The before/after table of a run and where its model is, no wider than `width` characters. */
export function describeSummary(summary: Summary, width: number): string {
  const { agreement, goal, model } = summary;
  const parts = [
    summaryTable(summary, width),
    ...describeCertainty(summary, width),
    ...(agreement === undefined ? [] : [describeAgreement(agreement, width)]),
    ...(goal === undefined ? [] : [describeGoalOutcome(goal, width)]),
    describeJudgement(summary, width),
    model,
  ];
  return parts.join("\n\n");
}

/** Whether to use the result, as its page says it, in the characters of terminals. */
export function describeJudgement(summary: Summary, width: number): string {
  const { headline, text, advice } = judge(summary);
  const plain = [`${headline}.`, text, ...(advice === undefined ? [] : [advice])]
    .join(" ")
    .replaceAll("\u202f", " ")
    .replaceAll("\u2212", "-")
    .replaceAll("\u00d7", "x");
  return wrap(plain, width);
}

/** What the errors in the table are shares of. */
function describeAgreement({ images, outputs }: NonNullable<Summary["agreement"]>, width: number): string {
  const errors = `Errors are root mean squares on ${images} test images, as shares of the original output's deviation from image to image.`;
  const found =
    "Found by both: of what either finds (boxes of a score of 0.25 or more; else a class other than the commonest, or a probability above one half), the share that both find.";
  const hasOverlap = outputs.some(({ overlap }) => overlap !== undefined);
  return wrap(hasOverlap ? `${errors} ${found}` : errors, width);
}

/** The before/after table of a run, no wider than `width` characters. */
export function summaryTable({ original, compressed, agreement, changes }: Summary, width: number): string {
  const isTested = original.test !== undefined && compressed.test !== undefined;
  const quality = [
    ...(isTested ? [accuracyRow(original.test, compressed.test, changes?.test)] : []),
    ...(agreement === undefined ? [] : agreementRows(agreement)),
  ];
  const costs = figures.flatMap(({ name, value, text, spread, change }): readonly Row[] => {
    const [before, after] = [value(original), value(compressed)];
    if (before === undefined || after === undefined) return [];
    const measured = changes === undefined ? undefined : change?.(changes);
    const ratio = `${(100 * (measured?.value ?? after / before)).toFixed(1)} %`;
    return [
      {
        figure: name,
        original: `${text(before)}${plusMinus(spread?.(original))}`,
        compressed: `${text(after)}${plusMinus(spread?.(compressed))}`,
        ratio: measured?.differs === false ? NO_DIFFERENCE : ratio,
      },
    ];
  });
  return formatTable(columns(agreement), [...quality, ...costs], width);
}

/** The larger side of an interval, with as many digits as the value. */
function plusMinus(spread: Spread | undefined): string {
  if (spread === undefined) return "";
  const { medianMs, lowMs, highMs } = spread;
  return ` ±${Math.max(highMs - medianMs, medianMs - lowMs).toFixed(2)}`;
}

/** How sure the measured figures of a table are, in lines of at most `width` characters. */
export function describeCertainty(
  { original, compressed, changes }: Summary,
  width: number,
): readonly string[] {
  const texts = [
    ...accuracyCertainty(original.test, compressed.test, changes?.test),
    ...latencyCertainty(original.latencySpread, changes),
  ];
  return texts.length === 0 ? [] : [wrap(texts.join("\n"), width)];
}

function accuracyCertainty(
  original: Test | undefined,
  compressed: Test | undefined,
  change: Change | undefined,
): readonly string[] {
  if (original === undefined || compressed === undefined || change === undefined) return [];
  const range = ({ low = 0, high = 1 }: Test): string =>
    `${(100 * low).toFixed(2)} to ${(100 * high).toFixed(2)} %`;
  const images = original.total.toLocaleString("en-US");
  return [
    `Top-1 of ${images} test ${original.total === 1 ? "image" : "images"}, with 95 % confidence: ${range(original)}, compressed ${range(compressed)}; ` +
      `difference ${signed(100 * change.value)} points, between ${signed(100 * change.low)} and ${signed(100 * change.high)}.`,
  ];
}

function latencyCertainty(spread: Spread | undefined, changes: Changes | undefined): readonly string[] {
  if (spread === undefined || changes === undefined) return [];
  const range = ({ low, high }: Change): string =>
    `${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)} %`;
  const { latency, compiled } = changes;
  return [
    `Latency: median of ${spread.runs} runs in ${spread.roundsMs.length} rounds by turns, with 95 % confidence; compressed ` +
      `${range(latency)} of the original${compiled === undefined ? "" : `, compiled ${range(compiled)}`}.`,
  ];
}
