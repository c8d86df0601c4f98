import assert from "node:assert/strict";
import { test } from "node:test";
import { layerWork, WorkMeter } from "../../../src/method/calibrate/progress.js";

const layer = { K: 64, C: 64, R: 3, S: 3, groups: 1 } as const;
const ways = [2, 3].map((d) => ({ onBasis: true, d }));
const extent = { layer, macs: 1e8, following: 1e9, ways };
const images = { all: 200, compared: 64 };
const sum = (parts: readonly number[]): number => parts.reduce((all, part) => all + part, 0);

test("work grows with images, ways and what follows; depthwise layers are not analysed", () => {
  const { analyse, fit } = layerWork(extent, images);
  assert.ok([...analyse, ...fit].every((seconds) => seconds > 0));
  // Statistics, two ways, the comparison; statistics, order of removal, what stays.
  assert.deepEqual([analyse.length, fit.length], [4, 3]);
  assert.ok(sum(layerWork(extent, { ...images, all: 400 }).fit) > sum(fit));
  const more = layerWork({ ...extent, ways: [...ways, { onBasis: true, d: 4 }] }, images);
  assert.ok(sum(more.analyse) > sum(analyse));
  assert.ok(sum(layerWork({ ...extent, following: 2e9 }, images).analyse) > sum(analyse));
  const depthwise = layerWork({ ...extent, ways: [] }, images);
  assert.deepEqual(depthwise.analyse, []);
  assert.equal(depthwise.fit.length, 1);
});

test("a wider layer takes longer for each of its ways, be they solved exactly or by products", () => {
  const order = (width: number): number =>
    layerWork({ ...extent, layer: { ...layer, K: width, C: width } }, images).analyse[1] ?? 0;
  assert.ok(order(64) > order(32));
  assert.ok(order(1024) > order(512));
});

/** A meter over two layers, and what spends time. */
function meterOf(): { meter: WorkMeter; spend: (seconds: number) => void } {
  let clock = 0;
  const meter = new WorkMeter(
    [
      { analyse: [1], fit: [1, 2] },
      { analyse: [0.25, 0.75], fit: [2, 3] },
    ],
    () => clock,
  );
  return {
    meter,
    spend: (seconds) => {
      clock += seconds;
    },
  };
}

test("time left follows from what was timed; what a journal has counts as done and not as timed", async () => {
  const { meter, spend } = meterOf();
  const spending = (seconds: number) => async (): Promise<void> => spend(seconds);
  assert.deepEqual([meter.share, meter.secondsLeft], [0, undefined]);
  meter.finish("analyse", 0);
  assert.deepEqual([meter.share, meter.secondsLeft], [0.1, undefined]);
  await meter.time("analyse", 1, spending(2));
  meter.finish("analyse", 1);
  assert.deepEqual([meter.share, meter.secondsLeft], [0.2, 16]);
  const other = meter.copy();
  await meter.time("fit", 0, spending(18));
  meter.finish("fit", 0);
  assert.deepEqual([meter.share, meter.secondsLeft], [0.5, 25]);
  assert.deepEqual([other.share, other.secondsLeft], [0.2, 16]);
  await meter.time("fit", 1, spending(1));
  meter.finish("fit", 1);
  assert.deepEqual([meter.share, meter.secondsLeft], [1, 0]);
});

test("inside a layer each part that is done moves the bar and the time left", async () => {
  const { meter, spend } = meterOf();
  meter.finish("analyse", 0);
  const seen: (number | undefined)[][] = [];
  await meter.time("analyse", 1, async (advance) => {
    spend(2);
    seen.push([meter.share, meter.secondsLeft]);
    advance();
    seen.push([meter.share, meter.secondsLeft]);
    spend(2);
    advance();
    seen.push([meter.share, meter.secondsLeft]);
    // More parts than were expected change nothing.
    advance();
    seen.push([meter.share, meter.secondsLeft]);
  });
  meter.finish("analyse", 1);
  seen.push([meter.share, meter.secondsLeft]);
  assert.deepEqual(seen, [
    [0.1, undefined],
    [0.125, 70],
    [0.2, 32],
    [0.2, 32],
    [0.2, 32],
  ]);
});
