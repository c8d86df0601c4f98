import assert from "node:assert/strict";
import { test } from "node:test";
import { measureByTurns } from "../../src/measure/by_turns.js";

/** Frames of the stack above the caller. */
function depth(): number {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = Number.POSITIVE_INFINITY;
  const frames = new Error().stack?.split("\n").length ?? 0;
  Error.stackTraceLimit = limit;
  return frames;
}

test("every turn of a contender lies at another depth of the stack", async () => {
  const depths: number[] = [];
  const sample = (count: number): readonly number[] => {
    depths.push(depth());
    return new Array<number>(count).fill(1);
  };
  const [timing] = await measureByTurns([{ engine: "counted", sample }], 5);
  const turns = depths.slice(-5);
  assert.equal(new Set(turns).size, 5, turns.join());
  assert.deepEqual(timing, {
    engine: "counted",
    ...{ medianMs: 1, minMs: 1, lowMs: 1, highMs: 1 },
    runs: 200,
    roundsMs: [1, 1, 1, 1, 1],
  });
});

test("a slow contender is not run for long before it counts, and each round is told", async () => {
  for (const [ms, warm] of [
    [400, 3],
    [100, 10],
    [1, 20],
    [0, 20],
  ] as const) {
    const asked: number[] = [];
    const sample = (count: number): readonly number[] => {
      asked.push(count);
      return new Array<number>(count).fill(ms);
    };
    const told: string[] = [];
    await measureByTurns([{ engine: "one", sample }], 3, (done, rounds) => told.push(`${done}/${rounds}`));
    assert.deepEqual(asked.slice(0, 2), [3, warm]);
    assert.equal(asked.length, 5);
    assert.deepEqual(told, ["1/3", "2/3", "3/3"]);
  }
});
