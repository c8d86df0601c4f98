import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { writeModel } from "../../src/files/model_files.js";
import { penni } from "../../support/command_line.js";
import { Network } from "../../support/network.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-bench-"));
after(() => rmSync(folder, { recursive: true, force: true }));

async function smallModel(): Promise<string> {
  const net = new Network(1);
  const file = path.join(folder, "small.onnx");
  await writeModel(file, net.graph([net.conv(net.relu(net.conv("x", 6, { pad: 1 })), 4, { pad: 1 })]));
  return file;
}

const small = await smallModel();

test("bench compares the compiled model with ONNX Runtime for Node and for the web", async () => {
  const { status, stdout, stderr } = await penni(["bench", small, "--rounds", "1", "--json"]);
  assert.equal(status, 0, stderr);
  const { timings } = JSON.parse(stdout);
  assert.deepEqual(
    timings.map((timing: { engine: string }) => timing.engine),
    ["compiled WebAssembly", "onnxruntime-web (WebAssembly)", "ONNX Runtime for Node"],
  );
  for (const { medianMs, minMs, lowMs, highMs, runs, roundsMs } of timings) {
    assert.ok(minMs > 0 && minMs <= lowMs && lowMs <= medianMs && medianMs <= highMs);
    assert.ok(runs >= 3);
    assert.deepEqual(roundsMs, [medianMs]);
  }
});

test("bench --layers names every layer with its kernel and what it computes", async () => {
  const { status, stdout, stderr } = await penni(["bench", small, "--layers", "--json"]);
  assert.equal(status, 0, stderr);
  const { peak, wholeMs, remainderMs, layers } = JSON.parse(stdout);
  assert.ok(peak > 0);
  const sum = layers.reduce((total: number, { ms }: { ms: number }) => total + ms, 0);
  assert.ok(Math.abs(sum + remainderMs - wholeMs) <= 1e-9 * wholeMs);
  const convolutions = layers.filter((layer: { op: string }) => layer.op === "Conv");
  assert.ok(convolutions.every((layer: { ms: number }) => layer.ms > 0));
  const kernels = convolutions.map((layer: { kernel: string }) => layer.kernel);
  assert.ok(kernels.includes("dense_conv_3_to_6_relu"), kernels.join(" "));
  const text = await penni(["bench", small, "--layers"]);
  assert.match(text.stdout, /dense_conv +.* %\n/);
  assert.match(text.stdout, /this machine's peak is [\d.]+ GFLOP\/s/);
});

test("bench says what is wrong with a file", async () => {
  const { status, stderr } = await penni(["bench", path.join(folder, "absent.onnx")]);
  assert.equal(status, 1);
  assert.match(stderr, /absent\.onnx/);
});
