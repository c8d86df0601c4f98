import { at } from "../../graph/at.js";
import { shareInterval } from "../../measure/interval.js";
import { likeness, sameAnswers } from "../../measure/likeness.js";
import type { OutputAgreement } from "../../measure/output_comparison.js";
import { describeParts } from "../../measure/output_parts.js";
import { escapeHtml, type Html, html } from "../../text/destinations.js";
import type {
  Outcome,
  OutcomeChange,
  OutcomeFigures,
  OutcomeTest,
  TrainingOutcome,
} from "../data/outcome_schema.js";
import type { RunReport } from "../data/run.js";
import { bytes, compact, counted, milliseconds, number, percent, signed, times } from "../format.js";
import type { JudgementLevel } from "../judgement.js";
import { judgementOf, type RunJudgement } from "../run_judgement.js";
import type { ReportSection } from "../shell.js";

/** The first screen: what there is now, whether to use it, and what to do next. */
export function overview(report: RunReport): ReportSection {
  const { run } = report;
  const figures =
    run.outcome === undefined
      ? []
      : run.kind === "compression"
        ? compressed(run.outcome)
        : trained(run.outcome);
  return {
    id: "result",
    title: "Result",
    isTitleHidden: true,
    body: [judgementCard(judgementOf(report)), figureList(figures)],
  };
}

const signs: Readonly<Record<JudgementLevel, Html>> = {
  good: html`<path d="M5 13l4.5 4.5L19 7"/>`,
  fair: html`<path d="M4 14c3-5 5-5 8-2s5 3 8-2"/>`,
  poor: html`<path d="M6 6l12 12M18 6L6 18"/>`,
  open: html`<path d="M12 5v7l4.5 3"/>`,
};

/** What was concluded, and the command that comes next. */
export function judgementCard({ level, headline, text, next }: RunJudgement): Html {
  const command =
    next === undefined
      ? html``
      : html`<div class="next"><p class="muted">${escapeHtml(next.text)}</p>${commandBlock(next.command)}</div>`;
  return html`<div class="judgement ${escapeHtml(level)}">
<span class="sign" aria-hidden="true"><svg viewBox="0 0 24 24">${signs[level]}</svg></span>
<h3>${escapeHtml(headline)}</h3>
<p>${escapeHtml(text)}</p>
${command}
</div>`;
}

/** A command to be copied. */
export function commandBlock(command: string): Html {
  return html`<div class="command"><pre><code>${escapeHtml(command)}</code></pre><button type="button" hidden>Copy</button></div>`;
}

/** One figure before and after. */
interface FigureCard {
  readonly name: string;
  readonly big: string;
  readonly small: string;
  readonly pair: string;
  readonly sure: string;
  readonly picture: Html;
}

function figureList(cards: readonly FigureCard[]): Html {
  if (cards.length === 0) return html``;
  const items = cards.map(
    ({ name, big, small, pair, sure, picture }) => html`<div><dt>${escapeHtml(name)}</dt>
<dd class="big">${escapeHtml(big)} <small>${escapeHtml(small)}</small></dd>
<dd>${picture}</dd>
<dd class="pair">${escapeHtml(pair)}</dd>
<dd class="sure">${escapeHtml(sure)}</dd></div>`,
  );
  return html`<dl class="figures">
${items}
</dl>`;
}

const ARROW = " \u2192 ";
const NO_DIFFERENCE = "no difference";

function compressed(outcome: Outcome): readonly FigureCard[] {
  const { original, compressed: now, changes } = outcome;
  const speed = (
    pick: (figures: OutcomeFigures) => Measured | undefined,
    name: string,
    change: OutcomeChange | undefined,
  ) => {
    const [before, after] = [pick(original), pick(now)];
    return before === undefined || after === undefined ? [] : [timeCard(name, before, after, change)];
  };
  return [
    ...qualityCards(outcome),
    countCard("File", original.bytes, now.bytes, "smaller", bytes),
    ...speed(compiledTime, "Time per image, compiled to WebAssembly", changes?.compiled),
    ...speed(runtimeTime, "Time per image in ONNX Runtime", changes?.latency),
    countCard("Multiply-accumulates (paper count)", original.paperMacs, now.paperMacs, "fewer", compact),
    countCard("Parameters that are not zero", original.parameters, now.parameters, "fewer", compact),
  ];
}

interface Measured {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

function runtimeTime({ latencyMs, latencySpread }: OutcomeFigures): Measured {
  return {
    value: latencyMs,
    low: latencySpread?.lowMs ?? latencyMs,
    high: latencySpread?.highMs ?? latencyMs,
  };
}

function compiledTime({ compiledMs, compiledSpread }: OutcomeFigures): Measured | undefined {
  if (compiledMs === undefined) return undefined;
  return {
    value: compiledMs,
    low: compiledSpread?.lowMs ?? compiledMs,
    high: compiledSpread?.highMs ?? compiledMs,
  };
}

function countCard(
  name: string,
  before: number,
  after: number,
  less: string,
  text: (value: number) => string,
): FigureCard {
  return {
    name,
    big: times(before, after),
    small: less,
    pair: `${text(before)}${ARROW}${text(after)}`,
    sure: `${percent(after / before)} of the original; counted, not measured`,
    picture: versus(
      [
        { value: before, low: before, high: before },
        { value: after, low: after, high: after },
      ],
      0,
    ),
  };
}

function timeCard(
  name: string,
  before: Measured,
  after: Measured,
  change: OutcomeChange | undefined,
): FigureCard {
  const isSame = change?.differs === false;
  const ratio = change === undefined ? before.value / after.value : 1 / change.value;
  const spoken = ratio >= 1 ? times(ratio, 1) : times(1 / ratio, 1);
  const range =
    change === undefined
      ? "one thread"
      : `${percent(change.low)} to ${percent(change.high)} of the original with 95\u202f% confidence, one thread`;
  return {
    name,
    big: isSame ? NO_DIFFERENCE : spoken,
    small: isSame ? "measured" : ratio >= 1 ? "faster" : "slower",
    pair: `${milliseconds(before.value)}${ARROW}${milliseconds(after.value)}`,
    sure: range,
    picture: versus([before, after], 0),
  };
}

function qualityCards({ original, compressed: now, changes, agreement }: Outcome): readonly FigureCard[] {
  if (original.test !== undefined && now.test !== undefined)
    return [accuracyCard(original.test, now.test, changes?.test)];
  if (agreement === undefined) return [];
  return agreement.outputs.slice(0, 2).map((figures) => {
    const { output, error, sameClass } = figures;
    const share = sameAnswers(figures);
    const off = error === null ? "not finite" : percent(error);
    const on = `on ${counted(agreement.images, "test image")}`;
    return {
      name: `Output ${output}`,
      big: share === undefined ? off : percent(share),
      small: share === undefined ? "off" : sameClass === undefined ? "found by both" : "same answers",
      pair: `error ${off} of the output's deviation${byPart(figures)}`,
      sure: `compared with the original ${on}: there are no labels`,
      picture: versus([exactly(1), exactly(likeness(figures))], 0),
    };
  });
}

/** Parts that a card has room for. */
const MOST_PARTS = 4;

/** What the error is the largest of. */
function byPart({ parts = [] }: Pick<OutputAgreement, "parts">): string {
  if (parts.length < 2) return "";
  if (parts.length > MOST_PARTS) return `, the largest of ${parts.length} parts`;
  const names = describeParts(parts);
  const errors = parts.map(
    ({ error }, part) => `${at(names, part)} ${error === null ? "not finite" : percent(error)}`,
  );
  return `; by part: ${errors.join(", ")}`;
}

const exactly = (value: number): Measured => ({ value, low: value, high: value });

function measuredShare({ correct, total, low, high }: OutcomeTest): Measured {
  // Runs from before intervals were written.
  const interval = shareInterval(correct, total);
  return { value: correct / total, low: low ?? interval.low, high: high ?? interval.high };
}

function accuracyCard(
  before: OutcomeTest,
  after: OutcomeTest,
  change: OutcomeChange | undefined,
): FigureCard {
  const [first, second] = [measuredShare(before), measuredShare(after)];
  const difference = second.value - first.value;
  const range =
    change === undefined
      ? ""
      : `; ${signed(100 * change.low)} to ${signed(100 * change.high)} points with 95\u202f% confidence`;
  return {
    name: "Accuracy (top-1)",
    big: change?.differs === false ? NO_DIFFERENCE : signed(100 * difference),
    small: change?.differs === false ? "measured" : "points",
    pair: `${percent(first.value, 2)}${ARROW}${percent(second.value, 2)}`,
    sure: `${counted(before.total, "test image")}${range}`,
    picture: versus([first, second], 0),
  };
}

function trained({ test, validation, epochs }: TrainingOutcome): readonly FigureCard[] {
  const measured = measuredShare(test);
  return [
    {
      name: "Accuracy (top-1)",
      big: percent(measured.value, 2),
      small: "of the test images",
      pair: `${test.correct.toLocaleString("en-US")} of ${counted(test.total, "image")}`,
      sure: `${percent(measured.low, 2)} to ${percent(measured.high, 2)} with 95\u202f% confidence`,
      picture: versus([measured], 0),
    },
    {
      name: "Training",
      big: `${epochs}`,
      small: epochs === 1 ? "epoch" : "epochs",
      pair:
        validation === undefined
          ? "no images were held out"
          : `${percent(validation, 2)} of the images held out`,
      sure: "passes over the training images",
      picture: html``,
    },
  ];
}

/** Bars above each other, the original's first, with whiskers where there is an interval. */
function versus(values: readonly Measured[], least: number): Html {
  const most = values.reduce((max, { value, high }) => Math.max(max, value, high), least);
  const x = (value: number): Html => number(most <= least ? 0 : (300 * (value - least)) / (most - least));
  const bars = values.map(({ value, low, high }, index) => {
    const [top, kind] = [number(index * 14), escapeHtml(index === 0 && values.length > 1 ? "old" : "new")];
    const whisker =
      low === high
        ? html``
        : html`<path class="whisker" d="M${x(low)} ${number(index * 14 + 5)}H${x(high)}m0 -3v6M${x(low)} ${number(index * 14 + 2)}v6"/>`;
    return html`<rect class="${kind}" x="0" y="${top}" width="${x(value)}" height="10" rx="2"/>${whisker}`;
  });
  return html`<svg class="versus" viewBox="0 0 300 26" preserveAspectRatio="none" aria-hidden="true">${bars}</svg>`;
}
