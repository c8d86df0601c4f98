import assert from "node:assert/strict";
import { test } from "node:test";
import { Tensor } from "onnxruntime-common";
import { CLASS_NAMES_KEY } from "../../src/graph/image_metadata.js";
import type { Graph } from "../../src/graph/types.js";
import { BoxTally } from "../../src/measure/box_tally.js";
import { node, smallGraph } from "../../support/small_models.js";

const SIDE = 64;
const BOXES = 9;

function detector(
  classNames: readonly string[] = ["cat", "dog"],
  input: readonly (number | string)[] = ["N", 3, SIDE, SIDE],
): Graph {
  const graph = smallGraph(input, [node("Relu", ["x"], "y")], {});
  return { ...graph, metadata: new Map([[CLASS_NAMES_KEY, JSON.stringify(classNames)]]) };
}

/** Centre, side, class, score. */
type Thing = readonly [x: number, y: number, side: number, index: number, score: number];

/** What a detector gives for images with these things, [images, 6, boxes]; other boxes are nobody's. */
function output(...images: readonly (readonly Thing[])[]): Tensor {
  const data = images.flatMap((things) => {
    const boxes = Array.from({ length: BOXES }, (_, at): Thing => things[at] ?? [7 * at, 60, 5, 0, 0.01]);
    const rows = boxes.map(([x, y, side, index, score]) => [
      x,
      y,
      side,
      side,
      ...[0, 1].map((each) => (each === index ? score : 0)),
    ]);
    return Array.from({ length: 6 }, (_, row) => rows.map((box) => box[row] ?? Number.NaN)).flat();
  });
  return new Tensor("float32", Float32Array.from(data), [images.length, 6, BOXES]);
}

function shareOf(
  first: Tensor,
  second: Tensor,
  model = detector(),
  count = first.dims[0] ?? 0,
): number | undefined {
  const tally = new BoxTally(model, ["y"], "NCHW");
  tally.add({ first: { y: first }, second: { y: second }, size: first.dims[0] ?? 0, count });
  return tally.result?.overlap;
}

const cat: Thing = [20, 20, 16, 0, 0.9];
const dog: Thing = [40, 30, 20, 1, 0.8];

test("boxes that both networks find count once, wherever they stand in the output", () => {
  assert.equal(shareOf(output([cat, dog]), output([dog, cat])), 1);
  assert.equal(shareOf(output([cat, dog]), output([cat])), 1 / 2);
  assert.equal(shareOf(output([cat]), output([cat, dog])), 1 / 2);
  assert.equal(shareOf(output([cat]), output([dog])), 0);
  // Images are added up: of four boxes three are both's.
  assert.equal(shareOf(output([cat, dog], [cat], []), output([cat], [cat], [])), 2 / 3);
  // What pads the last batch does not count.
  assert.equal(shareOf(output([cat], [dog]), output([cat], []), detector(), 1), 1);
});

test("the same is a box of the same class that shares more than half of the area", () => {
  const moved = (by: number): Thing => [cat[0] + by, cat[1], cat[2], cat[3], 0.5];
  assert.equal(shareOf(output([cat]), output([moved(5)])), 1);
  assert.equal(shareOf(output([cat]), output([moved(6)])), 0);
  assert.equal(shareOf(output([cat]), output([[20, 20, 16, 1, 0.9]])), 0);
  // One box of the other network stands for one.
  const twice = output([cat, [20 + 7, 20, 16, 0, 0.8]]);
  assert.equal(shareOf(twice, output([[20 + 3, 20, 16, 0, 0.9]])), 1 / 2);
});

test("where nothing is found, or the model is no detector, there is no share", () => {
  assert.equal(shareOf(output([]), output([])), undefined);
  assert.equal(shareOf(output([cat]), output([cat]), detector([])), undefined);
  assert.equal(shareOf(output([cat]), output([cat]), detector(["cat", "dog", "owl"])), undefined);
  assert.equal(
    shareOf(output([cat]), output([cat]), detector(["cat", "dog"], ["N", 3, "H", "W"])),
    undefined,
  );
});
