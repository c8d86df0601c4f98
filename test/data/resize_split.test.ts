import assert from "node:assert/strict";
import { test } from "node:test";
import type { Split } from "../../src/data/dataset.js";
import { resizeSplit } from "../../src/data/resize_split.js";

function split(height: number, width: number, pixels: readonly number[], channels = 1): Split {
  const count = pixels.length / (channels * height * width);
  return { count, channels, height, width, labels: Uint16Array.of(7), pixels: Uint8Array.from(pixels) };
}

test("each new pixel is the mean of the area that it covers, as worked out by hand", () => {
  const image = split(2, 3, [0, 30, 60, 90, 120, 150]);
  assert.deepEqual([...resizeSplit(image, { width: 1, height: 1 }).pixels], [75]);
  assert.deepEqual([...resizeSplit(image, { width: 3, height: 1 }).pixels], [45, 75, 105]);
  // Three columns as two: (0 + 30/2) / 1.5 and (30/2 + 60) / 1.5, and so on.
  assert.deepEqual([...resizeSplit(image, { width: 2, height: 2 }).pixels], [10, 50, 100, 140]);
  assert.deepEqual(
    [...resizeSplit(image, { width: 6, height: 2 }).pixels],
    [0, 0, 30, 30, 60, 60, 90, 90, 120, 120, 150, 150],
  );
});

test("channels, images and labels stay apart; the same size is the same split", () => {
  const two = split(2, 2, [0, 0, 0, 0, 8, 8, 8, 8, 40, 40, 40, 40, 16, 16, 16, 16], 2);
  const resized = resizeSplit(two, { width: 1, height: 1 });
  assert.deepEqual([...resized.pixels], [0, 8, 40, 16]);
  assert.equal(resized.labels, two.labels);
  assert.equal(resizeSplit(two, { width: 2, height: 2 }), two);
  assert.equal(resizeSplit(two, undefined), two);
});
