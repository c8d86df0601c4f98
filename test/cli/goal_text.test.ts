import assert from "node:assert/strict";
import { test } from "node:test";
import { describeGoalOutcome, describePlannedGoal } from "../../src/cli/goal_text.js";
import type { GoalOutcome } from "../../src/run/summary.js";

const latency = (value: number, low: number, high: number): GoalOutcome => ({
  asked: { rule: "latency", milliseconds: 1 },
  fraction: 0.3005,
  reached: { value, low, high },
  isMet: high <= 1,
  tries: [
    { fraction: 0.3133, value: 1, low: 0.961, high: 1.05, bytes: 339_557, holds: false },
    { fraction: 0.2941, value: 0.902, low: 0.893, high: 0.932, bytes: 309_290, holds: true },
    { fraction: 0.3005, value: 0.943, low: 0.937, high: 0.995, bytes: 322_772, holds: true },
  ],
});

test("tries are a table, the one that was taken is marked", () => {
  const lines = describeGoalOutcome(latency(0.954, 0.928, 0.984), 100).split("\n");
  assert.deepEqual(lines.slice(1, 4), [
    "  1             31.33 %    1.00 (0.961 to 1.05)      339,557  too much",
    "  2             29.41 %  0.902 (0.893 to 0.932)      309,290  holds",
    "  3             30.05 %  0.943 (0.937 to 0.995)      322,772  taken",
  ]);
  assert.match(lines[0] ?? "", /^try +MACs \(paper count\) +latency, ms +file, bytes$/);
  assert.match(
    lines.join(" "),
    /Goal reached: at most 1 ms .* takes 0\.954 ms \(0\.928 to 0\.984\), measured at the end/,
  );
});

test("a time whose interval holds the goal is not reached, and not said to be missed", () => {
  const text = describeGoalOutcome(latency(0.98, 0.95, 1.02), 1000);
  assert.match(text, /Goal NOT reached: .*The interval holds the goal/);
});

test("a time beyond the goal is not reached", () => {
  const text = describeGoalOutcome(latency(1.3, 1.2, 1.4), 1000);
  assert.match(text, /Goal NOT reached: .*takes 1\.30 ms \(1\.20 to 1\.40\).*measure again with penni bench/);
});

test("a plan says how much work a search is", () => {
  const asked = { rule: "loss", measure: "top1", most: 0.5 } as const;
  const effort = { most: 4, of: "trainings", epochs: 4 } as const;
  const text = describePlannedGoal({ goal: asked, fraction: 0.42, tries: [], effort }, 300);
  assert.equal(
    text,
    "Goal: a loss of at most 0.5 points of top-1 on held-out training images: first tried at 42 % of the MACs; the search takes at most 4 trainings of 4 epochs each.",
  );
});
