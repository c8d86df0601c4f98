import assert from "node:assert/strict";
import { test } from "node:test";
import { compileToWasm } from "../../src/compile/index.js";
import { runGraph } from "../../src/execute/node.js";
import { ints, text } from "../../src/graph/attributes.js";
import { elementCount, float32Data, float32Tensor, int64Tensor } from "../../src/graph/tensor.js";
import type { Attribute, Graph, Tensor } from "../../src/graph/types.js";
import { inferGraph } from "../../src/ops/inference/infer.js";
import { importModel } from "../../src/ops/passes/import_model.js";
import { constant, type OpCase, omitted, random, testOps } from "../../support/opcase.js";
import { graphOf, nodeOf } from "../../support/random_graph.js";
import { randomTensor } from "../../support/small_models.js";
import { runModule } from "../compile/run_wasm.js";

interface Form {
  readonly opset: number;
  readonly dims: readonly number[];
  readonly scales?: Tensor;
  readonly sizes?: Tensor;
  readonly attributes: Readonly<Record<string, Attribute>>;
}

function resize({ opset, dims, scales, sizes, attributes }: Form): Graph {
  const absent = opset < 13 ? ["roi", "none"] : ["", ""];
  const [roi = "", none = ""] = absent;
  const inputs = sizes === undefined ? ["x", roi, "scales"] : ["x", roi, none, "sizes"];
  const empty = float32Tensor([0], []);
  return graphOf({
    opsets: new Map([["", opset]]),
    inputs: [{ name: "x", type: { elementType: "float32", shape: dims } }],
    outputs: [{ name: "y", type: undefined }],
    nodes: [nodeOf("Resize", inputs, ["y"], attributes)],
    initializers: new Map([
      ["roi", empty],
      ["none", empty],
      ...(scales === undefined ? [] : [["scales", scales] as const]),
      ...(sizes === undefined ? [] : [["sizes", sizes] as const]),
    ]),
  });
}

/** Imported and compiled, it gives what ONNX Runtime makes of the form given. */
async function checkResize(form: Form): Promise<void> {
  const graph = resize(form);
  const x = randomTensor(form.dims, 9);
  const y = (await runGraph(graph, new Map([["x", x]]), { optimization: "disabled" })).get("y");
  assert.ok(y !== undefined);
  const what = JSON.stringify([form.dims, [...y.dims]]);
  const imported = importModel(graph);
  assert.deepEqual(inferGraph(imported).types.get("y")?.shape, y.dims, what);
  assert.deepEqual((await runGraph(imported, new Map([["x", x]]))).get("y"), y, what);
  const found = runModule(compileToWasm(graph), new Map([["x", float32Data(x)]])).get("y");
  assert.equal(found?.length, elementCount(y.dims));
  float32Data(y).forEach((value, at) => {
    assert.ok(Math.abs(value - (found?.[at] ?? Number.NaN)) <= 1e-5, `${what}[${at}]`);
  });
}

const images = [
  [1, 2, 7, 9],
  [1, 2, 8, 6],
  [1, 2, 5, 5],
];
const bounds = [
  [14, 12],
  [4, 4],
  [9, 20],
  [5, 3],
];

for (const policy of ["not_larger", "not_smaller"]) {
  for (const mode of ["nearest", "linear", "cubic"]) {
    test(`Resize that keeps the aspect ratio: ${policy}, ${mode}`, async () => {
      for (const dims of images) {
        for (const sizes of bounds) {
          const attributes = { mode: text(mode), keep_aspect_ratio_policy: text(policy), axes: ints([2, 3]) };
          await checkResize({ opset: 18, dims, sizes: int64Tensor([2], sizes), attributes });
        }
      }
    });
  }
}

test("Resize that keeps the aspect ratio, sizes in another order of axes", () =>
  checkResize({
    opset: 19,
    dims: [1, 2, 6, 9],
    sizes: int64Tensor([2], [12, 15]),
    attributes: { mode: text("linear"), keep_aspect_ratio_policy: text("not_larger"), axes: ints([3, 2]) },
  }));

for (const rounding of [undefined, "floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]) {
  test(`Resize, tf_half_pixel_for_nn, ${rounding ?? "without a rounding"}`, async () => {
    const attributes = {
      mode: text("nearest"),
      coordinate_transformation_mode: text("tf_half_pixel_for_nn"),
      ...(rounding === undefined ? {} : { nearest_mode: text(rounding) }),
    };
    for (const opset of [11, 12]) {
      for (const scale of [2, 3, 0.5, 1.5, 2.5, 1.3]) {
        const scales = float32Tensor([4], [1, 1, scale, 2]);
        await checkResize({ opset, dims: [1, 2, 6, 5], scales, attributes });
      }
      await checkResize({ opset, dims: [1, 2, 6, 5], sizes: int64Tensor([4], [1, 2, 13, 4]), attributes });
    }
  });
}

test("Resize, tf_half_pixel_for_nn, between elements", async () => {
  for (const mode of ["linear", "cubic"]) {
    const attributes = {
      mode: text(mode),
      coordinate_transformation_mode: text("tf_half_pixel_for_nn"),
    };
    const scales = float32Tensor([4], [1, 1, 2, 1.5]);
    await checkResize({ opset: 11, dims: [1, 2, 6, 5], scales, attributes });
  }
});

const gradients: readonly OpCase[] = ["not_larger", "not_smaller"].map((policy) => ({
  op: "Resize",
  name: policy,
  opset: 18,
  inputs: [random([1, 1, 3, 4]), omitted, omitted, constant(int64Tensor([2], [5, 9]))],
  attributes: { mode: text("linear"), keep_aspect_ratio_policy: text(policy), axes: ints([2, 3]) },
}));

testOps(gradients);
