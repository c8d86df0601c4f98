import assert from "node:assert/strict";
import { test } from "node:test";
import { readModel } from "../../src/files/model_files.js";
import { withInitializers } from "../../src/graph/edit.js";
import { PenniError } from "../../src/graph/errors.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Tensor } from "../../src/graph/tensor.js";
import { countGraph } from "../../src/measure/count.js";
import { decompose } from "../../src/method/decompose.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { conv, node, randomTensor, smallGraph, smallNetwork } from "../../support/small_models.js";

// c1: 4*2*9 at 8x8, c2: 3*4 at 8x8, c3: 3*9 at 4x4, Gemm: 48*5.
const SMALL_MACS = 72 * 64 + 12 * 64 + 27 * 16 + 240;
const SMALL_PARAMETERS = 72 + 4 + (4 + 4) + 12 + 27 + 240 + 5;

test("a dense network counts the same both ways, running statistics are no parameters", () => {
  const count = countGraph(smallNetwork(1));
  assert.equal(count.paperMacs, SMALL_MACS);
  assert.equal(count.executedMacs, SMALL_MACS);
  assert.equal(count.parameters, SMALL_PARAMETERS);
  assert.equal(count.elements, SMALL_PARAMETERS);
});

test("open dimensions: the advice has as many as the input", () => {
  for (const [shape, example] of [
    [["N", 3, "H", "W"], "x:1x3x224x224"],
    [["N", "C", "H", "W"], "x:1x3x224x224"],
    [["N", "H", "W", 3], "x:1x224x224x3"],
    [["N", "features"], "x:1x32"],
    [["N", "samples"], "x:1x32"],
    [[2, "batch", 128], "x:2x32x128"],
  ] as const) {
    const graph = smallGraph(shape, [node("Relu", ["x"], "y")], {});
    assert.throws(
      () => countGraph(graph),
      (error) =>
        error instanceof PenniError && error.details.advice?.endsWith(`--input-shape ${example}`) === true,
    );
  }
});

test("MACs are proportional to the batch", () => {
  assert.equal(countGraph(smallNetwork(3)).paperMacs, 3 * SMALL_MACS);
});

test("a decomposed layer: R*S for each of C*d maps and one per non-zero coefficient, times the positions", () => {
  const graph = decompose(smallNetwork(1), { basis: 3 });
  const half = Array.from({ length: 24 }, (_, index) => index % 2);
  const count = countGraph(withInitializers(graph, [["w1.coefs", float32Tensor([4, 2, 3], half)]]));
  const layer = count.layers[0];
  assert.equal(layer?.paperMacs, 64 * (9 * 2 * 3 + 12));
  assert.equal(layer?.executedMacs, 64 * 72);
  assert.deepEqual(layer?.sparse, { initializer: "w1.coefs", nonZeros: 12, positions: 64 });
  assert.deepEqual(layer?.weightDims, [4, 2, 3, 3]);
  // Non-zero coefficients, basis, bias.
  assert.equal(layer?.parameters, 12 + 27 + 4);
  assert.equal(layer?.elements, 24 + 27 + 4);
});

test("zeros of a 1x1 convolution count; zeros of other dense weights do not", () => {
  const graph = withInitializers(smallNetwork(1), [
    ["w2", float32Tensor([3, 4, 1, 1], [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0])],
    ["w3", float32Tensor([3, 1, 3, 3], new Float32Array(27))],
  ]);
  const count = countGraph(graph);
  assert.equal(count.paperMacs, SMALL_MACS - 9 * 64);
  assert.equal(count.executedMacs, SMALL_MACS);
  assert.equal(count.parameters, SMALL_PARAMETERS - 9);
});

test("a shared decomposed weight costs arithmetic twice and parameters once", () => {
  const graph = decompose(
    smallGraph(
      [1, 3, 6, 6],
      [
        conv({ name: "a", input: "x", weight: "w", kernel: 3 }),
        conv({ name: "b", input: "a", weight: "w", kernel: 3, stride: 2 }),
        node("Relu", ["b"], "y"),
      ],
      { w: randomTensor([3, 3, 3, 3], 1) },
    ),
    { basis: 2 },
  );
  const { paperMacs, parameters } = countGraph(graph);
  assert.equal(paperMacs, (36 + 9) * (9 * 3 * 2 + 18));
  assert.equal(parameters, 18 + 18);
});

test("a dynamic input is an error that says what to do", () => {
  assert.throws(
    () => countGraph(smallNetwork("N")),
    (error) => error instanceof PenniError && error.code === "shape" && /--input-shape/.test(error.message),
  );
});

test("an operator that Penni does not know is named, not guessed", () => {
  const custom = { ...node("Mystery", ["x"], "y"), domain: "org.example" };
  const count = countGraph(smallGraph([1, 3, 4, 4], [custom], {}));
  assert.deepEqual(
    count.uncounted.map((each) => each.op),
    ["Mystery"],
  );
});

/** Parameters as PyTorch counts them (torchvision-style), MACs as published for 32x32 images. */
const published = [
  { model: "resnet20", parameters: 269_722, macs: 40_551_040 },
  { model: "resnet56", parameters: 853_018, macs: 125_485_696 },
];

for (const { model, parameters, macs } of published) {
  test(`${model} has the published parameters and MACs`, { skip: withoutShared("models") }, async () => {
    const graph = simplify(fixBatch(await readModel(sharedPath(`models/${model}.onnx`)), 1));
    const count = countGraph(graph);
    assert.equal(count.parameters, parameters);
    assert.equal(count.paperMacs, macs);
  });
}
