import { meanAndDeviation } from "../results/table.js";
import type { Arm } from "./arms.js";
import type { Outcome } from "./carry_out.js";

/** An arm and what its finished runs came to, by seed. */
export interface Finished {
  readonly arm: Arm;
  readonly outcomes: ReadonlyMap<number, Outcome>;
}

const HEAD = `| arm | top-1, each seed | mean | MACs | executed | parameters | against, points | min |
| --- | --- | --- | --- | --- | --- | --- | --- |
`;

const percent = (share: number, digits = 2): string => (100 * share).toFixed(digits);
const mean = (values: readonly number[]): number => meanAndDeviation(values).mean;

/** The table of docs/recipe.md: arms without a finished run are left out. */
export function tableText(all: readonly Finished[]): string {
  const rows = all.filter(({ outcomes }) => outcomes.size > 0);
  return `${HEAD}${rows.map((row) => line(row, rows)).join("\n")}\n`;
}

function line({ arm, outcomes }: Finished, rows: readonly Finished[]): string {
  const of = (value: (outcome: Outcome) => number): readonly number[] => [...outcomes.values()].map(value);
  const tests = of(({ test }) => test);
  const differences = arm.against.flatMap((name) => {
    const other = rows.find((row) => row.arm.name === name);
    const text = other === undefined ? undefined : difference(outcomes, other.outcomes);
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
  ];
  return `| ${cells.join(" | ")} |`;
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
