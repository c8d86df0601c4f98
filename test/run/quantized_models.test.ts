import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { int, ints } from "../../src/graph/attributes.js";
import { scalarTensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { encodeModel } from "../../src/onnx/write.js";
import { dequantize } from "../../src/ops/passes/dequantize.js";
import { importModel } from "../../src/ops/passes/import_model.js";
import type { Summary } from "../../src/run/summary.js";
import { PenniProcess } from "../../support/penni_process.js";
import { bytesTensor, randomBytes } from "../../support/quantized.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { conv, node, randomTensor, smallGraph } from "../../support/small_models.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-quantized-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const window = { pads: ints([1, 1, 1, 1]) };

/** Pairs around the input and a hidden map whose activation is saturation at 0. */
function quantized(): Graph {
  return smallGraph(
    ["N", 3, 12, 12],
    [
      node("QuantizeLinear", ["x", "sx", "zx"], "xq"),
      node("DequantizeLinear", ["xq", "sx", "zx"], "xd"),
      node("DequantizeLinear", ["w1", "s"], "w1f"),
      node("Conv", ["xd", "w1f"], "c1", window),
      node("QuantizeLinear", ["c1", "sc", "zc"], "cq"),
      node("DequantizeLinear", ["cq", "sc", "zc"], "cd"),
      node("DequantizeLinear", ["w2", "s"], "w2f"),
      node("Conv", ["cd", "w2f"], "c2", window),
      node("GlobalAveragePool", ["c2"], "p"),
      node("Flatten", ["p"], "y", { axis: int(1) }),
    ],
    {
      w1: randomBytes("int8", [16, 3, 3, 3], [-60, 60], 1),
      w2: randomBytes("int8", [10, 16, 3, 3], [-60, 60], 2),
      s: scalarTensor(0.01),
      sx: scalarTensor(1 / 32),
      zx: bytesTensor("uint8", [], [128]),
      sc: scalarTensor(0.05),
      zc: bytesTensor("uint8", [], [0]),
    },
  );
}

const run = (model: string, out: string, ...more: readonly string[]) =>
  new PenniProcess([
    ...["compress", model, "--data", "synthetic:60", "-o", path.join(folder, out)],
    ...["--preset", "calibrate", "--calibration-images", "16", "--threads", "1"],
    ...more,
  ]).ended;

const summaryOf = (out: string): Summary =>
  JSON.parse(readFileSync(path.join(folder, out, "summary.json"), "utf8")) as Summary;

test("a quantized model is refused with advice, and compressed when it may be de-quantized", async () => {
  const model = path.join(folder, "quantized.onnx");
  await writeModel(model, quantized());
  const refused = await run(model, "refused");
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /nothing to compress.*--dequantize/);

  const { status, stderr } = await run(model, "run", "--dequantize", "--target-macs", "0.8");
  assert.equal(status, 0, stderr);
  assert.match(stderr, /de-quantized: 2 weights.*2 values.*1 of them keep the bound at 0/);
  const float32 = encodeModel(dequantize(await readModel(model)).graph).byteLength;
  assert.match(stderr, new RegExp(`float32 network's, ${float32.toLocaleString("en-US")} bytes`));
  assert.doesNotMatch(stderr, /bytes larger/);
  const { original, compressed } = summaryOf("run");
  assert.equal(original.bytes, float32);
  assert.ok(compressed.bytes < float32);
  const result = importModel(await readModel(path.join(folder, "run", "model.onnx")));
  assert.ok(result.nodes.every(({ op }) => !op.includes("Quantize")));
});

test("--dequantize is refused for a model that is not quantized", async () => {
  const model = path.join(folder, "float.onnx");
  const nodes = [conv({ name: "y", input: "x", weight: "w", kernel: 3 })];
  await writeModel(model, smallGraph(["N", 3, 12, 12], nodes, { w: randomTensor([4, 3, 3, 3], 1) }));
  const { status, stderr } = await run(model, "float", "--dequantize");
  assert.equal(status, 1);
  assert.match(stderr, /--dequantize is for quantized models/);
});

for (const name of ["f4_unknown_op_then_conv", "f6_fixed_batch_fold"]) {
  const file = `cases/${name}.onnx`;
  test(`${name} is compressed`, { skip: withoutShared(file) }, async () => {
    const { status, stderr } = await run(sharedPath(file), name, "--target-macs", "0.95");
    assert.equal(status, 0, stderr);
    const { original, compressed } = summaryOf(name);
    assert.equal(/the file is [\d,]+ bytes larger/.test(stderr), compressed.bytes > original.bytes, stderr);
  });
}
