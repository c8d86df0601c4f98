import assert from "node:assert/strict";
import { test } from "node:test";
import { PredictionTally } from "../../src/measure/predictions.js";

test("scores that are not numbers agree with nothing and are right about nothing", () => {
  const { NaN: none } = Number;
  const first = Float32Array.of(3, 1, 2, none, none, none, 5, 0, 0, 5, 0, 0);
  const second = Float32Array.of(9, 1, 2, none, none, none, none, 7, 0, -1, none, -2);
  const tally = new PredictionTally();
  tally.add(first, second, 3, BigInt64Array.of(0n, 0n, 0n, 0n));
  assert.deepEqual([tally.images, tally.same, tally.correct], [4, 1, 1]);
});

test("infinite scores are numbers", () => {
  const scores = Float32Array.of(-Infinity, 0, -Infinity, Infinity);
  const tally = new PredictionTally();
  tally.add(scores, scores, 2, BigInt64Array.of(1n, 0n));
  assert.deepEqual([tally.images, tally.same, tally.correct], [2, 2, 1]);
});
