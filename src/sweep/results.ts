import { at } from "../graph/at.js";
import type { Costs } from "../search/pareto.js";
import { nonDominated } from "../search/pareto.js";
import { type SweepRecord, TRIALS, trialName } from "./directory.js";
import { costNames, directionOf, type MetricName, metricNames, metricOf } from "./metrics.js";
import { objectivesOf } from "./search_of.js";
import type { TrialState } from "./state.js";

type Figures = Partial<Readonly<Record<MetricName, number>>>;

/** A trial as the table shows it. */
export interface TrialRow {
  readonly number: number;
  readonly values: TrialState["values"];
  /** "paused": begun, and not ended. */
  readonly status: "waiting" | "paused" | "stopped" | "done" | "failed";
  /** Of the result; those that the run has. */
  readonly figures: Figures;
  /** The original network's. */
  readonly original: { readonly macs: number; readonly bytes: number } | undefined;
  /** Directory of its run, from the sweep's; undefined of one that was not begun. */
  readonly run: string | undefined;
  readonly sameAs: number | undefined;
  readonly reason: string | undefined;
  readonly penni: string | undefined;
  readonly worker: string | undefined;
}

/** Trials that no other one beats in all of some figures. */
export interface ParetoFront {
  readonly by: readonly MetricName[];
  readonly trials: readonly (Pick<TrialRow, "number" | "values" | "run"> & { readonly figures: Figures })[];
}

export interface SweepResults {
  readonly format: 1;
  readonly trials: readonly TrialRow[];
  readonly pareto: readonly ParetoFront[];
}

export function resultsOf({ frozen, state }: Pick<SweepRecord, "frozen" | "state">): SweepResults {
  const trials = state.map(rowOf);
  const asked = objectivesOf(frozen.spec.search);
  const pairs = costNames.map((cost): readonly MetricName[] => ["quality", cost]);
  const isCommon = pairs.some((pair) => pair.join() === asked.join());
  const fronts = asked.length < 2 || isCommon ? pairs : [asked, ...pairs];
  return { format: 1, trials, pareto: fronts.map((by) => frontOf(trials, by)) };
}

export function rowOf({
  number,
  values,
  status,
  wasStarted,
  summary,
  provenance,
  sameAs,
  reason,
}: TrialState): TrialRow {
  const figures =
    summary === undefined
      ? {}
      : Object.fromEntries(
          metricNames.flatMap((name) => {
            const value = metricOf(name, summary);
            return value === undefined ? [] : [[name, value]];
          }),
        );
  return {
    number,
    values,
    status: status === "waiting" && wasStarted ? "paused" : status,
    figures,
    original:
      summary === undefined ? undefined : { macs: summary.original.paperMacs, bytes: summary.original.bytes },
    run: wasStarted || sameAs !== undefined ? `${TRIALS}/${trialName(sameAs ?? number)}` : undefined,
    sameAs,
    reason,
    penni: provenance?.penni,
    worker: provenance?.worker,
  };
}

/** The trials that have all of these figures and are beaten by none in all of them; of equal ones all. */
export function frontOf(trials: readonly TrialRow[], by: readonly MetricName[]): ParetoFront {
  const complete = trials.flatMap((trial) => {
    const costs = costsOf(trial, by);
    // What was computed once counts once.
    return costs === undefined || trial.sameAs !== undefined ? [] : [{ trial, costs }];
  });
  const best = new Set(nonDominated(complete.map(({ costs }) => costs)));
  const front = complete.filter((_, index) => best.has(index)).toSorted((a, b) => byLast(a.costs, b.costs));
  return {
    by,
    trials: front.map(({ trial: { number, values, run, figures } }) => ({ number, values, run, figures })),
  };
}

function costsOf({ figures, status }: TrialRow, by: readonly MetricName[]): Costs | undefined {
  if (status !== "done") return undefined;
  const costs = by.flatMap((name) => {
    const value = figures[name];
    return value === undefined ? [] : [directionOf(name) === "maximize" ? -value : value];
  });
  return costs.length === by.length ? costs : undefined;
}

/** From the cheapest on. */
function byLast(a: Costs, b: Costs): number {
  for (let index = a.length - 1; index >= 0; index--) {
    const difference = at(a, index) - at(b, index);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The table as CSV (RFC 4180), a line for each trial. */
export function tableCsv({ trials }: SweepResults, axes: readonly string[]): string {
  const heading = ["trial", ...axes, "status", ...metricNames, "run", "reason"];
  const lines = trials.map(({ number, values, status, figures, run, reason }) => [
    number,
    ...axes.map((axis) => values[axis]),
    status,
    ...metricNames.map((name) => figures[name]),
    run,
    reason,
  ]);
  return [heading, ...lines].map((line) => `${line.map(csvField).join(",")}\r\n`).join("");
}

/** Texts that a spreadsheet would compute are kept from it by a quotation mark. */
function csvField(value: string | number | boolean | undefined): string {
  if (value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The files that say what a sweep has come to so far, by their names. */
export function resultFiles(record: Pick<SweepRecord, "frozen" | "state">): Readonly<Record<string, string>> {
  const results = resultsOf(record);
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  return {
    "results.json": json(results),
    "pareto.json": json({ format: 1, fronts: results.pareto }),
    "table.csv": tableCsv(results, Object.keys(record.frozen.spec.axes)),
  };
}
