import assert from "node:assert/strict";
import { test } from "node:test";
import { attributes, int, ints, text } from "../../src/graph/attributes.js";
import type { Attribute, Dim } from "../../src/graph/types.js";
import { resolveWindow, staticWindow, type Window } from "../../src/ops/core/window.js";

const nodeWith = (entries: Readonly<Record<string, Attribute>>) => ({
  name: "pool",
  op: "MaxPool",
  domain: "",
  inputs: ["x"],
  outputs: ["y"],
  attributes: attributes(entries),
});

const windowOf = (
  inputSpatial: readonly Dim[],
  kernel: readonly number[],
  entries: Readonly<Record<string, Attribute>> = {},
): Window => resolveWindow({ node: nodeWith(entries), inputSpatial, kernel });

test("a symbolic size survives where the window keeps the size", () => {
  assert.deepEqual(windowOf(["h", "w"], [3, 3], { pads: ints([1, 1, 1, 1]) }).output, ["h", "w"]);
  assert.deepEqual(windowOf(["h", 5], [3, 3]).output, [undefined, 3]);
});

test("SAME padding of an unknown size is known for stride 1 only", () => {
  const same = { auto_pad: text("SAME_UPPER") };
  assert.deepEqual(windowOf(["h"], [4], same), {
    kernel: [4],
    strides: [1],
    dilations: [1],
    pads: [1, 2],
    output: ["h"],
  });
  const strided = windowOf(["h"], [4], { ...same, strides: ints([2]) });
  assert.deepEqual([strided.pads, strided.output], [undefined, [undefined]]);
});

test("attributes that do not fit are errors that name the node", () => {
  const refused = /node "pool" \(MaxPool\)/;
  assert.throws(() => windowOf([4, 4], [3]), refused);
  assert.throws(() => windowOf([4, 4], [3, 3], { strides: ints([0, 1]) }), refused);
  assert.throws(() => windowOf([4, 4], [3, 3], { pads: ints([1, 1]) }), refused);
  assert.throws(() => windowOf([4, 4], [3, 3], { auto_pad: text("SOME") }), refused);
  assert.throws(() => windowOf([2, 2], [3, 3], { ceil_mode: int(0) }), refused);
});

test("a static window needs nothing but numbers", () => {
  const { output, pads } = staticWindow({ node: nodeWith({}), inputSpatial: [7, 5], kernel: [3, 3] });
  assert.deepEqual(
    [output, pads],
    [
      [5, 3],
      [0, 0, 0, 0],
    ],
  );
});
