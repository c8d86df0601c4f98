import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { bestAtRung, goesOn, nextPromotion, type RungEntry, survivors } from "../../src/sweep/halving.js";

const entries = (...values: readonly (number | null)[]): readonly RungEntry[] =>
  values.map((value, trial) => ({ trial, value }));

describe("successive halving", () => {
  test("one of `reductionFactor` goes on, and always one", () => {
    for (const [count, factor, expected] of [
      [1, 3, 1],
      [2, 3, 1],
      [3, 3, 1],
      [5, 3, 1],
      [6, 3, 2],
      [9, 3, 3],
      [10, 4, 2],
      [3, 1.5, 2],
    ] as const)
      assert.equal(survivors(count, factor), expected, `${count} by ${factor}`);
  });

  test("the best come first; of equal ones the earlier; without a value last", () => {
    assert.deepEqual(bestAtRung(entries(0.1, 0.5, 0.5, null, 0.7, 0.2), 3), [4, 1]);
    assert.deepEqual(bestAtRung(entries(null, null, -3), 1.5), [2, 0]);
    assert.deepEqual(bestAtRung(entries(null), 4), [0]);
  });

  test("a trial is judged among those that came to the rung so far", () => {
    const table: readonly (readonly [values: readonly (number | null)[], goesOn: boolean])[] = [
      [[0.1], true],
      [[0.1, 0.2], true],
      [[0.2, 0.1], false],
      [[0.2, 0.2], false],
      [[0.3, 0.2, 0.1], false],
      [[0.3, 0.1, 0.1, 0.1, 0.1, 0.2], true],
      [[0.3, 0.25, 0.1, 0.1, 0.1, 0.2], false],
      [[0.1, 0.1, 0.1, 0.1, 0.1, null], false],
    ];
    for (const [values, expected] of table)
      assert.equal(goesOn(entries(...values), values.length - 1, 3), expected, values.join());
  });

  test("a stopped trial is promoted when enough have come, from the highest rung first", () => {
    const low = entries(0.9, 0.8, 0.1, 0.1, 0.1);
    const stopped = new Map([
      [1, 0],
      [2, 0],
      [3, 0],
      [4, 0],
    ]);
    assert.equal(nextPromotion([low, entries(0.9)], stopped, 3), undefined);
    const more = [...low, { trial: 5, value: 0.2 }];
    assert.equal(nextPromotion([more, entries(0.9)], stopped, 3), 1);
    const high = [0.9, 0.5, 0.6].map((value, trial) => ({ trial, value }));
    assert.equal(nextPromotion([more, high], new Map([...stopped, [2, 1], [0, 1]]), 3), 0);
    assert.equal(nextPromotion([], stopped, 3), undefined);
  });
});
