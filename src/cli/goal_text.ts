import {
  describeEffort,
  describeGoal,
  describeNumber,
  describeValue,
  percentOf,
  unitOf,
} from "../method/goal/describe.js";
import { type Goal, wanted } from "../method/goal/rules.js";
import type { Try } from "../method/goal/schema.js";
import { bestTry } from "../method/goal/search.js";
import type { PlannedGoal } from "../run/goal_check.js";
import type { GoalOutcome } from "../run/summary.js";
import { type Column, formatTable } from "./table.js";
import { wrap } from "./terminal.js";

interface Row {
  readonly number: number;
  readonly tried: Try;
  readonly isTaken: boolean;
}

const columns = (goal: Goal): readonly Column<Row>[] => {
  const ownSize: readonly Column<Row>[] =
    goal.rule === "size" && goal.file === "onnx"
      ? []
      : [
          {
            title: "file, bytes",
            cell: ({ tried }) => tried.bytes.toLocaleString("en-US"),
            align: "right",
            dropOrder: 2,
          },
        ];
  return [
    { title: "try", cell: ({ number }) => `${number}`, align: "right", dropOrder: 3 },
    {
      title: "MACs (paper count)",
      cell: ({ tried }) => percentOf(tried.fraction),
      align: "right",
      dropOrder: 0,
    },
    {
      title: `${titles[goal.rule](goal)}, ${unitOf(goal)}`,
      cell: ({ tried }) => describeNumber(goal, tried),
      align: "right",
      dropOrder: 0,
    },
    ...ownSize,
    {
      title: "",
      cell: ({ tried, isTaken }) => (isTaken ? "taken" : tried.holds ? "holds" : "too much"),
      dropOrder: 1,
    },
  ];
};

const titles: { readonly [Rule in Goal["rule"]]: (goal: Goal) => string } = {
  size: () => "size",
  latency: () => "latency",
  loss: (goal) => (goal.rule === "loss" && goal.measure === "top1" ? "loss of top-1" : "output error"),
};

function table(goal: Goal, tries: readonly Try[], width: number): string {
  const best = bestTry(tries, wanted[goal.rule]);
  const rows = tries.map((tried, index): Row => ({ number: index + 1, tried, isTaken: tried === best }));
  return formatTable(columns(goal), rows, width);
}

/** What a run's goal was and how it was reached, in lines of at most `width` characters. */
export function describeGoalOutcome(
  { asked: goal, reached, isMet, tries }: GoalOutcome,
  width: number,
): string {
  const met = isMet ? "Goal reached" : "Goal NOT reached";
  const remark = isMet ? "" : ` ${whyNot(goal, reached)}`;
  const text = `${met}: ${describeGoal(goal)}. ${foundBy(goal, reached)}${remark}`;
  return [table(goal, tries, width), wrap(text, width)].join("\n\n");
}

function foundBy(goal: Goal, reached: GoalOutcome["reached"]): string {
  const value = describeValue(goal, reached);
  switch (goal.rule) {
    case "size":
      return `The result has ${value}.`;
    case "latency":
      return `The result takes ${value}, measured at the end; those in the table were measured on the way.`;
    case "loss":
      return `The smallest network that held loses ${value} there; the test images, in the table above, had no part in the choice.`;
  }
}

function whyNot(goal: Goal, { low, value }: GoalOutcome["reached"]): string {
  if (goal.rule !== "latency") return "";
  const isOpen = (low ?? value) <= goal.milliseconds;
  return isOpen
    ? "The interval holds the goal: whether it is reached was not to be seen on this machine today."
    : "Something has slowed the machine down, or training has changed the network's form: measure again with penni bench.";
}

/** What is planned for a goal. */
export function describePlannedGoal({ goal, fraction, tries, effort }: PlannedGoal, width: number): string {
  const expected =
    goal.rule === "loss"
      ? `first tried at ${percentOf(fraction)} of the MACs`
      : `about ${percentOf(fraction)} of the MACs, pruned as the network stands`;
  const text = `Goal: ${describeGoal(goal)}: ${expected}; ${describeEffort(effort)}.`;
  return [wrap(text, width), ...(tries.length === 0 ? [] : [table(goal, tries, width)])].join("\n\n");
}
