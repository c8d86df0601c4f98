import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { runGraph } from "../../src/execute/node.js";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { withRuntimeShapes } from "../../src/measure/runtime_shapes.js";
import { importModel } from "../../src/ops/passes/import_model.js";
import { cutBefore, joinRest } from "../../src/run/rest.js";
import { PenniProcess } from "../../support/penni_process.js";
import { conv, node, randomTensor, smallGraph } from "../../support/small_models.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-rest-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Two layers, an operator of nobody's, a layer behind it that shares a weight, and a way round with an output. */
function network(): Graph {
  const graph = smallGraph(
    ["N", 3, 10, 10],
    [
      conv({ name: "c1", input: "x", weight: "w1", kernel: 3 }),
      node("Relu", ["c1"], "r1"),
      conv({ name: "c2", input: "r1", weight: "w2", kernel: 3 }),
      { ...node("Frobnicate", ["c2"], "u"), domain: "acme" },
      conv({ name: "c3", input: "u", weight: "w2", kernel: 3 }),
      node("Add", ["c3", "r1"], "y"),
      node("GlobalAveragePool", ["r1"], "side"),
    ],
    { w1: randomTensor([8, 3, 3, 3], 1), w2: randomTensor([8, 8, 3, 3], 2) },
  );
  return {
    ...graph,
    opsets: new Map([
      ["", 11],
      ["acme", 2],
    ]),
    outputs: ["y", "side"].map((name) => ({ name, type: undefined })),
  };
}

/** With an operator in place of the one that nobody has. */
const runnable = (graph: Graph): Graph => ({
  ...graph,
  nodes: graph.nodes.map((each) =>
    each.op === "Frobnicate" ? { ...each, op: "Sigmoid", domain: "" } : each,
  ),
});

test("a network that is cut and joined again computes the same, also in a later operator set", async () => {
  const graph = network();
  const { missing } = await withRuntimeShapes(graph);
  const cut = cutBefore(graph, missing);
  assert.deepEqual(
    cut.runnable.outputs.map(({ name }) => name),
    ["side", "c2", "r1"],
  );
  const joined = joinRest(importModel(cut.runnable), cut.rest);
  assert.deepEqual(
    joined.outputs.map(({ name }) => name),
    ["y", "side"],
  );
  const feeds = new Map([["x", randomTensor([2, 3, 10, 10], 3)]]);
  const [expected, found] = [await runGraph(runnable(graph), feeds), await runGraph(runnable(joined), feeds)];
  for (const name of ["y", "side"]) {
    const [want, got] = [expected.get(name), found.get(name)];
    assert.ok(want !== undefined && got !== undefined);
    assert.deepEqual(float32Data(got), float32Data(want));
  }
});

test("an operator that nobody has: what is before it is compressed, what is behind it stays", async () => {
  const model = path.join(folder, "model.onnx");
  await writeModel(model, network());
  const run = (out: string, ...more: readonly string[]) =>
    new PenniProcess([
      ...["compress", model, "--data", "synthetic:60", "-o", path.join(folder, out)],
      ...["--threads", "1", "--calibration-images", "16", ...more],
    ]).ended;
  const { status, stderr } = await run(
    "run",
    ...["--preset", "calibrate", "--basis", "3", "--target-macs", "0.6"],
  );
  assert.equal(status, 0, stderr);
  assert.match(stderr, /u\/Frobnicate \(Frobnicate\): ONNX Runtime does not have this operator/);
  const result = await readModel(path.join(folder, "run", "model.onnx"));
  assert.deepEqual(
    result.outputs.map(({ name }) => name),
    ["y", "side"],
  );
  assert.ok(result.nodes.some(({ op, domain }) => op === "Frobnicate" && domain === "acme"));
  assert.ok(findDecompositions(result).length > 0);
  const behind = result.nodes.find(({ outputs }) => outputs[0] === "c3");
  const [, w2] = [...network().initializers.values()];
  const kept = result.initializers.get(behind?.inputs[1] ?? "");
  assert.ok(kept !== undefined && w2 !== undefined);
  assert.deepEqual(float32Data(kept), float32Data(w2));

  const refused = await run("labelled", "--loss", "labels");
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /labels cannot be compared.*--loss distill/);
});
