import assert from "node:assert/strict";
import { test } from "node:test";
import { allocateSplit, imagenetPreprocessing, type LabelledSplit } from "../../src/data/index.js";
import { int } from "../../src/graph/attributes.js";
import { PenniError } from "../../src/graph/errors.js";
import type { Graph } from "../../src/graph/types.js";
import { classifierInterface, evaluate, inputImageSize } from "../../src/measure/accuracy.js";
import { measureLatency } from "../../src/measure/latency.js";
import { node, randomTensor, smallGraph, smallNetwork } from "../../support/small_models.js";

const plain = { ...imagenetPreprocessing, mean: [0, 0, 0], std: [1, 1, 1] };

/** Images of one bright channel each; the label is that channel, wrong for every fourth image. */
function channelImages(count: number): LabelledSplit {
  const split = allocateSplit({ count, channels: 3, height: 4, width: 4 });
  for (let image = 0; image < count; image++) {
    const channel = image % 3;
    split.pixels.fill(255, (image * 3 + channel) * 16, (image * 3 + channel + 1) * 16);
    split.labels[image] = image % 4 === 3 ? (channel + 1) % 3 : channel;
  }
  return split;
}

/** Scores are the channels' means. */
const channelClassifier = (batch: number | string): Graph =>
  smallGraph(
    [batch, 3, 4, 4],
    [node("GlobalAveragePool", ["x"], "pooled"), node("Flatten", ["pooled"], "y", { axis: int(1) })],
    {},
  );

test("counts the images whose best score is their class", async () => {
  const { correct, total, top1 } = await evaluate(channelClassifier("N"), channelImages(40), plain);
  assert.deepEqual([correct, total, top1], [30, 40, 0.75]);
});

test("a score that is not a number makes no class the best", async () => {
  // The square root of a mean below 0; black images of the first class would win as the first of equals.
  const model = smallGraph(
    ["N", 3, 4, 4],
    [
      node("GlobalAveragePool", ["x"], "pooled"),
      node("Flatten", ["pooled"], "flat", { axis: int(1) }),
      node("Sqrt", ["flat"], "y"),
    ],
    {},
  );
  const split = channelImages(12);
  split.pixels.fill(0, 0, 48);
  const hits = new Uint8Array(12).fill(9);
  const shifted = { ...plain, mean: [0.01, 0, 0] };
  const found = await evaluate(model, split, shifted, { hits, batch: 5 });
  // Red is below 0 in all images but the fourth, seventh and tenth, of which the fourth has the label of another colour.
  assert.deepEqual([found.correct, found.undecided, found.total], [2, 9, 12]);
  assert.deepEqual([...hits], [0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0]);
});

test("an incomplete last batch counts its images only, also with a batch that the model fixes", async () => {
  for (const batch of ["N", 7]) {
    const seen: number[] = [];
    const { correct, total } = await evaluate(channelClassifier(batch), channelImages(40), plain, {
      batch: 16,
      onProgress: (done, all) => seen.push(done, all),
    });
    assert.deepEqual([correct, total], [30, 40]);
    assert.deepEqual(seen.slice(-2), [40, 40]);
  }
});

test("only the images asked for are used", async () => {
  const indices = Uint32Array.of(3, 7, 0);
  const { correct, total } = await evaluate(channelClassifier("N"), channelImages(40), plain, { indices });
  assert.deepEqual([correct, total], [1, 3]);
});

const refusals: readonly { readonly name: string; readonly model: Graph; readonly message: RegExp }[] = [
  {
    name: "another image size",
    model: smallNetwork(),
    message:
      /input "x" does not fit.*expected \[N, 2, 8, 8\], found images \[N, 3, 4, 4\].*Pictures have 3 channels, or 1/,
  },
  {
    name: "two inputs",
    model: {
      ...channelClassifier(1),
      inputs: [...channelClassifier(1).inputs, { name: "z", type: undefined }],
    },
    message: /expected 1 input, found 2: x, z/,
  },
  {
    name: "integer images",
    model: {
      ...channelClassifier(1),
      inputs: [{ name: "x", type: { elementType: "int64", shape: [1, 3, 4, 4] } }],
    },
    message: /expected float32, float16, uint8, found int64/,
  },
];

for (const { name, model, message } of refusals) {
  test(`${name}: refused before anything runs`, () => {
    assert.throws(
      () => classifierInterface(model, { channels: 3, height: 4, width: 4 }, plain),
      (error) => error instanceof PenniError && error.code === "bad-data" && message.test(error.message),
    );
  });
}

test("fewer scores than classes: refused", async () => {
  const split = channelImages(4);
  split.labels[0] = 3;
  await assert.rejects(
    evaluate(channelClassifier("N"), split, plain),
    (error) =>
      error instanceof PenniError && /expected float32 \[100, 4 or more\], found/.test(error.message),
  );
});

test("the image size is the model's, where it has one", () => {
  assert.deepEqual(inputImageSize(smallNetwork(), plain), { width: 8, height: 8 });
  assert.equal(inputImageSize(smallGraph(["N", 3, "H", "W"], [], {}), plain), undefined);
  for (const dims of [["N", 28, 28], ["N", 784], [1, 3, 8, 32, 32], ["N"]]) {
    assert.throws(() => inputImageSize(smallGraph(dims, [], {}), plain), {
      code: "bad-data",
      message: /input "x" does not take images: expected 4 dimensions/,
    });
  }
});

test("latency: one positive figure per model, minimum not above median", async () => {
  const models = [smallNetwork(1), smallNetwork("N")];
  const results = await measureLatency(models, { runs: 3, warmup: 1 });
  assert.equal(results.length, 2);
  for (const { medianMs, minMs } of results) assert(minMs > 0 && minMs <= medianMs);
});

test("latency of a model with unknown sizes: refused", async () => {
  const model = smallGraph([1, 3, "H", "W"], [node("Relu", ["x"], "y")], { unused: randomTensor([1], 1) });
  await assert.rejects(measureLatency([model]), PenniError);
});
