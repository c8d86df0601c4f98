import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { writeModel } from "../../src/files/model_files.js";
import { penni } from "../../support/command_line.js";
import { Network } from "../../support/network.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

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
  const [{ model, engines }] = JSON.parse(stdout).models;
  assert.equal(model, small);
  assert.deepEqual(
    engines.map((timing: { engine: string }) => timing.engine),
    ["compiled WebAssembly", "onnxruntime-web (WebAssembly)", "ONNX Runtime for Node"],
  );
  for (const each of engines) {
    const { medianMs, minMs, lowMs, highMs, runs, roundsMs } = each;
    assert.ok(minMs > 0 && minMs <= lowMs && lowMs <= medianMs && medianMs <= highMs);
    assert.ok(runs >= 3);
    assert.deepEqual(roundsMs, [medianMs]);
    assert.ok(each.bytes > each.gzippedBytes && each.gzippedBytes > 0);
    assert.ok(each.multiplyAccumulates > 0 && each.memoryBytes > 0);
  }
});

test("bench takes several models, compiled ones too, measures accuracy, and fails over a budget", async () => {
  const at = (name: string): string => path.join(folder, name);
  await writeModel(at("net.onnx"), tinyCnn());
  const compiled = await penni([
    "compile",
    at("net.onnx"),
    "--target",
    "wasm",
    "-o",
    at("wasm"),
    "--name",
    "net",
  ]);
  assert.equal(compiled.status, 0, compiled.stderr);
  const models = [at("net.onnx"), at("wasm/net.wasm")];
  const data = ["--data", "synthetic:60", "--rounds", "1", "--json"];
  writeFileSync(at("budget.json"), JSON.stringify({ atMost: { bytes: 1e7, timeRatio: 1e3 } }));
  const kept = await penni(["bench", ...models, ...data, "--budget", at("budget.json")]);
  assert.equal(kept.status, 0, kept.stderr);
  const [network, module] = JSON.parse(kept.stdout).models;
  assert.equal(module.engines.length, 1);
  // The same network on the same images, by ONNX Runtime and by its compiled code.
  assert.ok(network.accuracy.total > 0);
  assert.deepEqual(module.accuracy, network.accuracy);
  assert.equal(module.engines[0].bytes, statSync(at("wasm/net.wasm")).size);
  assert.equal(JSON.parse(kept.stdout).budget.length, 2);

  writeFileSync(at("budget.json"), JSON.stringify({ atMost: { bytes: 10 } }));
  const broken = await penni(["bench", at("net.onnx"), "--rounds", "1", "--budget", at("budget.json")]);
  assert.equal(broken.status, 1);
  assert.match(
    broken.stdout.replaceAll("\n", " "),
    /Budget: \d+ bytes of the compiled module, at most 10: NOT kept\./,
  );
  assert.match(broken.stderr, /over its budget.*at most 10$/m);

  for (const [text, what] of [
    ["{", /budget\.json: the budget is no JSON: expected \{"atMost".* found \S/],
    ["[]", /budget\.json: the budget is not what it should be: found .*expected object/],
    ['{"atMost": {"byte": 1}}', /there is no atMost\.byte.* Did you mean bytes\?/],
    // What nothing is measured for is said before anything is measured.
    ['{"atLeast": {"top1": 0.9}}', /budget\.json: atLeast\.top1 needs test images.* Add --data folder:DIR/],
    ['{"atMost": {"timeRatio": 1}}', /budget\.json: atMost\.timeRatio needs a second model/],
    ['{"atMost": {"bytes": -1}}', /atMost\.bytes/],
  ] as const) {
    writeFileSync(at("budget.json"), text);
    const { status, stderr } = await penni(["bench", small, "--budget", at("budget.json")]);
    assert.equal(status, 1);
    assert.match(stderr, what);
  }
  writeFileSync(at("broken.wasm"), "no module");
  const wrong = await penni(["bench", at("broken.wasm")]);
  assert.equal(wrong.status, 1);
  assert.match(
    wrong.stderr,
    /broken\.wasm: cannot be read: load: expected a module written by penni compile/,
  );
});

test("bench runs no module that is damaged, which could be without end", async () => {
  const place = path.join(folder, "damaged");
  const compiled = await penni(["compile", small, "--target", "wasm", "--name", "net", "-o", place]);
  assert.equal(compiled.status, 0, compiled.stderr);
  const file = path.join(place, "net.wasm");
  const bytes = readFileSync(file);
  for (let part = 1; part < 8; part++) {
    const damaged = Uint8Array.from(bytes);
    const where = Math.floor((bytes.length * part) / 8);
    damaged[where] = (damaged[where] ?? 0) ^ 1;
    writeFileSync(file, damaged);
    const { status, stderr } = await penni(["bench", file, "--rounds", "1"]);
    assert.equal(status, 1);
    assert.match(stderr, /^penni: [^\n]*net\.wasm: cannot be read: load: [^\n]*(?:damaged|cut off)[^\n]*\n$/);
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

test("bench and inspect refuse options that they would pass over", async () => {
  for (const [args, message] of [
    [["bench", small, "--limit", "5"], /--limit has nothing to say here: expected --data SPEC/],
    [["bench", small, "--layers", "--budget", "budget.json"], /--budget has nothing to say here/],
    [["bench", small, "--layers", "--rounds", "3"], /--rounds has nothing to say here/],
    [["inspect", small, "--multiple", "8"], /--multiple has nothing to say here: expected --shrink/],
  ] as const) {
    const { status, stdout, stderr } = await penni([...args]);
    assert.deepEqual([status, stdout], [1, ""], args.join(" "));
    assert.match(stderr, message);
  }
});

test("bench says what is wrong with a file", async () => {
  const { status, stderr } = await penni(["bench", path.join(folder, "absent.onnx")]);
  assert.equal(status, 1);
  assert.match(stderr, /absent\.onnx/);
});
