import assert from "node:assert/strict";
import { test } from "node:test";
import { layerWork, WorkMeter } from "../../../src/method/calibrate/progress.js";

const layer = { K: 64, C: 64, R: 3, S: 3, groups: 1 } as const;
const extent = { layer, macs: 1e8, following: 1e9, columns: [128, 192] };
const images = { all: 200, compared: 64 };

test("work grows with images, columns and what follows; depthwise layers are not analysed", () => {
  const { analyse, fit } = layerWork(extent, images);
  assert.ok(analyse > 0 && fit > 0);
  assert.ok(layerWork(extent, { ...images, all: 400 }).fit > fit);
  assert.ok(layerWork({ ...extent, columns: [128, 192, 256] }, images).analyse > analyse);
  assert.ok(layerWork({ ...extent, following: 2e9 }, images).analyse > analyse);
  assert.equal(layerWork({ ...extent, columns: [] }, images).analyse, 0);
});

test("time left follows from what was timed; what a journal has counts as done and not as timed", async () => {
  let clock = 0;
  const meter = new WorkMeter(
    [
      { analyse: 1, fit: 3 },
      { analyse: 1, fit: 5 },
    ],
    () => clock,
  );
  const spend = (seconds: number) => async (): Promise<void> => {
    clock += seconds;
  };
  assert.deepEqual([meter.share, meter.secondsLeft], [0, undefined]);
  meter.finish("analyse", 0);
  assert.deepEqual([meter.share, meter.secondsLeft], [0.1, undefined]);
  await meter.time("analyse", 1, spend(2));
  meter.finish("analyse", 1);
  assert.deepEqual([meter.share, meter.secondsLeft], [0.2, 16]);
  const other = meter.copy();
  await meter.time("fit", 0, spend(18));
  meter.finish("fit", 0);
  assert.deepEqual([meter.share, meter.secondsLeft], [0.5, 25]);
  assert.deepEqual([other.share, other.secondsLeft], [0.2, 16]);
  await meter.time("fit", 1, spend(1));
  meter.finish("fit", 1);
  assert.deepEqual([meter.share, meter.secondsLeft], [1, 0]);
});
