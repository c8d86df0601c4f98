import assert from "node:assert/strict";
import { test } from "node:test";
import { learningRate } from "../../src/train/schedule.js";

/** Absolute. */
const TOLERANCE = 1e-12;

test("the step schedule divides by ten at each milestone, from the milestone on (paper)", () => {
  const schedule = { kind: "step", initial: 0.01, factor: 0.1, milestones: [0.5, 0.75] } as const;
  const rates: readonly (readonly [number, number])[] = [
    [0, 0.01],
    [0.4999, 0.01],
    [0.5, 0.001],
    [0.7499, 0.001],
    [0.75, 0.0001],
    [0.9999, 0.0001],
  ];
  for (const [progress, rate] of rates) {
    assert.ok(Math.abs(learningRate(schedule, progress) - rate) < TOLERANCE, `at ${progress}`);
  }
});

test("the cosine schedule falls from its start to zero, steepest in the middle", () => {
  const schedule = { kind: "cosine", initial: 0.02 } as const;
  assert.equal(learningRate(schedule, 0), 0.02);
  assert.ok(Math.abs(learningRate(schedule, 0.5) - 0.01) < TOLERANCE);
  assert.ok(Math.abs(learningRate(schedule, 1 / 3) - 0.015) < TOLERANCE);
  assert.ok(learningRate(schedule, 1) < TOLERANCE);
  const rates = Array.from({ length: 101 }, (_, index) => learningRate(schedule, index / 100));
  rates.slice(1).forEach((rate, index) => {
    assert.ok(rate < (rates[index] ?? 0), `falls after ${index} %`);
  });
});

test("a step schedule without milestones is constant", () => {
  const schedule = { kind: "step", initial: 0.3, factor: 0.1, milestones: [] } as const;
  assert.deepEqual([learningRate(schedule, 0), learningRate(schedule, 0.99)], [0.3, 0.3]);
});

test("the one-cycle schedule rises in a straight line, then falls to zero", () => {
  const schedule = { kind: "one-cycle", peak: 0.2, warmUp: 0.25, fall: "linear" } as const;
  const rates: readonly (readonly [number, number])[] = [
    [0, 0.02],
    [0.125, 0.11],
    [0.25, 0.2],
    [0.625, 0.1],
    [1, 0],
  ];
  for (const [progress, rate] of rates)
    assert.ok(Math.abs(learningRate(schedule, progress) - rate) < TOLERANCE, `at ${progress}`);
  const cosine = { ...schedule, fall: "cosine" } as const;
  assert.ok(Math.abs(learningRate(cosine, 0.25 + 0.75 / 3) - 0.15) < TOLERANCE);
  assert.equal(learningRate({ ...schedule, warmUp: 0 }, 0), 0.2);
});
