import type { MetricName } from "../sweep/metrics.js";
import type { SweepResults, TrialRow } from "../sweep/results.js";
import { describeValue, describeValues } from "./sweep_settings.js";
import { type Column, compactNumber, formatTable } from "./table.js";
import { wrap } from "./terminal.js";

const percent = (value: number): string => `${(100 * value).toFixed(2)} %`;

/** A column of a figure; "-" where a run has none. */
function figure(
  title: string,
  name: MetricName,
  text: (value: number, row: TrialRow) => string,
  dropOrder: number,
): Column<TrialRow> {
  const cell = (row: TrialRow): string => {
    const value = row.figures[name];
    return value === undefined ? "-" : text(value, row);
  };
  return { title, cell, align: "right", dropOrder };
}

/** Marks a trial that no other one beats in quality and multiply-accumulates. */
const BEST = "*";

function columns(results: SweepResults, axes: readonly string[]): readonly Column<TrialRow>[] {
  const [front] = results.pareto;
  const best = new Set(front?.trials.map(({ number }) => number));
  const share = (value: number, { original }: TrialRow): string =>
    original === undefined ? compactNumber(value) : percent(value / original.macs);
  return [
    { title: "trial", cell: ({ number }) => `${number}${best.has(number) ? BEST : ""}`, dropOrder: 0 },
    ...axes.map((axis, index): Column<TrialRow> => {
      const cell = ({ values }: TrialRow): string => {
        const value = values[axis];
        return value === undefined ? "-" : describeValue(value);
      };
      return { title: axis, cell, align: "right", dropOrder: 1 + index };
    }),
    figure("top-1", "quality", percent, 0),
    figure("MACs", "macs", share, 0),
    figure("bytes", "bytes", compactNumber, 1 + axes.length),
    figure("compiled, ms", "compiledMs", (value) => value.toFixed(2), 2 + axes.length),
    {
      title: "",
      cell: ({ status, sameAs }) => (sameAs === undefined ? status : `as ${sameAs}`),
      dropOrder: 0,
    },
  ];
}

/** The table of a sweep, what is marked in it, and why trials failed. */
export function describeSweep(results: SweepResults, axes: readonly string[], width: number): string {
  const { trials, pareto } = results;
  const [front] = pareto;
  const failures = trials.flatMap(({ number, values, reason }) =>
    reason === undefined ? [] : [`trial ${number} (${describeValues(values)}) failed: ${reason}`],
  );
  const legend =
    front === undefined || front.trials.length === 0
      ? []
      : [`${BEST} no other trial is better in ${front.by.join(" and ")}`];
  const notes = [...legend, ...failures].map((line) => wrap(line, width));
  return [
    formatTable(columns(results, axes), trials, width),
    ...(notes.length === 0 ? [] : ["", ...notes]),
  ].join("\n");
}

/** "top-1 91.20 %, 32.10 % of the MACs" */
export function describeResult({ figures, original }: TrialRow): string {
  const { quality, macs } = figures;
  return [
    ...(quality === undefined ? [] : [`top-1 ${percent(quality)}`]),
    ...(macs === undefined || original === undefined ? [] : [`${percent(macs / original.macs)} of the MACs`]),
  ].join(", ");
}
