import assert from "node:assert/strict";
import { test } from "node:test";
import { RunningAverage } from "../../src/train/running_average.js";

const values = (...data: number[]) =>
  new Map([["w", { dims: [data.length], data: Float32Array.from(data) }]]);
const averageOf = (average: RunningAverage): number[] => [...(average.tensors.get("w")?.data ?? [])];

test("the first values are the average, later ones get what the past leaves", () => {
  const average = new RunningAverage(0.9);
  assert.equal(average.tensors.size, 0);
  average.follow(800, values(1, -1));
  average.follow(808, values(3, -1));
  // 0.9 is less than 809/818, and eight steps lie between two looks.
  const past = 0.9 ** 8;
  averageOf(average).forEach((value, index) => {
    const expected = [past * 1 + (1 - past) * 3, -1][index] ?? NaN;
    // float32 rounding.
    assert.ok(Math.abs(value - expected) < 1e-6);
  });
});

test("in the first steps the past counts for less", () => {
  const average = new RunningAverage(0.999);
  average.follow(8, values(0));
  average.follow(16, values(1));
  const [value = NaN] = averageOf(average);
  assert.ok(Math.abs(value - (1 - (17 / 26) ** 8)) < 1e-6);
});

test("it goes into a checkpoint beside the state and comes back", () => {
  const average = new RunningAverage(0.5);
  average.follow(8, values(4, 5));
  const other = new RunningAverage(0.5);
  other.follow(8, values(9, 9));
  other.forget();
  const state = [...values(1, 2), ...average.saved()].filter(
    ([name, tensor]) => !other.takeBack(name, tensor),
  );
  assert.deepEqual(state, [...values(1, 2)]);
  assert.deepEqual(averageOf(other), [4, 5]);
});

test("what it holds does not change with the values that it was given", () => {
  const average = new RunningAverage(0.5);
  const given = values(1);
  average.follow(8, given);
  given.get("w")?.data.fill(9);
  assert.deepEqual(averageOf(average), [1]);
});

test("it goes on with what is left of a smaller network; what was folded into begins anew", () => {
  const average = new RunningAverage(0.5);
  average.follow(8, new Map([...values(1, 2, 3), ["v", { dims: [1], data: Float32Array.of(7) }]]));
  const left = { dims: [3], kept: [[0, 2]] };
  average.shrink(
    new Map([
      ["w", { source: "w", folded: false, ...left }],
      ["v", { source: "v", dims: [1], kept: [], folded: true }],
    ]),
  );
  assert.deepEqual([...average.tensors.keys()], ["w"]);
  assert.deepEqual(average.tensors.get("w"), { dims: [2], data: Float32Array.of(1, 3) });
});
