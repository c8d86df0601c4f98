import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { claimDemoFolder } from "../../src/cli/demo_folder.js";
import { patternNames } from "../../src/data/synthetic_patterns.js";
import { runGraph } from "../../src/execute/node.js";
import { PenniError } from "../../src/graph/errors.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { countGraph } from "../../src/measure/count.js";
import { decompositionCandidates } from "../../src/method/decompose.js";
import { demoNetwork } from "../../src/networks/demo.js";
import { verifyTypes } from "../../src/ops/inference/verify.js";
import { randomTensor } from "../../support/small_models.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-demo-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const classes = patternNames.length;
const network = demoNetwork({ classes, seed: 0 });

/** Root mean square of the logits over random images, which are uniform in [-1, 1). */
async function logitScale(graph: Graph, count: number): Promise<number> {
  const feeds = new Map([["images", randomTensor([count, 3, 32, 32], 1)]]);
  const logits = (await runGraph(graph, feeds)).get("logits");
  assert.ok(logits !== undefined);
  assert.deepEqual(logits.dims, [count, classes]);
  const values = float32Data(logits);
  assert.ok(values.every(Number.isFinite));
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}

test("the demo's network is well-formed and runs in onnxruntime-node at any batch", async () => {
  verifyTypes(network);
  for (const count of [1, 3]) {
    // He initialisation keeps the signal: neither vanished nor exploded.
    const scale = await logitScale(network, count);
    assert.ok(scale > 0.1 && scale < 10, `${scale}`);
  }
});

test("the demo's network has 12.2 million MACs, a residual Add, and convolutions to compress", () => {
  const { executedMacs } = countGraph(fixBatch(network, 1));
  // 9 * (3*16*32² + (16*32 + 2*32²)*16² + (32*64 + 2*64²)*8²) + 64*10, by hand.
  assert.equal(executedMacs, 12_239_488);
  assert.ok(network.nodes.some((node) => node.op === "Add"));
  assert.equal(decompositionCandidates(network).length, 7);
});

test("the same seed gives the same weights, another one others", () => {
  const weight = (seed: number): Uint8Array | undefined =>
    demoNetwork({ classes, seed }).initializers.get("stem.weight")?.bytes;
  assert.deepEqual(weight(0), network.initializers.get("stem.weight")?.bytes);
  assert.notDeepEqual(weight(1), weight(0));
});

test("a directory that holds something else is refused and left as it is", async () => {
  const foreign = path.join(folder, "foreign");
  mkdirSync(foreign);
  for (const name of ["original.onnx", "notes.txt"]) writeFileSync(path.join(foreign, name), "mine");
  await assert.rejects(claimDemoFolder(foreign), (error) => {
    assert.ok(error instanceof PenniError && error.code === "io");
    assert.match(error.message, /foreign: this directory is not empty and holds no earlier demo.*-o/);
    return true;
  });
  assert.deepEqual(readdirSync(foreign).sort(), ["notes.txt", "original.onnx"]);
  assert.equal(readFileSync(path.join(foreign, "original.onnx"), "utf8"), "mine");
});

test("a file in the directory's place is an error that names it", async () => {
  const file = path.join(folder, "file");
  writeFileSync(file, "mine");
  await assert.rejects(
    claimDemoFolder(file),
    (error) => error instanceof PenniError && /file/.test(error.message),
  );
});

test("an earlier demo is cleared out; what somebody else put there stays", async () => {
  const root = path.join(folder, "nested", "demo");
  const { original, training, compression, lock } = await claimDemoFolder(root);
  mkdirSync(compression);
  for (const file of [original, path.join(training, "train.ckpt"), path.join(compression, "config.json")]) {
    writeFileSync(file, "old");
  }
  writeFileSync(path.join(root, "notes.txt"), "mine");
  await assert.rejects(claimDemoFolder(root), /demo: another run works in this directory/);
  assert.equal(readFileSync(original, "utf8"), "old");
  await lock.release();
  await claimDemoFolder(root);
  assert.deepEqual([original, compression].map(existsSync), [false, false]);
  assert.deepEqual(readdirSync(training), []);
  assert.equal(readFileSync(path.join(root, "notes.txt"), "utf8"), "mine");
});
