import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { imagenetPreprocessing } from "../../src/data/preprocessing.js";
import { writeModel } from "../../src/files/model_files.js";
import { int } from "../../src/graph/attributes.js";
import { presets } from "../../src/run/config.js";
import { RunDirectory } from "../../src/run/directory.js";
import { penni } from "../../support/command_line.js";
import { Network } from "../../support/network.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-shrink-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Six hidden channels of which 0 and 3 are not read, a basis kernel without coefficients, and a wall. */
async function plantedModel(): Promise<string> {
  const net = new Network(1);
  const hidden = net.relu(net.conv("x", 6, { pad: 1, basis: 4, deadBasis: [2] }));
  const read = net.conv(hidden, 4, { pad: 1, deadInputs: [0, 3] });
  const output = net.op("Softmax", [net.conv(read, 3, { kernel: 1, deadInputs: [1] })], { axis: int(1) });
  const file = path.join(folder, "planted.onnx");
  await writeModel(file, net.graph([output]));
  return file;
}

const planted = await plantedModel();

test("inspect --shrink names what goes, layer by layer, and the walls with their reasons", async () => {
  const { status, stdout } = await penni(["inspect", planted, "--shrink"]);
  assert.equal(status, 0);
  assert.match(stdout, /conv\/Conv +Conv +3 +6 → 4 +4 → 3 +12 → 9\n/);
  assert.match(stdout, /conv_2\/Conv +Conv +6 → 4 +4 → 3\n/);
  assert.match(
    stdout,
    /removes 3 output channels and 3 input channels and 3 \(channel, basis\) pairs from 3 layers/,
  );
  assert.match(stdout, /- softmax\/Softmax \(Softmax\): it normalises over the channels/);
});

test("inspect --shrink fits narrow terminals", async () => {
  const { stdout } = await penni(["inspect", planted, "--shrink"], 44);
  for (const line of stdout.split("\n")) assert.ok(line.length <= 44, line);
  assert.match(stdout, /6 → 4/);
});

test("inspect --shrink --json tells the channels and pairs by number; --multiple keeps blocks", async () => {
  const { stdout } = await penni(["inspect", planted, "--shrink", "--json"]);
  const { shrink } = JSON.parse(stdout) as {
    shrink: { layers: Record<string, unknown>[]; walls: unknown[] };
  };
  const [first, second, third] = shrink.layers;
  assert.deepEqual(first?.removedOutputs, [0, 3]);
  assert.deepEqual(
    first?.removedPairs,
    [0, 1, 2].map((channel) => [channel, 2]),
  );
  assert.deepEqual([second?.removedInputs, second?.removedOutputs], [[0, 3], [1]]);
  assert.deepEqual(third?.removedInputs, [1]);
  assert.deepEqual(shrink.walls, [
    { node: "softmax/Softmax", op: "Softmax", reason: "it normalises over the channels" },
  ]);
  const inBlocks = await penni(["inspect", planted, "--shrink", "--multiple", "4"]);
  assert.match(inBlocks.stdout, /removes 2 output channels and 2 input channels/);
});

test("compress --plan shows decomposition, target and shrinking, and writes nothing", async () => {
  const net = new Network(2, [3, 8, 8]);
  const hidden = net.relu(net.conv("x", 16, { pad: 1, bias: true }));
  const model = path.join(folder, "dense.onnx");
  const head = net.conv(net.relu(net.conv(hidden, 16, { pad: 1, deadInputs: [1, 2, 3, 4, 5, 6, 7, 8] })), 4, {
    kernel: 1,
  });
  await writeModel(model, net.graph([net.op("Flatten", [net.op("GlobalAveragePool", [head])])]));
  const before = readdirSync(folder);
  const { status, stdout, stderr } = await penni(
    ["compress", model, "--plan", "--basis", "4", "--target-macs", "0.5"],
    70,
  );
  assert.equal(stderr, "");
  assert.equal(status, 0);
  assert.match(stdout, /conv_2\/Conv +16x16x3x3 +4\n/);
  assert.match(stdout, /a 1x1 convolution has no kernel to share/);
  assert.match(stdout, /until 50 % of the original's MACs/);
  assert.match(stdout, /conv_2\/Conv +Conv +16 +16 → 8/);
  assert.deepEqual(readdirSync(folder), before);
  const json = await penni(["compress", model, "--plan", "--json"]);
  const plan = JSON.parse(json.stdout) as { layers: unknown[]; shrink: { layers: unknown[] } };
  assert.deepEqual([plan.layers.length, plan.shrink.layers.length], [3, 3]);
});

test("compress --resume --plan shows the plan of a run that was started, and leaves it alone", async () => {
  const root = path.join(folder, "run");
  const preset = presets.fast;
  const settings = { ...preset, basis: 3, prune: { rule: "deviation", factor: 0.5 } as const, threads: 1 };
  const config = {
    format: 1 as const,
    model: planted,
    data: "synthetic",
    seed: 0,
    preset: "fast",
    settings,
    preprocessing: imagenetPreprocessing,
    versions: { penni: "0", node: "0", onnxruntime: "0" },
  };
  const net = new Network(3);
  const dense = net.conv(net.relu(net.conv("x", 16, { pad: 1 })), 16, { deadInputs: [0] });
  await RunDirectory.create(root, config, net.graph([dense]));
  const files = readdirSync(root, { recursive: true });
  const { status, stdout } = await penni(["compress", "--resume", root, "--plan"]);
  assert.equal(status, 0);
  assert.match(stdout, /conv_2\/Conv +16x16x3x3 +3\n/);
  assert.match(stdout, /coefficients below 0.5 standard deviations/);
  assert.deepEqual(readdirSync(root, { recursive: true }), files);
  const refused = await penni(["compress", "--resume", root, "--plan", "--basis", "4"]);
  assert.match(refused.stderr, /--resume goes on with the run's own model/);
});

test("compress --plan on nothing, on an impossible target, on a directory without a run", async () => {
  const none = await penni(["compress", "--plan"]);
  assert.match(none.stderr, /there is no model to plan for.*penni compress MODEL --plan/);
  const impossible = await penni(["compress", planted, "--plan", "--target-macs", "0.001"]);
  assert.match(impossible.stderr, /planted\.onnx.*MACs target cannot be reached/);
  const nowhere = path.join(folder, "nowhere");
  const missing = await penni(["compress", "--resume", nowhere, "--plan"]);
  assert.match(missing.stderr, /there is no run to resume/);
  assert.deepEqual([none.status, impossible.status, missing.status], [1, 1, 1]);
  assert.ok(!existsSync(nowhere));
});
