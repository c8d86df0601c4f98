import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { readClassNames, readPreprocessing } from "../../src/data/index.js";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { int } from "../../src/graph/attributes.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../../src/graph/types.js";
import { countGraph } from "../../src/measure/count.js";
import { weightsTypeOf } from "../../src/ops/passes/store_weights.js";
import type { TrainingSummary } from "../../src/run/train_pipeline.js";
import type { EpochMetrics } from "../../src/train/plan.js";
import { penni } from "../../support/command_line.js";
import { Network } from "../../support/network.js";
import { PenniProcess } from "../../support/penni_process.js";
import { TINY_SIZE, tinyCnn, tinyDropoutCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-train-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string): string => path.join(folder, name);

const model = file("tiny.onnx");
await writeModel(model, tinyDropoutCnn(0.02, 0.05));

/** One thread, so that sums are always made in the same order. */
const settings = {
  "--data": "synthetic:300",
  "--epochs": 8,
  "--resolution": "12:0.25",
  "--ema": 0.9,
  "--cutout": 2,
  "--batch": 16,
  "--validation": 0.1,
  "--threads": 1,
  "--checkpoint-seconds": 0.05,
};
const start = (out: string): string[] => [
  "train",
  model,
  "-o",
  out,
  ...Object.entries(settings).flat().map(String),
];

const whole = file("whole");
const undisturbed = await new PenniProcess([...start(whole), "--json"]).ended;

const textOf = (root: string, name: string): string =>
  existsSync(path.join(root, name)) ? readFileSync(path.join(root, name), "utf8") : "";
const metricsOf = (root: string): EpochMetrics[] =>
  textOf(root, "metrics.jsonl")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));

test("a training runs through its resolutions and ends with an accuracy and a model that says what it is", async () => {
  assert.equal(undisturbed.status, 0, undisturbed.stderr);
  const summary: TrainingSummary = JSON.parse(undisturbed.stdout);
  assert.equal(summary.test.total, 75);
  const metrics = metricsOf(whole);
  assert.deepEqual(
    metrics.map(({ epoch, stage }) => `${epoch} ${stage}`),
    [1, 2, 3, 4, 5, 6, 7, 8].map((epoch) => `${epoch} ${epoch <= 2 ? "train-1" : "train-2"}`),
  );
  // It has learned: both are means over images with smoothed labels, and guessing costs ln 10 = 2.303.
  const [first, last] = [metrics[0]?.loss ?? NaN, metrics[7]?.loss ?? NaN];
  assert.ok(last < first - 0.05 && last < 2.25, `${first} to ${last}`);
  // Images of three quarters of the side: 9/16 of the multiply-accumulates, but for the linear layer's.
  const { executedMacs } = countGraph(fixBatch(tinyCnn(), 1));
  assert.equal(metrics[7]?.macs, executedMacs);
  assert.equal(metrics[0]?.macs, ((executedMacs - 120) * 9) / 16 + 120);
  const trained = await readModel(path.join(whole, "model.onnx"));
  assert.deepEqual(trained.inputs[0]?.type?.shape, tinyCnn().inputs[0]?.type?.shape);
  assert.equal(readClassNames(trained.metadata)?.length, 10);
  assert.ok(readPreprocessing(trained.metadata));
  // Who trains it again leaves out as much.
  assert.equal(trained.nodes.filter(({ op }) => op === "Dropout").length, 2);
});

test("the learning rate goes on over the parts, down to nothing", () => {
  // It rises in the first 15 % of the training, which is more than one epoch of eight.
  const rates = metricsOf(whole)
    .slice(1)
    .map(({ learningRate }) => learningRate);
  rates.slice(1).forEach((rate, index) => {
    assert.ok(rate < (rates[index] ?? 0));
  });
  assert.ok((rates.at(-1) ?? 1) < 0.1 / 50);
});

test("a training that is killed again and again ends with the same bits", async () => {
  const root = file("killed");
  let kills = 0;
  for (const lines of [0, 2, 4, 7]) {
    const command = existsSync(root) ? ["train", "--resume", root] : start(root);
    const running = new PenniProcess(command);
    const isThere = await running.until(
      () =>
        existsSync(path.join(root, "config.json")) &&
        metricsOf(root).length >= lines &&
        running.trainerId !== undefined,
    );
    if (isThere) {
      running.signalGroup("SIGKILL");
      kills += 1;
    }
    await running.ended;
  }
  assert.ok(kills > 0);
  const resumed = await new PenniProcess(["train", "--resume", root]).ended;
  assert.equal(resumed.status, 0, resumed.stderr);
  assert.equal(textOf(root, "metrics.jsonl"), textOf(whole, "metrics.jsonl"));
  assert.deepEqual(readFileSync(path.join(root, "model.onnx")), readFileSync(path.join(whole, "model.onnx")));
});

test("Ctrl-C writes a checkpoint and says how to go on", async () => {
  const root = file("stopped");
  const running = new PenniProcess(start(root));
  await running.until(() => running.trainerId !== undefined && metricsOf(root).length >= 1);
  running.signalGroup("SIGINT");
  const { status, stderr } = await running.ended;
  assert.equal(status, 130, stderr);
  assert.match(stderr, /Go on with: penni train --resume .*stopped/);
  assert.ok(readdirSync(path.join(root, "checkpoints")).some((name) => name.endsWith(".ckpt")));
});

test("a training is no compression, and the other way round", async () => {
  const { status, stderr } = await penni(["compress", "--resume", whole]);
  assert.equal(status, 1);
  assert.match(stderr, /is a training.*penni train --resume/);
  const again = await penni(["train", model, "--data", "synthetic:300", "-o", whole]);
  assert.match(again.stderr, /a run in this directory already.*penni train --resume/);
  const copy = file("copy");
  cpSync(whole, copy, { recursive: true });
  rmSync(path.join(copy, "config.json"));
  assert.match((await penni(["train", "--resume", copy])).stderr, /no run to resume.*penni train MODEL/);
});

/** Its linear layer reads every position. */
function headOnPositions(): Graph {
  const net = new Network(1, [3, TINY_SIZE, TINY_SIZE]);
  const maps = net.relu(net.conv("x", 4, { pad: 1, stride: 2 }));
  return net.graph([net.gemm(net.op("Flatten", [maps], { axis: int(1) }), 10)]);
}

test("what cannot work is refused before anything is written", async () => {
  const data = ["--data", "synthetic:300"];
  const fixedHead = file("fixed-head.onnx");
  await writeModel(fixedHead, headOnPositions());
  const cases: readonly [readonly string[], RegExp][] = [
    [["train", model, ...data], /not fully given.*penni train MODEL --data SPEC -o DIR/],
    [
      ["train", fixedHead, ...data, "-o", file("no"), "--batch", "8", "--resolution", "8:0.5"],
      /images of another size.*at 8x8: .*Leave out --resolution/,
    ],
    [["train", "--resume", whole, "--epochs", "9"], /--resume goes on with.*found --epochs/],
    [["train", model, ...data, "-o", file("no"), "--resolution", "8:0.6,12:0.4"], /less than 1/],
    [["train", model, ...data, "-o", file("no"), "--resolution", "8"], /SIZE:SHARE/],
    [["train", model, ...data, "-o", file("no"), "--epochs", "0.01"], /not one step.*found 0\.01/],
    [
      ["train", model, ...data, "-o", file("no"), "--epochs", "1.001", "--resolution", "12:0.9"],
      /not one step/,
    ],
    [
      ["train", model, ...data, "-o", file("no"), "--pad", "99"],
      /out of sight.*--pad below 16.*found --pad 99/,
    ],
    [
      ["train", model, ...data, "-o", file("no"), "--pad", "8", "--resolution", "8:0.5"],
      /--pad below 8, as the pictures have 8x8 pixels/,
    ],
    [["train", model, ...data, "-o", file("no"), "--batch", "1000"], /fewer training images than one batch/],
    [["train", model, "--data", `images:${folder}`, "-o", file("no")], /no images|no labels/],
    [
      ["new", "resnet99", "--classes", "10", "--input", "3x32x32", "-o", file("x.onnx")],
      /resnet18, resnet20/,
    ],
    [
      ["new", "resnet18", "--classes", "1", "--input", "3x32x32", "-o", file("x.onnx")],
      /whole number from 2/,
    ],
    [
      ["new", "resnet18", "--classes", "10", "--input", "3x32", "-o", file("x.onnx")],
      /CHANNELSxHEIGHTxWIDTH/,
    ],
    [["new", "vgg16", "--classes", "10", "--input", "3x16x16", "-o", file("x.onnx")], /too small for vgg16/],
  ];
  for (const [args, message] of cases) {
    const { status, stderr } = await penni(args);
    assert.equal(status, 1, stderr);
    assert.match(stderr, message);
  }
  assert.ok(!existsSync(file("no")) && !existsSync(file("x.onnx")));
});

test("a model of int8 weights is trained into one of int8 weights, which is what is measured", async () => {
  const narrow = file("narrow.onnx");
  const exported = await penni(["export", model, "--weights-type", "int8", "-o", narrow]);
  assert.equal(exported.status, 0, exported.stderr);
  const settings = ["--epochs", "0.5", "--batch", "32", "--threads", "1", "-o", file("trained-narrow")];
  const { status, stderr } = await penni(["train", narrow, "--data", "synthetic:300", ...settings]);
  assert.equal(status, 0, stderr);
  assert.match(
    stderr,
    /weights are stored as int8, as the model has them; penni export --weights-type changes that/,
  );
  const written = await readModel(path.join(file("trained-narrow"), "model.onnx"));
  assert.equal(weightsTypeOf(written), "int8");
});

test("a new network says how large it is and can be inspected", async () => {
  const out = file("new.onnx");
  const made = await penni(["new", "resnet20", "--classes", "10", "--input", "1x28x28", "-o", out]);
  assert.equal(made.status, 0, made.stderr);
  assert.match(made.stdout, /resnet20, 269\.43 k parameters/);
  const { status, stderr } = await penni(["inspect", out]);
  assert.equal(status, 0, stderr);
});
