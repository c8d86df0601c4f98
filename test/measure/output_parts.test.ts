import assert from "node:assert/strict";
import { test } from "node:test";
import type { Split } from "../../src/data/dataset.js";
import { int, ints } from "../../src/graph/attributes.js";
import { imagenetPreprocessing } from "../../src/graph/image_metadata.js";
import { float32Tensor, int64Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { NodeCalibration } from "../../src/measure/calibration.js";
import { outputParts } from "../../src/measure/output_parts.js";
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

test("an output is what it is put together from, through whatever only moves numbers", () => {
  assert.deepEqual(outputParts(detector()), ["boxes", "scores"]);
  const nested = smallGraph(
    [1, 3, 4],
    [
      node("Relu", ["x"], "a"),
      node("Neg", ["x"], "b"),
      node("Concat", ["a", "b", "anchors"], "near", { axis: int(2) }),
      node("Transpose", ["near"], "turned", { perm: ints([0, 2, 1]) }),
      node("Abs", ["a"], "far"),
      node("Concat", ["turned", "far_turned", "turned"], "all", { axis: int(1) }),
      node("Flatten", ["all"], "y"),
    ],
    { anchors: float32Tensor([1, 3, 2], [1, 2, 3, 4, 5, 6]) },
  );
  const far = node("Transpose", ["far"], "far_turned", { perm: ints([0, 2, 1]) });
  const graph = { ...nested, nodes: nested.nodes.toSpliced(5, 0, far) };
  // Constants are in nobody's error; what stands twice counts once; what is only turned stays as it is.
  assert.deepEqual(outputParts(graph), ["a", "b", "far_turned"]);
  const computed = smallGraph(
    [1, 3, 4],
    [
      node("Relu", ["x"], "a"),
      node("Concat", ["a", "a"], "joined", { axis: int(1) }),
      node("Neg", ["joined"], "y"),
    ],
    {},
  );
  assert.deepEqual(outputParts(computed), ["y"]);
});

test("what changes scores of a detector is no less to a calibration than what changes coordinates", async () => {
  const graph = detector();
  const next = randomSource(5);
  const area = SIDE * SIDE;
  const pixels = Uint8Array.from({ length: 8 * 3 * area }, () => 255 * next());
  const split: Split = { count: 8, channels: 3, height: SIDE, width: SIDE, labels: undefined, pixels };
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
