import assert from "node:assert/strict";
import { test } from "node:test";
import { drawPlacement, unchanged, writeImage } from "../../src/data/augment.js";
import {
  imagenetPreprocessing,
  PREPROCESSING_KEY,
  pixelWriting,
  readClassNames,
  readPreprocessing,
} from "../../src/data/preprocessing.js";
import { Random } from "../../src/data/random.js";

// One channel, 3 rows of 3 columns, and levels that are the pixels themselves, so that results can be read.
const shape = { channels: 1, height: 3, width: 3 };
const pixels = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9);
const identity = pixelWriting({ ...imagenetPreprocessing, mean: [0], std: [1], scale: 1 }, 1);

const size = { width: 32, height: 32 };

function written(left: number, top: number, mirrored: boolean): number[] {
  const target = new Float32Array(9).fill(-1);
  writeImage(pixels, shape, { left, top, mirrored }, identity, target, 0);
  return [...target];
}

test("crops and mirrors as worked out by hand", () => {
  assert.deepEqual(written(0, 0, false), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(written(0, 0, true), [3, 2, 1, 6, 5, 4, 9, 8, 7]);
  assert.deepEqual(written(1, 1, false), [5, 6, 0, 8, 9, 0, 0, 0, 0]);
  assert.deepEqual(written(1, 1, true), [0, 6, 5, 0, 9, 8, 0, 0, 0]);
  assert.deepEqual(written(-2, -1, false), [0, 0, 0, 0, 0, 1, 0, 0, 4]);
  assert.deepEqual(written(-2, -1, true), [0, 0, 0, 1, 0, 0, 4, 0, 0]);
  assert.deepEqual(written(4, 0, false), [0, 0, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual(written(-5, 0, true), [0, 0, 0, 0, 0, 0, 0, 0, 0]);
});

test("padding is black before normalisation, channels have their own mean and std", () => {
  const levels = pixelWriting(imagenetPreprocessing, 3);
  const target = new Float32Array(6);
  const rgb = Uint8Array.of(255, 0, 128, 64, 10, 20);
  writeImage(rgb, { channels: 3, height: 1, width: 2 }, { ...unchanged, left: 1 }, levels, target, 0);
  const expected = [
    (0 / 255 - 0.485) / 0.229,
    (0 / 255 - 0.485) / 0.229,
    (64 / 255 - 0.456) / 0.224,
    (0 / 255 - 0.456) / 0.224,
    (20 / 255 - 0.406) / 0.225,
    (0 / 255 - 0.406) / 0.225,
  ];
  // Tolerance: float32 rounding.
  target.forEach((value, index) => {
    assert.ok(Math.abs(value - (expected[index] ?? NaN)) < 1e-6);
  });
});

test("placements cover the whole range and both directions", () => {
  const random = new Random(3);
  const drawn = Array.from({ length: 2000 }, () => drawPlacement({ padding: 4, flip: true }, random, size));
  const expected = [-4, -3, -2, -1, 0, 1, 2, 3, 4];
  const ascending = (values: Set<number>) => [...values].sort((a, b) => a - b);
  assert.deepEqual(ascending(new Set(drawn.map(({ left }) => left))), expected);
  assert.deepEqual(ascending(new Set(drawn.map(({ top }) => top))), expected);
  const mirrored = drawn.filter((placement) => placement.mirrored).length;
  assert.ok(mirrored > 900 && mirrored < 1100);
  assert.deepEqual(drawPlacement({ padding: 0, flip: false }, random, size), unchanged);
});

test("preprocessing is read from a model's metadata and checked", () => {
  const stated = { ...imagenetPreprocessing, mean: [0.5], std: [0.25] };
  const metadata = new Map([[PREPROCESSING_KEY, JSON.stringify(stated)]]);
  assert.deepEqual(readPreprocessing(metadata), stated);
  assert.equal(readPreprocessing(new Map()), undefined);
  assert.equal(readClassNames(metadata), undefined);
  for (const json of [
    "{",
    "[]",
    JSON.stringify({ ...stated, std: [0] }),
    JSON.stringify({ ...stated, std: [1, 1] }),
  ]) {
    assert.throws(() => readPreprocessing(new Map([[PREPROCESSING_KEY, json]])), {
      name: "PenniError",
      code: "bad-model",
      message: /penni\.preprocessing/,
    });
  }
  assert.throws(() => pixelWriting(imagenetPreprocessing, 1), {
    code: "bad-data",
    message: /1 channels.*found 3/,
  });
});

test("a hole is set to the mean, as far as it lies within the image", () => {
  const hole = (left: number, top: number): number[] => {
    const target = new Float32Array(9);
    const placement = { ...unchanged, hole: { left, top, side: 2 } };
    writeImage(pixels, shape, placement, identity, target, 0);
    return [...target];
  };
  assert.deepEqual(hole(0, 0), [0, 0, 3, 0, 0, 6, 7, 8, 9]);
  assert.deepEqual(hole(-1, 1), [1, 2, 3, 0, 5, 6, 0, 8, 9]);
  assert.deepEqual(hole(2, 2), [1, 2, 3, 4, 5, 6, 7, 8, 0]);
});

test("without holes, random numbers are drawn as before; with them, they lie anywhere", () => {
  const draw = (cutout: number | undefined) =>
    drawPlacement({ padding: 4, flip: true, cutout }, new Random(5), size);
  const { hole, ...rest } = draw(8);
  assert.deepEqual(rest, draw(undefined));
  assert.deepEqual(draw(0), draw(undefined));
  assert.ok(hole !== undefined && hole.left >= -4 && hole.left < 28 && hole.side === 8);
});
