import assert from "node:assert/strict";
import { test } from "node:test";
import { imagenetPreprocessing, readClassNames, readPreprocessing } from "../../src/graph/image_metadata.js";

const PLAIN = {
  mean: [0, 0, 0],
  std: [1, 1, 1],
  scale: 1 / 255,
  layout: "NCHW",
  colour: "rgb",
  filter: "cubic",
};
const FRAME = { resize: "letterbox", pad: [114, 114, 114] };

const written = (task: string, more: Readonly<Record<string, string>> = {}): ReadonlyMap<string, string> =>
  new Map(
    Object.entries({
      author: "Ultralytics",
      version: "8.3.0",
      stride: "32",
      task,
      imgsz: "[64, 64]",
      ...more,
    }),
  );

test("Ultralytics' networks take pictures as their task says", () => {
  assert.deepEqual(readPreprocessing(written("classify")), { ...PLAIN, resize: "cover" });
  for (const task of ["detect", "segment", "pose", "obb"])
    assert.deepEqual(readPreprocessing(written(task)), { ...PLAIN, ...FRAME });
  assert.deepEqual(readPreprocessing(written("detect", { channels: "1" }))?.mean, [0]);
  for (const other of [written("depth"), written("detect", { channels: "4" }), new Map([["task", "detect"]])])
    assert.equal(readPreprocessing(other), undefined);
});

test("Penni's own entries come first", () => {
  const own = JSON.stringify(imagenetPreprocessing);
  const both = written("detect", {
    "penni.preprocessing": own,
    "penni.classNames": '["a"]',
    names: "{0: 'b'}",
  });
  assert.deepEqual(readPreprocessing(both), imagenetPreprocessing);
  assert.deepEqual(readClassNames(both), ["a"]);
});

const names: readonly (readonly [string, readonly string[] | undefined])[] = [
  ["{0: 'cat', 1: 'dog'}", ["cat", "dog"]],
  ["['cat', 'dog']", ["cat", "dog"]],
  [`{0: "cook's hat", 1: 'a "b"', 2: 'c, d: {}'}`, ["cook's hat", 'a "b"', "c, d: {}"]],
  [
    String.raw`{0: 'it\'s "so"', 1: 'a\\b\n', 2: '\x85\u202e\U0001f600'}`,
    [`it's "so"`, "a\\b\n", "\x85\u202e\u{1f600}"],
  ],
  ["{0: 'crème brûlée', 1: '猫',}", ["crème brûlée", "猫"]],
  ["{1: 'cat', 2: 'dog'}", undefined],
  ["{0: 'cat', 2: 'dog'}", undefined],
  ["{'0': 'cat'}", undefined],
  ["{0: cat}", undefined],
  ["{0: 'cat' 1: 'dog'}", undefined],
  ["['cat', 0: 'dog']", undefined],
  ["['cat", undefined],
  ["{0: 'cat'}; import os", undefined],
  ["{}", undefined],
  ["", undefined],
  ["cat,dog", undefined],
  [`{0: '${"\\".repeat(100_001)}'}`, undefined],
];

for (const [text, expected] of names) {
  test(`names as Python writes them: ${text.slice(0, 60)}`, () => {
    assert.deepEqual(readClassNames(written("classify", { names: text })), expected);
    assert.deepEqual(readClassNames(new Map(Object.entries({ stride: "32", names: text }))), expected);
    assert.equal(readClassNames(new Map([["names", text]])), undefined);
  });
}
