import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { readModel } from "../../src/files/model_files.js";
import { ints } from "../../src/graph/attributes.js";
import { float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { encodeModel } from "../../src/onnx/write.js";
import { PenniProcess } from "../../support/penni_process.js";
import { conv, node, randomTensor, smallGraph } from "../../support/small_models.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-imported-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A classifier as careless exporters write it: without names, with every optional output and input listed as "". */
function carelessModel(): Graph {
  const pool = node("MaxPool", ["r1"], "p1", { kernel_shape: ints([2, 2]), strides: ints([2, 2]) });
  const graph = smallGraph(
    ["N", 3, 12, 12],
    [
      conv({ name: "c1", input: "x", weight: "w1", kernel: 3 }),
      node("Clip", ["c1", "", "six"], "r1"),
      { ...pool, outputs: ["p1", ""] },
      { ...node("Dropout", ["p1", "", ""], "d1"), outputs: ["d1", ""] },
      conv({ name: "c2", input: "d1", weight: "w2", kernel: 3 }),
      node("Relu", ["c2"], "r2"),
      conv({ name: "c3", input: "r2", weight: "w3", kernel: 3 }),
      node("GlobalAveragePool", ["c3"], "g"),
      node("Flatten", ["g"], "y"),
    ],
    {
      w1: randomTensor([16, 3, 3, 3], 1),
      w2: randomTensor([16, 16, 3, 3], 2),
      w3: randomTensor([10, 16, 3, 3], 3),
      six: float32Tensor([], [6]),
    },
  );
  const nodes = graph.nodes.map((each, at) => ({
    ...each,
    name: at % 3 === 0 ? "twice" : "",
    inputs: [...each.inputs, ""],
  }));
  return { ...graph, nodes, outputs: [...graph.outputs, ...graph.outputs] };
}

const presets: ReadonlyMap<string, readonly string[]> = new Map([
  ["calibrate", ["--preset", "calibrate", "--target-macs", "0.7"]],
  ["fast", ["--epochs", "1", "--fine-tune-epochs", "1", "--batch", "16", "--deviations", "1"]],
]);

for (const [name, options] of presets) {
  test(`preset ${name}: nodes without names, or with one name, and optional outputs and inputs as ""`, async () => {
    const model = path.join(folder, `${name}.onnx`);
    writeFileSync(model, encodeModel(carelessModel()));
    const out = path.join(folder, name);
    const { status, stderr } = await new PenniProcess([
      ...["compress", model, "--data", "synthetic:100", "-o", out, "--threads", "1", ...options],
    ]).ended;
    assert.equal(status, 0, stderr);
    const result = await readModel(path.join(out, "model.onnx"));
    const names = result.nodes.map((each) => each.name);
    assert.equal(new Set(names).size, names.length);
    assert.equal(names.includes(""), false);
  });
}
