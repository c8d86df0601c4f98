import assert from "node:assert/strict";
import { test } from "node:test";
import { Tensor as OrtTensor } from "onnxruntime-common";
import { allIndices, openDataset } from "../../src/data/index.js";
import { imagenetPreprocessing } from "../../src/data/preprocessing.js";
import { withInitializers } from "../../src/graph/edit.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { evaluate } from "../../src/measure/accuracy.js";
import { largestDifference } from "../../src/measure/difference.js";
import {
  type ComparedOutput,
  type OutputAgreement,
  OutputComparison,
} from "../../src/measure/output_comparison.js";
import { ErrorUnit, outputDeviations } from "../../src/measure/output_deviation.js";
import { runOnImages } from "../../src/measure/run_on_images.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const split = await (await openDataset("synthetic:50", { imageSize: { width: 16, height: 16 } })).train();
const network = tinyCnn();

/** The network with `change` added to one class's score. */
function withOffset(change: number): Graph {
  const bias = network.nodes.at(-1)?.inputs[2] ?? "";
  const tensor = network.initializers.get(bias);
  assert.ok(tensor);
  const moved = float32Data(tensor).map((value, k) => (k === 3 ? value + change : value));
  return withInitializers(network, [[bias, float32Tensor(tensor.dims, moved)]]);
}

const compare = (other: Graph) =>
  largestDifference(network, other, split, imagenetPreprocessing, allIndices(split));

test("a network agrees with itself, over an incomplete last batch too", async () => {
  const { magnitude, ...rest } = await compare(network);
  assert.deepEqual(rest, { difference: 0, samePredictions: 50, images: 50 });
  assert.ok(magnitude > 0);
});

test("the largest difference of the outputs and the changed predictions are found (1e-5)", async () => {
  const { difference, samePredictions } = await compare(withOffset(100));
  assert.ok(Math.abs(difference - 100) < 1e-4, `difference ${difference}`);
  assert.ok(samePredictions < 50);
});

test("an output that is not a number is never agreement", async () => {
  assert.ok(Number.isNaN((await compare(withOffset(Number.NaN))).difference));
});

/** Two batches of two images each; the second image of the last one does not count. */
function agreement(
  compared: Omit<ComparedOutput, "output">,
  dims: readonly number[],
  values: readonly (readonly [readonly number[], readonly number[]])[],
): OutputAgreement | undefined {
  const comparison = new OutputComparison([{ output: "y", ...compared }]);
  const tensor = (data: readonly number[]) => ({
    y: new OrtTensor("float32", Float32Array.from(data), dims),
  });
  values.forEach(([first, second], index) => {
    comparison.add({ first: tensor(first), second: tensor(second), size: 2, count: 2 - index });
  });
  return comparison.results[0];
}

test("the error of an output is its root mean square in units of the deviation, over the images that count", () => {
  const numbers = agreement(
    { deviation: 2 },
    [2, 2],
    [
      [
        [1, 2, 3, 4],
        [1, 2, 3, 7],
      ],
      [
        [0, 0, 0, 0],
        [0, 3, 99, 99],
      ],
    ],
  );
  assert.deepEqual(numbers, { output: "y", error: Math.sqrt(18 / 6) / 2 });
  const broken = agreement(
    { deviation: 1 },
    [2, 1],
    [
      [
        [1, 1],
        [1, Number.NaN],
      ],
    ],
  );
  assert.deepEqual(broken, { output: "y", error: null });
});

/** Scores of two classes, [2 images, ...], that choose these. */
const choosing = (classes: readonly number[]): number[] =>
  classes.flatMap((c) => (c === 0 ? [1, 0] : [0, 1]));

const kinds: Readonly<
  Record<
    string,
    readonly [
      axis: number | "each",
      dims: readonly number[],
      a: number[],
      b: number[],
      Partial<OutputAgreement>,
    ]
  >
> = {
  "a classifier: same class": [
    ...([1, [2, 2]] as const),
    choosing([0, 1]),
    choosing([0, 0]),
    { sameClass: 0.5, classOf: "image", answers: 2 },
  ],
  "a classifier that always says the same: nothing found": [
    ...([1, [2, 2]] as const),
    choosing([1, 1]),
    choosing([1, 1]),
    {},
  ],
  "boxes, all but one background: that the background is the same counts for nothing": [
    ...([2, [2, 8, 2]] as const),
    choosing([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
    choosing([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    { overlap: 0, answers: 1 },
  ],
  "boxes in rows, without a batch": [
    ...([1, [8, 2]] as const),
    choosing([0, 0, 0, 0, 0, 1, 1, 1]),
    choosing([0, 0, 0, 0, 1, 1, 1, 1]),
    { overlap: 0.75, answers: 4 },
  ],
  "a binary classifier out of a sigmoid": [
    ...(["each", [2, 1]] as const),
    [0.9, 0.1],
    [0.4, 0.1],
    { sameClass: 0.5, classOf: "image", answers: 2 },
  ],
  "a mask: overlap": [
    ...(["each", [2, 1, 2, 2]] as const),
    [0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
    [0.9, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1],
    { overlap: 1 / 3, answers: 3 },
  ],
};

for (const [kind, [axis, dims, a, b, expected]] of Object.entries(kinds)) {
  test(`the figure of ${kind}`, () => {
    const {
      output: _output,
      error: _error,
      ...figures
    } = agreement({ deviation: 1, axis }, dims, [[a, b]]) ?? {};
    assert.deepEqual(figures, expected);
  });
}

test("a class map: same class per position, unless nearly all of it is one class", () => {
  const map = (classes: readonly number[]): number[] =>
    [0, 1].flatMap((c) => classes.map((at) => +(at === c)));
  const twice = (values: readonly number[]): number[] => [...values, ...values];
  const figuresOf = (a: readonly number[], b: readonly number[]) =>
    agreement({ deviation: 1, axis: 1 }, [2, 2, 1, a.length], [[twice(map(a)), twice(map(b))]]);
  const varied = figuresOf([0, 0, 1, 1], [0, 0, 0, 1]);
  assert.deepEqual([varied?.sameClass, varied?.classOf], [0.75, "position"]);
  const empty = Array.from({ length: 20 }, () => 0);
  const rare = figuresOf(empty.with(3, 1), empty.with(4, 1));
  assert.deepEqual([rare?.sameClass, rare?.overlap], [undefined, 0]);
});

test("class scores: the same largest one at each position, and no error from a shift of all classes", () => {
  // [2 images, 2 classes, 2 positions]: at the second position of the second image another class wins.
  const scores = agreement(
    { deviation: 1, axis: 1 },
    [2, 2, 2],
    [
      [
        [1, 5, 0, 0, 1, 0, 2, 3],
        [4, 5, 3, 0, 1, 1, 2, 0],
      ],
    ],
  );
  assert.equal(scores?.sameClass, 0.75);
  // Differences there are -1 and 3: 4² / 2 after their mean is taken off.
  assert.ok(Math.abs((scores?.error ?? Number.NaN) - Math.sqrt(8 / 8)) < 1e-12);
  const probabilities = agreement(
    { deviation: 1, axis: "each" },
    [2, 2],
    [
      [
        [0.1, 0.6, 0.9, 0.4],
        [0.4, 0.3, 0.8, 0.4],
      ],
    ],
  );
  // Two are above one half in either, one in both; that two are below in both is no merit.
  assert.equal(probabilities?.sameClass, undefined);
  assert.equal(probabilities?.overlap, 0.5);
});

test("the deviation of an output is that from image to image, not over its elements", async () => {
  const images = { split, indices: allIndices(split), preprocessing: imagenetPreprocessing, threads: 1 };
  const [output = ""] = network.outputs.map(({ name }) => name);
  const plain = (await outputDeviations(network, [output], images)).get(output);
  const shifted = (await outputDeviations(withOffset(1000), [output], images)).get(output);
  assert.ok(plain && "deviation" in plain && shifted && "deviation" in shifted);
  assert.ok(plain.deviation > 0.01);
  // float32 of numbers around 1000 has steps of 6e-5.
  assert.ok(Math.abs(plain.deviation - shifted.deviation) < 1e-4, `${plain.deviation}, ${shifted.deviation}`);
  const same = { ...images, indices: new Uint32Array(5).fill(7) };
  const constant = (await outputDeviations(network, [output], same)).get(output);
  assert.deepEqual(constant, { problem: "it is the same for every image" });
});

test("errors have one unit, whether it is measured image by image or along with batches (1e-5)", async () => {
  const images = { split, indices: allIndices(split), preprocessing: imagenetPreprocessing };
  const [output = ""] = network.outputs.map(({ name }) => name);
  const [input = ""] = network.inputs.map(({ name }) => name);
  const unit = new ErrorUnit();
  // The last batch has 1 image, the values of others are not its.
  for await (const { results, count, size } of runOnImages(network, images, { input, batch: 7 })) {
    const { data, dims } = results[output] ?? {};
    assert.ok(data instanceof Float32Array && dims !== undefined);
    unit.add(data.subarray(0, (data.length / size) * count), dims.with(0, count), count);
  }
  const alone = (await outputDeviations(network, [output], { ...images, threads: 1 })).get(output);
  assert.ok(alone && "deviation" in alone);
  // ONNX Runtime sums one image and seven in different orders.
  assert.ok(
    Math.abs(unit.value.deviation / alone.deviation - 1) < 1e-5,
    `${unit.value.deviation}, ${alone.deviation}`,
  );
});

test("where images tell no deviation, errors are counted in the output's root mean square", () => {
  const constant = new ErrorUnit();
  constant.add(Float32Array.of(3, 4, 3, 4), [2, 2], 2);
  assert.deepEqual(constant.value, { deviation: Math.sqrt(12.5) });
  const boxes = new ErrorUnit();
  boxes.add(Float32Array.of(1, 2, 3), [3, 1], 2);
  boxes.add(Float32Array.of(5), [1, 1], 2);
  assert.deepEqual(boxes.value, { deviation: Math.sqrt(39 / 4) });
});

test("an output that changes its size has no error", () => {
  const comparison = new OutputComparison([{ output: "y", deviation: 1 }]);
  const rows = (count: number) => ({ y: new OrtTensor("float32", new Float32Array(count), [count, 1]) });
  comparison.add({ first: rows(3), second: rows(3), size: 3, count: 3 });
  comparison.add({ first: rows(3), second: rows(2), size: 3, count: 3 });
  assert.deepEqual(comparison.results, [{ output: "y", error: null }]);
});

test("a walk over images stops early, and frees the network, where nobody wants more", async () => {
  const images = { split, indices: allIndices(split), preprocessing: imagenetPreprocessing };
  const [input = ""] = network.inputs.map(({ name }) => name);
  const seen: number[] = [];
  const walk = runOnImages(network, images, { input, batch: 20 });
  for await (const { index, count } of walk) {
    seen.push(count);
    if (index === 1) break;
  }
  assert.deepEqual(seen, [20, 20]);
  assert.deepEqual(await walk.next(), { value: undefined, done: true });
});

test("images without labels have no accuracy", async () => {
  const unlabelled = { ...split, labels: undefined };
  await assert.rejects(evaluate(network, unlabelled, imagenetPreprocessing), {
    code: "bad-data",
    message: /no labels/,
  });
});
