import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { int } from "../../src/graph/attributes.js";
import { float16ToFloat32, float32ToFloat16 } from "../../src/graph/float16.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Graph, ValueInfo } from "../../src/graph/types.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { importModel } from "../../src/ops/passes/import_model.js";
import { PenniProcess } from "../../support/penni_process.js";
import { conv, node, randomTensor, smallGraph } from "../../support/small_models.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-odd-models-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const info = (name: string, ...shape: (number | string)[]): ValueInfo => ({
  name,
  type: { elementType: "float16", shape },
});

/** A float16 classifier of open height and width, with an operator in it that has no gradient. */
function oddModel(): Graph {
  const graph = smallGraph(
    ["N", 3, "H", "W"],
    [
      conv({ name: "c1", input: "x", weight: "w1", kernel: 3 }),
      node("LpNormalization", ["c1"], "scaled", { axis: int(1) }),
      conv({ name: "c2", input: "scaled", weight: "w2", kernel: 3, stride: 2 }),
      node("Relu", ["c2"], "r2"),
      node("GlobalAveragePool", ["r2"], "p"),
      node("Flatten", ["p"], "f"),
      node("MatMul", ["f", "wfc"], "y"),
    ],
    {
      w1: randomTensor([32, 3, 3, 3], 1),
      w2: randomTensor([32, 32, 3, 3], 2),
      wfc: randomTensor([32, 10], 3),
    },
  );
  return {
    ...graph,
    inputs: [info("x", "N", 3, "H", "W")],
    outputs: [info("y", "N", 10)],
    valueInfo: new Map([["scaled", info("scaled", "N", 32, "H", "W")]]),
    initializers: new Map(
      [...graph.initializers].map(([name, tensor]) => [name, float32ToFloat16(tensor) ?? tensor]),
    ),
  };
}

test("a float16 model of open size with a node without gradient is compressed as far as it can be", async () => {
  const model = path.join(folder, "odd.onnx");
  await writeModel(model, oddModel());
  const out = path.join(folder, "run");
  const { status, stderr } = await new PenniProcess([
    ...["compress", model, "--data", "synthetic:100", "-o", out, "--input-shape", "x:1x3x12x12"],
    ...["--epochs", "1", "--fine-tune-epochs", "1", "--batch", "16", "--threads", "1", "--deviations", "1"],
    "--external-data",
  ]).ended;
  assert.equal(status, 0, stderr);
  assert.match(
    stderr,
    /no gradient reaches stay as they are, because of "scaled\/LpNormalization" \(LpNormalization\): .*w1/,
  );
  assert.ok(readdirSync(out).includes("model.onnx.data"));

  const file = await readModel(path.join(out, "model.onnx"));
  assert.deepEqual(
    [...file.inputs, ...file.outputs].map(({ type }) => [type?.elementType, type?.shape?.[0]]),
    [
      ["float16", "N"],
      ["float16", "N"],
    ],
  );
  const compressed = importModel(file);
  assert.deepEqual(
    findDecompositions(compressed).map(({ conv: { outputs } }) => outputs[0]),
    ["c2"],
  );
  const [first] = compressed.nodes.filter(({ op }) => op === "Conv");
  const [kept, original] = [
    compressed.initializers.get(first?.inputs[1] ?? ""),
    oddModel().initializers.get("w1"),
  ];
  assert.ok(kept !== undefined && original !== undefined);
  // Only its normalization, which the run gives it and folds again, has moved with the images' statistics.
  const [after, before] = [float32Data(kept), float32Data(float16ToFloat32(original))];
  for (let filter = 0; filter < 32; filter++) assert.ok(cosine(after, before, 27 * filter) > 0.9999);
});

/** The cosine between two filters of 27 elements. */
function cosine(a: Float32Array, b: Float32Array, start: number): number {
  const dot = (left: Float32Array, right: Float32Array): number =>
    left
      .subarray(start, start + 27)
      .reduce((sum, value, index) => sum + value * (right[start + index] ?? 0), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
