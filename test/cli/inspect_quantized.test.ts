import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { writeModel } from "../../src/files/model_files.js";
import { int, ints } from "../../src/graph/attributes.js";
import { scalarTensor } from "../../src/graph/tensor.js";
import type { Node } from "../../src/graph/types.js";
import { penni } from "../../support/command_line.js";
import { bytesTensor, randomBytes } from "../../support/quantized.js";
import { node, smallGraph } from "../../support/small_models.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-quantized-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const fused = (op: string, inputs: readonly string[], output: string): Node => ({
  ...node(op, inputs, output),
  domain: "com.microsoft",
});

test("inspect shows the layers behind what ONNX Runtime's quantizer writes", async () => {
  const step = ["s", "z"];
  const graph = smallGraph(
    ["N", 3, 8, 8],
    [
      node("QuantizeLinear", ["x", ...step], "xq"),
      node("QLinearConv", ["xq", ...step, "w", "s", "zw", ...step], "cq", { pads: ints([1, 1, 1, 1]) }),
      fused("QLinearAdd", ["cq", ...step, "xq", ...step, ...step], "aq"),
      fused("QLinearGlobalAveragePool", ["aq", ...step, ...step], "gq"),
      node("Flatten", ["gq"], "fq", { axis: int(1) }),
      fused("QGemm", ["fq", ...step, "m", "s", "zw", "", ...step], "yq"),
      node("DequantizeLinear", ["yq", ...step], "y"),
    ],
    {
      s: scalarTensor(0.02),
      z: bytesTensor("uint8", [], [120]),
      zw: bytesTensor("int8", [], [0]),
      w: randomBytes("int8", [3, 3, 3, 3], [-60, 60], 1),
      m: randomBytes("int8", [3, 5], [-60, 60], 2),
    },
  );
  const file = path.join(folder, "model.onnx");
  await writeModel(file, { ...graph, opsets: new Map([...graph.opsets, ["com.microsoft", 1]]) });
  const { status, stdout, stderr } = await penni(["inspect", file, "--json"]);
  assert.equal(status, 0, stderr);
  const { layers, remarks, weights } = JSON.parse(stdout);
  assert.equal(weights.type, "int8");
  assert.deepEqual(
    layers.map(({ op, weightDims }: { op: string; weightDims: number[] }) => [op, weightDims]),
    [
      ["Conv", [3, 3, 3, 3]],
      ["Gemm", [3, 5]],
    ],
  );
  assert.deepEqual(
    remarks.map(({ kind }: { kind: string }) => kind),
    ["quantized"],
  );
});
