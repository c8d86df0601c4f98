import assert from "node:assert/strict";
import { test } from "node:test";
import { Tensor as OrtTensor } from "onnxruntime-common";
import type { Split } from "../../src/data/dataset.js";
import { int, ints } from "../../src/graph/attributes.js";
import { imagenetPreprocessing } from "../../src/graph/image_metadata.js";
import { float32Tensor, int64Tensor } from "../../src/graph/tensor.js";
import type { Graph, Node, Tensor } from "../../src/graph/types.js";
import { batchProblem } from "../../src/measure/batch_independence.js";
import { NodeCalibration } from "../../src/measure/calibration.js";
import { OutputComparison } from "../../src/measure/output_comparison.js";
import { ErrorUnit } from "../../src/measure/output_deviation.js";
import { describeParts, outputParts, partOfEach } from "../../src/measure/output_parts.js";
import { randomSource } from "../../support/opcase.js";
import { conv, node, randomTensor, smallGraph } from "../../support/small_models.js";

const SIDE = 6;

/** A detector's head: coordinates of hundreds of pixels, scores of three classes, as YOLO since version 8 puts them together. */
function detector(): Graph {
  return smallGraph(
    [1, 3, SIDE, SIDE],
    [
      conv({ name: "places", input: "x", weight: "wp", kernel: 1 }),
      node("Mul", ["places", "stride"], "pixels"),
      node("Reshape", ["pixels", "four"], "boxes"),
      conv({ name: "marks", input: "x", weight: "wm", kernel: 1 }),
      node("Sigmoid", ["marks"], "likely"),
      node("Reshape", ["likely", "three"], "scores"),
      node("Concat", ["boxes", "scores"], "y", { axis: int(1) }),
    ],
    {
      wp: randomTensor([4, 3, 1, 1], 1),
      wm: randomTensor([3, 3, 1, 1], 2),
      stride: float32Tensor([1], [320]),
      four: int64Tensor([3], [1, 4, SIDE * SIDE]),
      three: int64Tensor([3], [1, 3, SIDE * SIDE]),
    },
  );
}

function someImages(): Split {
  const next = randomSource(5);
  const pixels = Uint8Array.from({ length: 8 * 3 * SIDE * SIDE }, () => 255 * next());
  return { count: 8, channels: 3, height: SIDE, width: SIDE, labels: undefined, pixels };
}

test("an output is what it is put together from, through whatever only moves numbers", () => {
  assert.deepEqual(Object.fromEntries(outputParts(detector())), {
    y: [
      {
        value: "boxes",
        ranges: [
          [0, 4],
          [0, 36],
        ],
      },
      {
        value: "scores",
        ranges: [
          [4, 7],
          [0, 36],
        ],
      },
    ],
  });
  const nested = smallGraph(
    [1, 3, 4],
    [
      node("Relu", ["x"], "a"),
      node("Neg", ["x"], "b"),
      node("Concat", ["a", "b", "anchors"], "near", { axis: int(2) }),
      node("Transpose", ["near"], "turned", { perm: ints([0, 2, 1]) }),
      node("Abs", ["a"], "far"),
      node("Transpose", ["far"], "far_turned", { perm: ints([0, 2, 1]) }),
      node("Concat", ["turned", "far_turned"], "all", { axis: int(1) }),
      node("Unsqueeze", ["all", "last"], "y"),
    ],
    { anchors: float32Tensor([1, 3, 2], [1, 2, 3, 4, 5, 6]), last: int64Tensor([1], [3]) },
  );
  const parts = outputParts(nested).get("y") ?? [];
  // Constants are in nobody's error; what is only turned stays as it is.
  assert.deepEqual(
    parts.map(({ value }) => value),
    ["a", "b", "far_turned"],
  );
  assert.deepEqual(describeParts(parts), ["[:, 0:4, :, :]", "[:, 4:8, :, :]", "[:, 10:14, :, :]"]);
  const each = [0, 0, 0, 0, 1, 1, 1, 1, -1, -1, 2, 2, 2, 2].flatMap((part) => [part, part, part]);
  assert.deepEqual([...partOfEach(parts, [14, 3, 1])], each);
});

test("parts are where a reshape leaves them, and none where they are blocks no more", () => {
  const reshaped = (dims: readonly number[], axis: number): readonly string[] => {
    const graph = smallGraph(
      [1, 4, 6],
      [
        node("Neg", ["x"], "n"),
        node("Concat", ["x", "n"], "both", { axis: int(axis) }),
        node("Reshape", ["both", "dims"], "y"),
      ],
      { dims: int64Tensor([dims.length], dims) },
    );
    return describeParts(outputParts(graph).get("y") ?? []);
  };
  assert.deepEqual(reshaped([1, 48], 1), ["[:, 0:24]", "[:, 24:48]"]);
  assert.deepEqual(reshaped([1, 2, 4, 6], 1), ["[:, 0:1, :, :]", "[:, 1:2, :, :]"]);
  assert.deepEqual(reshaped([1, 8, 2, 3], 1), ["[:, 0:4, :, :]", "[:, 4:8, :, :]"]);
  assert.deepEqual(reshaped([1, 16, 3], 1), ["[:, 0:8, :]", "[:, 8:16, :]"]);
  assert.deepEqual(reshaped([1, 2, 2, 12], 2), ["[:, :, :, 0:6]", "[:, :, :, 6:12]"]);
  // Rows of one and of the other by turns.
  assert.deepEqual(reshaped([1, 48], 2), []);
  // A third holds some of both.
  assert.deepEqual(reshaped([1, 3, 16], 1), []);
});

test("what is joined image by image, or computed with afterwards, is taken whole", () => {
  const joined = (axis: number, ...after: readonly Node[]): Graph =>
    smallGraph(
      [1, 3, 4],
      [node("Concat", ["x", "x"], after.length === 0 ? "y" : "all", { axis: int(axis) }), ...after],
      {},
    );
  assert.equal(outputParts(joined(1)).size, 1);
  assert.equal(outputParts(joined(0)).size, 0);
  assert.equal(outputParts(joined(1, node("Neg", ["all"], "y"))).size, 0);
  // Each doubles what is before it: 2^40 parts.
  const doubled = Array.from({ length: 40 }, (_, each) =>
    node("Concat", [`v${each}`, `v${each}`], each === 39 ? "y" : `v${each + 1}`, { axis: int(1) }),
  );
  const parts = outputParts(smallGraph([1, 1], [node("Neg", ["x"], "v0"), ...doubled], {})).get("y");
  assert.ok(parts !== undefined && parts.length <= 64);
});

test("each part of an output has a unit and an error of its own, the largest is the output's", async () => {
  const parts = outputParts(detector()).get("y");
  const unit = new ErrorUnit(parts);
  const area = SIDE * SIDE;
  const answer = (boxes: number, scores: number): Float32Array =>
    Float32Array.from({ length: 7 * area }, (_, index) => (index < 4 * area ? boxes : scores));
  const original = [answer(100, 0.5), answer(300, 0.25)];
  for (const values of original) unit.add(values, [1, 7, area], 1);
  const { value } = unit;
  assert.deepEqual(
    value.parts?.map(({ deviation }) => deviation),
    [100, 0.125],
  );
  const comparison = new OutputComparison([{ output: "y", ...value }]);
  const tensor = (data: Float32Array) => ({ y: new OrtTensor("float32", data, [1, 7, area]) });
  for (const values of original) {
    const changed = values.map((each, index) => each + (index < 4 * area ? 10 : 0.0625));
    comparison.add({ first: tensor(values), second: tensor(changed), size: 1, count: 1 });
  }
  const [{ error, parts: errors } = assert.fail()] = comparison.results;
  assert.deepEqual([error, errors?.map((part) => part.error)], [0.5, [0.1, 0.5]]);
});

test("scores that see other images are seen beside coordinates of hundreds of pixels", async () => {
  const graph = detector();
  // The scores of an image less those of the image before it, which is itself where it is alone.
  const mixed = [
    node("ReduceMax", ["likely"], "most", { axes: ints([0]), keepdims: int(1) }),
    node("Mul", ["likely", "most"], "seen"),
  ];
  const nodes = graph.nodes.flatMap((each) =>
    each.outputs[0] === "scores" ? [...mixed, { ...each, inputs: ["seen", "three"] }] : [each],
  );
  const perImage = (sizes: readonly number[]): Tensor => int64Tensor([3], [0, ...sizes, SIDE * SIDE]);
  const initializers = new Map([
    ...graph.initializers,
    ["four", perImage([4])],
    ["three", perImage([3])],
  ] as const);
  const images = {
    split: someImages(),
    indices: Uint32Array.of(0, 1),
    threads: 1,
    preprocessing: imagenetPreprocessing,
  };
  assert.equal(await batchProblem({ ...graph, initializers }, images), undefined);
  const problem = await batchProblem({ ...graph, nodes, initializers }, images);
  assert.match(problem?.message ?? "", /not that of each alone/);
});

test("what changes scores of a detector is no less to a calibration than what changes coordinates", async () => {
  const graph = detector();
  const split = someImages();
  const runtime = await NodeCalibration.open(graph, {
    split,
    indices: Uint32Array.from({ length: 8 }, (_, index) => index),
    preprocessing: imagenetPreprocessing,
    threads: 1,
  });
  try {
    const errorOf = async (weight: string, outputs: number): Promise<number> => {
      const zeros = float32Tensor([outputs, 3, 1, 1], new Float32Array(3 * outputs));
      const [error = Number.NaN] = await runtime.outputErrors([new Map([[weight, zeros]])]);
      return error;
    };
    const [places, scores] = [await errorOf("wp", 4), await errorOf("wm", 3)];
    // Either leaves a half of the outputs at their mean, or worse; as one tensor the scores would be some 1e-7 of it.
    assert.ok(places > 0.3 && places < 3, `${places}`);
    assert.ok(scores > 0.3 && scores < 3, `${scores}`);
  } finally {
    await runtime.release();
  }
});
