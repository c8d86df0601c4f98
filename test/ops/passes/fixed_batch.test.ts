import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { runGraph } from "../../../src/execute/node.js";
import { int, ints } from "../../../src/graph/attributes.js";
import { fixBatch } from "../../../src/graph/passes/fix_input_shape.js";
import { float32Data, float32Tensor, int64Tensor } from "../../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../../src/graph/types.js";
import { decompose } from "../../../src/method/decompose.js";
import { exportModel } from "../../../src/method/export.js";
import { shrink } from "../../../src/method/shrink.js";
import { decodeModel } from "../../../src/onnx/read.js";
import { inferGraph } from "../../../src/ops/inference/infer.js";
import { verifyTypes } from "../../../src/ops/inference/verify.js";
import { simplify } from "../../../src/ops/passes/simplify.js";
import { filled, graphOf, nodeOf } from "../../../support/random_graph.js";
import { sharedPath, withoutShared } from "../../../support/shared.js";

const options = { optimization: "disabled", threads: 1 } as const;

function imageDims(graph: Graph): number[] {
  return graph.inputs[0]?.type?.shape?.slice(1).map(Number) ?? [];
}

/** The first output for a graph with one float32 input. */
async function outputOf(graph: Graph, input: Tensor): Promise<Tensor> {
  const [name] = graph.inputs.map((info) => info.name);
  const outputs = await runGraph(graph, new Map([[name ?? "", input]]), options);
  return outputs.get(graph.outputs[0]?.name ?? "") ?? assert.fail("no output");
}

/** The images of a batch, one by one, through a graph that takes one; their outputs joined. */
async function oneByOne(graph: Graph, input: Tensor): Promise<number[]> {
  const [batch = 0, ...dims] = input.dims;
  const size = input.bytes.byteLength / 4 / batch;
  const values: number[] = [];
  for (let image = 0; image < batch; image++) {
    const data = float32Data(input).subarray(image * size, (image + 1) * size);
    values.push(...float32Data(await outputOf(graph, float32Tensor([1, ...dims], data))));
  }
  return values;
}

/** A matrix product of another size may sum in another order: 1e-5 of the largest output, or absolute. */
function assertClose(found: Tensor, expected: readonly number[]): void {
  const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1);
  const data = float32Data(found);
  assert.equal(data.length, expected.length);
  expected.forEach((value, at) => {
    assert.ok(Math.abs(value - (data[at] ?? NaN)) <= 1e-5 * scale, `output ${at}: ${value}, ${data[at]}`);
  });
}

async function assertBatchCanChange(fixed: Graph, batch: number): Promise<void> {
  const simple = simplify(fixed, { verify: true });
  assert.equal(simplify(simple), simple);
  const wider = fixBatch(simple, batch);
  verifyTypes(wider);
  const output = wider.outputs[0]?.name ?? "";
  const images = filled(batch, ...imageDims(fixed));
  const found = await outputOf(wider, images);
  assert.deepEqual(inferGraph(wider).types.get(output)?.shape, found.dims);
  assertClose(found, await oneByOne(fixed, images));
}

const shapes: Readonly<Record<string, readonly number[]>> = {
  "the rest inferred": [1, -1],
  "all sizes": [1, 4],
  "the batch inferred": [-1, 4],
};
for (const [what, shape] of Object.entries(shapes)) {
  test(`the batch of a model fixed to 1 can change: Reshape with ${what}`, async () => {
    const graph = graphOf({
      inputs: [{ name: "x", type: { elementType: "float32", shape: [1, 4, 3, 3] } }],
      outputs: [{ name: "y", type: { elementType: "float32", shape: [1, 5] } }],
      nodes: [
        nodeOf("GlobalAveragePool", ["x"], ["pooled"]),
        nodeOf("Reshape", ["pooled", "shape"], ["features"]),
        nodeOf("Gemm", ["features", "w"], ["y"]),
      ],
      initializers: new Map([
        ["shape", int64Tensor([2], shape)],
        ["w", filled(4, 5)],
      ]),
    });
    await assertBatchCanChange(graph, 6);
  });
}

test("the batch of a model fixed to 1 can change: shuffled channels, a chain of reshapes, a computed weight", async () => {
  const graph = graphOf({
    inputs: [{ name: "x", type: { elementType: "float32", shape: [1, 4, 1, 2] } }],
    outputs: [{ name: "y", type: undefined }],
    nodes: [
      nodeOf("Reshape", ["x", "groups"], ["grouped"]),
      nodeOf("Transpose", ["grouped"], ["turned"], { perm: ints([0, 2, 1, 3, 4]) }),
      nodeOf("Reshape", ["turned", "whole"], ["shuffled"]),
      // The weight has a first axis of size 1, too, which is no batch.
      nodeOf("MatMul", ["left", "right"], ["product"]),
      nodeOf("Reshape", ["product", "kernel"], ["weight"]),
      nodeOf("Conv", ["shuffled", "weight"], ["c"]),
      nodeOf("Squeeze", ["c", "one"], ["rows"]),
      nodeOf("Flatten", ["rows"], ["y"], { axis: int(1) }),
    ],
    initializers: new Map([
      ["groups", int64Tensor([5], [1, 2, 2, 1, 2])],
      ["whole", int64Tensor([4], [1, 4, 1, 2])],
      ["left", filled(1, 3)],
      ["right", filled(3, 4)],
      ["kernel", int64Tensor([4], [1, 4, 1, 1])],
      ["one", int64Tensor([1], [1])],
    ]),
  });
  assert.equal(simplify(graph).initializers.get("kernel"), graph.initializers.get("kernel"));
  await assertBatchCanChange(graph, 3);
});

const resnet20 = "models/resnet20.onnx";
const fixedModels: readonly (readonly [file: string, batch: number])[] = [
  [resnet20, 64],
  ["models/zoo/mobilenet_v2_w025.onnx", 3],
  ["models/zoo/shufflenet_v2_x0_5.onnx", 3],
  ["models/zoo/squeezenet1_1.onnx", 3],
];
for (const [file, batch] of fixedModels) {
  test(`the batch of ${file}, fixed to 1, can change to ${batch}`, {
    skip: withoutShared(file),
  }, async () => {
    await assertBatchCanChange(fixBatch(decodeModel(readFileSync(sharedPath(file))), 1), batch);
  });
}

test("a compressed model takes the batch of 1 that the original declares", {
  skip: withoutShared(resnet20),
}, async () => {
  const original = simplify(fixBatch(decodeModel(readFileSync(sharedPath(resnet20))), 1));
  const decomposed = decompose(original, { basis: 5 });
  const { graph } = await exportModel(shrink(decomposed));
  verifyTypes(graph);
  assert.deepEqual(graph.inputs[0]?.type?.shape, [1, 3, 32, 32]);
  const image = filled(1, 3, 32, 32);
  const found = await outputOf(graph, image);
  assert.deepEqual(found.dims, [1, 10]);
  // Folded BatchNormalization and merged kernels round differently: 1e-3, absolute.
  const expected = float32Data(await outputOf(decomposed, image));
  float32Data(found).forEach((value, at) => {
    assert.ok(Math.abs(value - (expected[at] ?? NaN)) <= 1e-3, `logit ${at}: ${value}, ${expected[at]}`);
  });
});
