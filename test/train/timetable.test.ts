import assert from "node:assert/strict";
import { test } from "node:test";
import { Timetable } from "../../src/train/timetable.js";

const phase = { name: "p", trained: {} };
const plan = {
  batch: 10,
  epochs: 2.5,
  phases: [phase, phase, phase],
  phaseEpochs: 0.5,
  schedule: { kind: "cosine", initial: 0.1 },
} as const;

test("epochs have whole batches, and the last one may be incomplete", () => {
  const table = new Timetable(plan, 47);
  assert.deepEqual([table.stepsPerEpoch, table.steps], [4, 10]);
  const steps = Array.from({ length: 11 }, (_, step) => step);
  assert.deepEqual(
    steps.filter((step) => step > 0 && table.isEpochEnd(step)),
    [4, 8, 10],
  );
  assert.deepEqual(
    steps.slice(1).map((step) => table.epochOf(step)),
    [1, 1, 1, 1, 2, 2, 2, 2, 3, 3],
  );
  assert.deepEqual(
    steps.slice(0, 10).map((step) => table.phaseAfter(step)),
    [0, 0, 1, 1, 2, 2, 0, 0, 1, 1],
  );
});

test("a part of a stage goes on counting epochs, and follows the whole stage's learning rate", () => {
  const whole = new Timetable({ ...plan, epochs: 5 }, 40);
  const part = new Timetable({ ...plan, epochs: 3, part: { epochsBefore: 2, epochsInAll: 5 } }, 40);
  for (let step = 0; step < part.steps; step++) {
    assert.equal(part.epochAfter(step), whole.epochAfter(step + 8));
    assert.equal(part.rateAfter(step), whole.rateAfter(step + 8));
  }
});
