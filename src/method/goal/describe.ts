import type { GoalName } from "./names.js";
import { type Goal, limitOf } from "./rules.js";
import type { Try } from "./schema.js";

/** A value in the unit of a goal, with its interval where it has one. */
export type GoalValue = Pick<Try, "value" | "low" | "high">;

/** Numbers in the unit of each goal. */
const formats: { readonly [Name in GoalName]: (value: number, goal: Goal) => string } = {
  size: (value) => value.toLocaleString("en-US"),
  latency: (value) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3)),
  loss: (value, goal) => (isTop1(goal) ? value.toFixed(2) : (100 * value).toFixed(2)),
};

function isTop1(goal: Goal): boolean {
  return goal.rule === "loss" && goal.measure === "top1";
}

/** What the numbers of a goal are of. */
export function unitOf(goal: Goal): string {
  switch (goal.rule) {
    case "size":
      return goal.file === "onnx" ? "bytes" : "bytes of WebAssembly";
    case "latency":
      return "ms";
    case "loss":
      return goal.measure === "top1" ? "points" : "%";
  }
}

/** "1.93 ms (1.90 to 1.99)". */
export function describeValue(goal: Goal, found: GoalValue): string {
  return withInterval(goal, found, ` ${unitOf(goal)}`);
}

/** "1.93 (1.90 to 1.99)", below a heading that names the unit. */
export function describeNumber(goal: Goal, found: GoalValue): string {
  return withInterval(goal, found, "");
}

function withInterval(goal: Goal, { value, low, high }: GoalValue, unit: string): string {
  const show = (number: number): string => formats[goal.rule](number, goal);
  const interval = low === undefined || high === undefined ? "" : ` (${show(low)} to ${show(high)})`;
  return `${show(value)}${unit}${interval}`;
}

/** What a goal asks for: "a file of at most 200,000 bytes". */
export function describeGoal(goal: Goal): string {
  const isShare = goal.rule === "loss" && goal.measure === "error";
  const limit = Number((limitOf(goal) * (isShare ? 100 : 1)).toPrecision(9));
  const most = `${limit.toLocaleString("en-US", { maximumFractionDigits: 9 })} ${unitOf(goal)}`;
  switch (goal.rule) {
    case "size":
      return `a file of at most ${most}`;
    case "latency":
      return `at most ${most} for one image, compiled to WebAssembly, one thread`;
    case "loss":
      return goal.measure === "top1"
        ? `a loss of at most ${most} of top-1 on held-out training images`
        : `an output error of at most ${most} on held-out images`;
  }
}

export function percentOf(fraction: number): string {
  return `${Number((100 * fraction).toFixed(2))} %`;
}

/** A try in a line. */
export function describeTry(goal: Goal, number: number, { fraction, bytes, holds, ...value }: Try): string {
  const file =
    goal.rule === "size" && goal.file === "onnx" ? "" : `, file ${bytes.toLocaleString("en-US")} bytes`;
  const verdict = holds ? "holds" : "too much";
  return `try ${number}: ${percentOf(fraction)} of the MACs: ${describeValue(goal, value)}${file}: ${verdict}`;
}

/** What a search takes, in the largest of what each try takes. */
export interface SearchEffort {
  readonly most: number;
  readonly of: "prunings" | "calibrations" | "trainings";
  /** Of each training. */
  readonly epochs: number;
}

const efforts: { readonly [Kind in SearchEffort["of"]]: (effort: SearchEffort) => string } = {
  prunings: () => "the search takes no training",
  calibrations: ({ most }) => `the search takes at most ${most} calibrations`,
  trainings: ({ most, epochs }) => `the search takes at most ${most} trainings of ${epochs} epochs each`,
};

export function describeEffort(effort: SearchEffort): string {
  return efforts[effort.of](effort);
}
