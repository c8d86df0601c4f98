import path from "node:path";
import { at } from "../graph/at.js";
import { likeness } from "../measure/likeness.js";
import { escapeHtml, type Html, html } from "../text/destinations.js";
import type { Outcome } from "./data/outcome_schema.js";
import type { RunReport } from "./data/run.js";
import { bytes, compact, counted, milliseconds, number, percent, signed } from "./format.js";
import { linked, type PlotPoint, plot } from "./plot.js";
import { judgementOf } from "./run_judgement.js";
import { problemNotes, statePill } from "./run_page.js";
import { type LivePage, type ReportSection, reportPage } from "./shell.js";

/** A compression that is over. */
interface Finished {
  readonly name: string;
  readonly link: string | undefined;
  readonly outcome: Outcome;
}

/** What is said of the runs as a whole. */
export interface Comparison {
  /** Of the runs, in their order; their directories' by default. */
  readonly names?: readonly string[];
  /** Pages of the runs, in their order. */
  readonly links?: readonly string[];
  readonly title?: string;
  readonly eyebrow?: string;
  /** Below the title. */
  readonly lead?: readonly Html[];
  /** Behind the table of the runs. */
  readonly more?: readonly ReportSection[];
}

/** Several runs beside each other: what each costs and how well it does, as curves and as a table. */
export function comparisonPage(
  reports: readonly RunReport[],
  live?: LivePage,
  { names: given, links = [], title, eyebrow = "Comparison of runs", lead = [], more = [] }: Comparison = {},
): Html {
  const names = given ?? shortNames(reports.map(({ root }) => root));
  const finished = reports.flatMap(({ run }, index): Finished[] =>
    run.kind === "compression" && run.outcome !== undefined
      ? [{ name: at(names, index), link: links[index], outcome: run.outcome }]
      : [],
  );
  const models = [...new Set(reports.map(({ run }) => path.basename(run.config.model)))];
  const problems = reports.flatMap((report, index) =>
    report.problems.map((text) => `${names[index]}: ${text}`),
  );
  return reportPage(
    {
      title:
        title ??
        (models.length === 1
          ? `${models[0]}: ${counted(reports.length, "run")}`
          : counted(reports.length, "run")),
      eyebrow: [html`<span>${escapeHtml(eyebrow)}</span>`],
      lead: [...lead, ...problemNotes(problems)],
      sections: [
        ...tradeOff(finished),
        ...(reports.length === 0 ? [] : [table(reports, names, links)]),
        ...more,
      ],
    },
    live,
  );
}

/** Directories without what all of them begin with. */
function shortNames(roots: readonly string[]): readonly string[] {
  const parts = roots.map((root) => path.resolve(root).split(path.sep));
  const [first] = parts;
  if (first === undefined) return [];
  let common = 0;
  while (
    common < first.length - 1 &&
    parts.every((one) => one.length > common + 1 && one[common] === first[common])
  )
    common++;
  return parts.map((one) => one.slice(common).join("/"));
}

/** How good a network is, as a number that can be drawn. */
interface Quality {
  readonly label: string;
  readonly of: (outcome: Outcome) => Omit<PlotPoint, "x"> | undefined;
}

const accuracy: Quality = {
  label: "top-1",
  of: ({ compressed: { test } }) => {
    if (test === undefined) return undefined;
    const { correct, total, low, high } = test;
    return { y: correct / total, ...(low === undefined || high === undefined ? {} : { low, high }) };
  },
};

const sameAnswers: Quality = {
  label: "answers as the original's, or 1 minus the output's error",
  of: ({ agreement }) => {
    if (agreement === undefined || agreement.outputs.length === 0) return undefined;
    return { y: Math.min(...agreement.outputs.map(likeness)) };
  },
};

/** What a network costs, and how that is said. */
interface Cost {
  readonly title: string;
  readonly label: string;
  readonly of: (outcome: Outcome) => number | undefined;
  readonly original: (outcome: Outcome) => number | undefined;
  readonly text: (value: number) => string;
}

const costs: readonly Cost[] = [
  {
    title: "Accuracy against arithmetic",
    label: "multiply-accumulates",
    of: ({ compressed }) => compressed.paperMacs,
    original: ({ original }) => original.paperMacs,
    text: compact,
  },
  {
    title: "Accuracy against size",
    label: "file",
    of: ({ compressed }) => compressed.bytes,
    original: ({ original }) => original.bytes,
    text: bytes,
  },
  {
    title: "Accuracy against time, compiled to WebAssembly",
    label: "time per image",
    of: ({ compressed }) => compressed.compiledMs,
    original: ({ original }) => original.compiledMs,
    text: milliseconds,
  },
];

function tradeOff(finished: readonly Finished[]): readonly ReportSection[] {
  if (finished.length === 0) return [];
  const quality = finished.some(({ outcome }) => accuracy.of(outcome) !== undefined) ? accuracy : sameAnswers;
  const charts = costs.flatMap((cost) => chart(cost, quality, finished));
  const text =
    "The higher and the further to the left, the better. The line joins the runs that no other one beats in both; whiskers are intervals of 95\u202f% confidence.";
  return [
    {
      id: "trade-off",
      title: "What accuracy costs",
      short: "Trade-off",
      body: [html`<p class="muted">${escapeHtml(text)}</p>`, html`<div class="plots">${charts}</div>`],
    },
  ];
}

function chart(cost: Cost, quality: Quality, finished: readonly Finished[]): readonly Html[] {
  const points = finished.flatMap(({ name, link, outcome }): PlotPoint[] => {
    const [x, y] = [cost.of(outcome), quality.of(outcome)];
    return x === undefined || y === undefined
      ? []
      : [{ x, ...y, label: name, ...(link === undefined ? {} : { link }) }];
  });
  if (points.length === 0) return [];
  const originals = finished.flatMap(({ outcome }): PlotPoint[] => {
    const x = cost.original(outcome);
    const { test } = outcome.original;
    const y = quality === accuracy ? test && test.correct / test.total : 1;
    return x === undefined || y === undefined ? [] : [{ x, y }];
  });
  const [original] = originals;
  const isOne = originals.every((one) => one.y === original?.y);
  const best = front(points);
  const others = points.filter((point) => !best.includes(point));
  return [
    plot({
      title: cost.title,
      xLabel: cost.label,
      yLabel: quality.label,
      xText: cost.text,
      yText: (value) => percent(value),
      series: [
        { name: "runs that no other beats", points: best },
        { name: "other runs", points: others, isJoined: false },
        // Times of one network differ from run to run.
        {
          name: "original",
          points: isOne && original !== undefined ? [original] : originals,
          isJoined: false,
        },
      ],
    }),
  ];
}

/** The points that no other one beats, from the left to the right; of equal ones all, as in a sweep's `pareto.json`. */
function front(points: readonly PlotPoint[]): readonly PlotPoint[] {
  let last: PlotPoint | undefined;
  return points
    .toSorted((a, b) => a.x - b.x || b.y - a.y)
    .filter((point) => {
      if (last !== undefined && (point.y < last.y || (point.y === last.y && point.x > last.x))) return false;
      last = point;
      return true;
    });
}

/** A column of the table. */
interface Column {
  readonly key: string;
  readonly title: string;
  readonly value: (outcome: Outcome) => number | undefined;
  readonly text: (value: number, outcome: Outcome) => string;
}

const columns: readonly Column[] = [
  {
    key: "quality",
    title: "Top-1, or same answers",
    value: (outcome) => (accuracy.of(outcome) ?? sameAnswers.of(outcome))?.y,
    text: (value) => percent(value, 2),
  },
  {
    key: "change",
    title: "Change, points",
    value: ({ changes }) => changes?.test?.value,
    text: (value, { changes }) => (changes?.test?.differs === false ? "none measured" : signed(100 * value)),
  },
  {
    key: "macs",
    title: "MACs left",
    value: ({ original, compressed }) => compressed.paperMacs / original.paperMacs,
    text: (value) => percent(value),
  },
  { key: "bytes", title: "File", value: ({ compressed }) => compressed.bytes, text: bytes },
  {
    key: "compiled",
    title: "Compiled",
    value: ({ compressed }) => compressed.compiledMs,
    text: milliseconds,
  },
  {
    key: "runtime",
    title: "ONNX Runtime",
    value: ({ compressed }) => compressed.latencyMs,
    text: milliseconds,
  },
];

function table(
  reports: readonly RunReport[],
  names: readonly string[],
  links: readonly string[],
): ReportSection {
  const rows = reports.map((report, index) => row(report, at(names, index), links[index]));
  const headings = columns.map(
    ({ key, title }) => html`<th scope="col" data-sort="${escapeHtml(key)}">${escapeHtml(title)}</th>`,
  );
  return {
    id: "runs",
    title: "All runs",
    body: html`<div class="card"><div class="scroll" tabindex="0" role="region" aria-label="Table of all runs"><table data-sortable>
<caption class="hidden">Runs with what they came to</caption>
<thead><tr><th scope="col" data-sort="name">Run</th><th scope="col" class="text">State</th>${headings}<th scope="col" class="text">Judgement</th></tr></thead>
<tbody>
${rows}
</tbody>
</table></div></div>`,
  };
}

function row(report: RunReport, name: string, link: string | undefined): Html {
  const { run, state } = report;
  const outcome = run.kind === "compression" ? run.outcome : undefined;
  const cells = columns.map(({ key, value, text }) => {
    const found = outcome === undefined ? undefined : value(outcome);
    if (found === undefined || outcome === undefined)
      return html`<td data-key="${escapeHtml(key)}">\u2013</td>`;
    return html`<td data-key="${escapeHtml(key)}" data-value="${number(found, 6)}">${escapeHtml(text(found, outcome))}</td>`;
  });
  return html`<tr data-name="${escapeHtml(name)}"><th scope="row" data-key="name" data-value="${escapeHtml(name)}">${linked(name, link)}</th><td class="text">${statePill(state)}</td>${cells}<td class="text">${escapeHtml(judgementOf(report).headline)}</td></tr>`;
}
