import type { Figures, Summary } from "../method/run/summary.js";
import { type Column, compactNumber, formatTable } from "./table.js";

interface Row {
  readonly figure: string;
  readonly original: string;
  readonly compressed: string;
  readonly ratio: string;
}

interface Figure {
  readonly name: string;
  readonly value: (figures: Figures) => number;
  readonly text: (value: number) => string;
}

const figures: readonly Figure[] = [
  { name: "parameters", value: (f) => f.parameters, text: compactNumber },
  { name: "MACs (paper count)", value: (f) => f.paperMacs, text: compactNumber },
  { name: "MACs (executed)", value: (f) => f.executedMacs, text: compactNumber },
  { name: "file, bytes", value: (f) => f.bytes, text: (value) => value.toLocaleString("en-US") },
  { name: "latency, ms, 1 thread", value: (f) => f.latencyMs, text: (value) => value.toFixed(2) },
];

const columns: readonly Column<Row>[] = [
  { title: "", cell: (row) => row.figure, dropOrder: 0 },
  { title: "original", cell: (row) => row.original, align: "right", dropOrder: 0 },
  { title: "compressed", cell: (row) => row.compressed, align: "right", dropOrder: 0 },
  { title: "", cell: (row) => row.ratio, align: "right", dropOrder: 1 },
];

const share = ({ test }: Figures): number => test.correct / test.total;
const percent = (value: number): string => `${(100 * value).toFixed(2)} %`;

/** The before/after table of a run and where its model is, no wider than `width` characters. */
export function describeSummary(summary: Summary, width: number): string {
  return `${summaryTable(summary, width)}\n\n${summary.model}`;
}

/** The before/after table of a run, no wider than `width` characters. */
export function summaryTable({ original, compressed }: Summary, width: number): string {
  const points = 100 * (share(compressed) - share(original));
  const accuracy: Row = {
    figure: "top-1, test split",
    original: percent(share(original)),
    compressed: percent(share(compressed)),
    ratio: `${points >= 0 ? "+" : ""}${points.toFixed(2)} points`,
  };
  const costs = figures.map(({ name, value, text }): Row => {
    const [before, after] = [value(original), value(compressed)];
    return {
      figure: name,
      original: text(before),
      compressed: text(after),
      ratio: `${((100 * after) / before).toFixed(1)} %`,
    };
  });
  return formatTable(columns, [accuracy, ...costs], width);
}
