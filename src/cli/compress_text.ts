import type { Figures, Summary } from "../method/run/summary.js";
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
}

const figures: readonly Figure[] = [
  { name: "parameters", value: (f) => f.parameters, text: compactNumber },
  { name: "MACs (paper count)", value: (f) => f.paperMacs, text: compactNumber },
  { name: "MACs (executed)", value: (f) => f.executedMacs, text: compactNumber },
  { name: "file, bytes", value: (f) => f.bytes, text: (value) => value.toLocaleString("en-US") },
  { name: "latency, ms, 1 thread", value: (f) => f.latencyMs, text: (value) => value.toFixed(2) },
  { name: "the same, compiled", value: (f) => f.compiledMs, text: (value) => value.toFixed(2) },
];

const columns: readonly Column<Row>[] = [
  { title: "", cell: (row) => row.figure, dropOrder: 0 },
  { title: "original", cell: (row) => row.original, align: "right", dropOrder: 0 },
  { title: "compressed", cell: (row) => row.compressed, align: "right", dropOrder: 0 },
  { title: "", cell: (row) => row.ratio, align: "right", dropOrder: 1 },
];

const percent = (value: number): string => `${(100 * value).toFixed(2)} %`;

type Test = NonNullable<Figures["test"]>;

/** How right both networks are about the labels. */
function accuracyRow(original: Test, compressed: Test): Row {
  const share = ({ correct, total }: Test): number => correct / total;
  const points = 100 * (share(compressed) - share(original));
  return {
    figure: "top-1, test split",
    original: percent(share(original)),
    compressed: percent(share(compressed)),
    ratio: `${points >= 0 ? "+" : ""}${points.toFixed(2)} points`,
  };
}

/** How far the compressed network's outputs are from the original's. */
function agreementRows({ outputs }: NonNullable<Summary["agreement"]>): readonly Row[] {
  return outputs.flatMap(({ output, error, sameClass }) => {
    const row = (what: string, original: string, compressed: string): Row => ({
      figure: `${what}, ${output}`,
      original,
      compressed,
      ratio: "",
    });
    return [
      ...(sameClass === undefined ? [] : [row("same class", percent(1), percent(sameClass))]),
      row("error", percent(0), error === null ? "not finite" : percent(error)),
    ];
  });
}

/** The before/after table of a run and where its model is, no wider than `width` characters. */
export function describeSummary(summary: Summary, width: number): string {
  const { agreement, model } = summary;
  const parts = [
    summaryTable(summary, width),
    ...(agreement === undefined ? [] : [describeAgreement(agreement, width)]),
    model,
  ];
  return parts.join("\n\n");
}

/** What the errors in the table are shares of. */
function describeAgreement({ images }: NonNullable<Summary["agreement"]>, width: number): string {
  const text = `Errors are root mean squares on ${images} test images, as shares of the original output's deviation from image to image.`;
  return wrap(text, width);
}

/** The before/after table of a run, no wider than `width` characters. */
export function summaryTable({ original, compressed, agreement }: Summary, width: number): string {
  const isTested = original.test !== undefined && compressed.test !== undefined;
  const quality = [
    ...(isTested ? [accuracyRow(original.test, compressed.test)] : []),
    ...(agreement === undefined ? [] : agreementRows(agreement)),
  ];
  const costs = figures.flatMap(({ name, value, text }): readonly Row[] => {
    const [before, after] = [value(original), value(compressed)];
    if (before === undefined || after === undefined) return [];
    const ratio = `${((100 * after) / before).toFixed(1)} %`;
    return [{ figure: name, original: text(before), compressed: text(after), ratio }];
  });
  return formatTable(columns, [...quality, ...costs], width);
}
