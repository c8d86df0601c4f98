import path from "node:path";
import { meanAndDeviation } from "../results/table.js";
import type { Arm } from "./arms.js";
import type { Outcome } from "./carry_out.js";
import { isSame, type Options } from "./recorded.js";

/** An arm and what its finished runs came to, by seed. */
export interface Finished {
  readonly arm: Pick<Arm, "name" | "against">;
  /** What the arm would be run with today. */
  readonly options: Options;
  readonly outcomes: ReadonlyMap<number, Outcome>;
}

const HEAD = `| arm | top-1, each seed | mean | MACs | executed | parameters | against, points | min | options |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
`;

const percent = (share: number, digits = 2): string => (100 * share).toFixed(digits);
const mean = (values: readonly number[]): number => meanAndDeviation(values).mean;

/**
 * The table of docs/recipe.md, from what the runs' folders hold: arms without a finished run are left out. Runs with other
 * options than their arm has today are marked, and nothing is compared with them.
 */
export function tableText(all: readonly Finished[]): string {
  const rows = all.filter(({ outcomes }) => outcomes.size > 0);
  return `${HEAD}${rows.map((row) => line(row, rows)).join("\n")}\n`;
}

function line(row: Finished, rows: readonly Finished[]): string {
  const { arm, outcomes } = row;
  const of = (value: (outcome: Outcome) => number): readonly number[] => [...outcomes.values()].map(value);
  const tests = of(({ test }) => test);
  const differences = arm.against.flatMap((name) => {
    const other = rows.find((each) => each.arm.name === name);
    const text = other === undefined ? undefined : difference(comparable(row), comparable(other));
    return text === undefined ? [] : [`${name} ${text}`];
  });
  const cells = [
    arm.name,
    tests.map((test) => percent(test)).join(" "),
    percent(mean(tests)),
    percent(mean(of(({ macs }) => macs)), 1),
    percent(mean(of(({ executed }) => executed)), 1),
    percent(mean(of(({ parameters }) => parameters)), 1),
    differences.join("; "),
    (mean(of(({ seconds }) => seconds)) / 60).toFixed(1),
    describeOptions(row),
  ];
  return `| ${cells.join(" | ")} |`;
}

const isToday = ({ options }: Finished, outcome: Outcome): boolean =>
  outcome.options === undefined || isSame(outcome.options, options);

/** The runs that are what the arm says. */
function comparable(row: Finished): Finished["outcomes"] {
  return new Map([...row.outcomes].filter(([, outcome]) => isToday(row, outcome)));
}

/** What the runs were made with; where seeds differ, each. */
function describeOptions(row: Finished): string {
  const texts = [...row.outcomes].map(([seed, outcome]) => [seed, describeOne(row, outcome)] as const);
  const different = new Set(texts.map(([, text]) => text));
  if (different.size === 1) return [...different].join();
  return texts.map(([seed, text]) => `seed ${seed}: ${text}`).join("; ");
}

function describeOne(row: Finished, outcome: Outcome): string {
  if (outcome.options === undefined) return "not recorded";
  const words = outcome.options.map((word) => path.basename(word)).join(" ");
  return `${isToday(row, outcome) ? "" : "OTHERS THAN TODAY'S: "}${words}`;
}

/** Mean difference of the seeds that both have, and each: "+0.12 (+0.20 +0.04)". */
function difference(own: Finished["outcomes"], other: Finished["outcomes"]): string | undefined {
  const each = [...own].flatMap(([seed, { test }]) => {
    const against = other.get(seed);
    return against === undefined ? [] : [test - against.test];
  });
  if (each.length === 0) return undefined;
  const signed = (share: number): string => `${share < 0 ? "" : "+"}${percent(share)}`;
  return `${signed(mean(each))} (${each.map(signed).join(" ")})`;
}
