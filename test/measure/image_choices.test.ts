import assert from "node:assert/strict";
import { test } from "node:test";
import { Tensor } from "onnxruntime-common";
import { ImageChoices } from "../../src/measure/image_choices.js";

const batch = (
  dims: readonly number[],
  first: readonly number[],
  second: readonly number[],
  count: number,
) => ({
  first: { y: new Tensor("float32", Float32Array.from(first), dims) },
  second: { y: new Tensor("float32", Float32Array.from(second), dims) },
  size: dims[0] ?? 0,
  count,
});

const classes = { output: "y", deviation: 1, axis: 1 } as const;

test("the class that each network chooses, batch by batch, without those that only fill a batch", () => {
  const choices = new ImageChoices([{ output: "boxes", deviation: 1 }, classes]);
  choices.add(batch([2, 3], [1, 2, 3, 9, 0, 0], [3, 2, 1, 9, 0, 0], 2));
  choices.add(batch([2, 3], [0, 1, 0, 5, 5, 5], [Number.NaN, 1, 0, 5, 5, 5], 1));
  assert.deepEqual(choices.results, {
    before: Int32Array.of(2, 0, 1),
    after: Int32Array.of(0, 0, -1),
  });
});

test("nothing of outputs that are no row of class scores for each image", () => {
  for (const compared of [
    { output: "y", deviation: 1 },
    { ...classes, axis: "each" as const },
  ]) {
    const choices = new ImageChoices([compared]);
    choices.add(batch([1, 2], [0, 1], [1, 0], 1));
    assert.equal(choices.results, undefined);
  }
  const maps = new ImageChoices([classes]);
  maps.add(batch([1, 2, 1, 2], [0, 1, 0, 1], [0, 1, 0, 1], 1));
  assert.equal(maps.results, undefined);
});
