import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { runGraph } from "../../src/execute/node.js";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { RunDirectory } from "../../src/run/directory.js";
import { prepareTraining } from "../../src/run/prepare_training.js";
import { type TrainingRun, trainRun } from "../../src/run/train_pipeline.js";
import { defaultTraining, type TrainingSettings } from "../../src/run/training_config.js";
import { penni } from "../../support/command_line.js";
import { Network } from "../../support/network.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-taught-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const at = (...parts: readonly string[]): string => path.join(folder, ...parts);

const SIZE = 8;

function classifier(seed: number, width: number, classes = 10): Graph {
  const net = new Network(seed, [3, SIZE, SIZE]);
  const hidden = net.relu(net.norm(net.conv("x", width, { pad: 1 })));
  return net.graph([net.gemm(net.op("Flatten", [net.op("GlobalAveragePool", [hidden])]), classes)]);
}

const teacher = classifier(2, 12);
await writeModel(at("model.onnx"), classifier(1, 8));
await writeModel(at("teacher.onnx"), teacher);
await writeModel(at("seven.onnx"), classifier(3, 12, 7));

const data = "synthetic:160";
const distillation = { share: 0.95, temperature: 2 };

function prepare(out: string, settings: Partial<TrainingSettings>, taughtBy?: string): Promise<TrainingRun> {
  return prepareTraining({
    model: at("model.onnx"),
    data,
    out: at(out),
    seed: 1,
    ...(taughtBy === undefined ? {} : { teacher: at(taughtBy) }),
    settings: { ...defaultTraining, epochs: 6, batch: 16, validation: 0, threads: 1, ...settings },
  });
}

/** Softened probabilities of a network's first output for some pictures. */
async function probabilities(graph: Graph): Promise<readonly number[]> {
  const found: number[] = [];
  for (let seed = 1; seed <= 8; seed++) {
    const [images] = new Network(seed, [3, SIZE, SIZE]).feeds().values();
    assert.ok(images !== undefined);
    const [scores] = (await runGraph(graph, new Map([[graph.inputs[0]?.name ?? "", images]]))).values();
    assert.ok(scores !== undefined);
    const powers = [...float32Data(scores)].map((score) => Math.exp(score / distillation.temperature));
    const sum = powers.reduce((total, power) => total + power, 0);
    found.push(...powers.map((power) => power / sum));
  }
  return found;
}

async function distanceToTeacher(run: TrainingRun): Promise<number> {
  const [own, taught] = await Promise.all([
    probabilities(await readModel(run.path("model.onnx"))),
    probabilities(teacher),
  ]);
  return own.reduce((sum, value, index) => sum + Math.abs(value - (taught[index] ?? NaN)), 0);
}

test("scores come nearer to the teacher's than labels bring them, and the teacher's file may go", async () => {
  const plain = await prepare("plain", {});
  await trainRun(plain);
  const taught = await prepare("taught", { distillation }, "teacher.onnx");
  rmSync(at("teacher.onnx"));
  const notices: string[] = [];
  await trainRun(taught, { notice: (text) => void notices.push(text) });
  await writeModel(at("teacher.onnx"), teacher);
  assert.ok(notices.includes(`learning from the scores of ${at("teacher.onnx")}, too`), notices.join("\n"));
  const [without, with_] = [await distanceToTeacher(plain), await distanceToTeacher(taught)];
  assert.ok(with_ < 0.7 * without, `${with_} against ${without}`);
});

test("on images of another size labels alone are learned from", async () => {
  const resolutions = [{ width: 6, height: 6, share: 0.5 }];
  const plain = await prepare("plain small", { epochs: 2, resolutions });
  const taught = await prepare("taught small", { epochs: 2, resolutions, distillation }, "teacher.onnx");
  await trainRun(plain);
  await trainRun(taught);
  const [[first, last], [taughtFirst, taughtLast]] = [await plain.readMetrics(), await taught.readMetrics()];
  assert.ok(first !== undefined && last !== undefined);
  assert.equal(taughtFirst?.loss, first.loss);
  assert.notEqual(taughtLast?.loss, last.loss);
});

test("stopped and resumed, a taught training ends as an undisturbed one", async () => {
  const settings = { epochs: 3, distillation, checkpointSeconds: 0.01 };
  const whole = await prepare("whole", settings, "teacher.onnx");
  await trainRun(whole);
  const stopped = await prepare("stopped", settings, "teacher.onnx");
  const stop = new AbortController();
  await assert.rejects(trainRun(stopped, { epoch: () => stop.abort() }, stop.signal), {
    code: "interrupted",
  });
  await trainRun(await RunDirectory.openTraining(stopped.root));
  const [expected, found] = [await whole.readMetrics(), await stopped.readMetrics()];
  assert.deepEqual(found, expected);
});

for (const [what, damage] of Object.entries({
  changed: (file: string) => copyFileSync(at("seven.onnx"), file),
  gone: (file: string) => rmSync(file),
})) {
  test(`a teacher that is ${what} is named before anything is trained`, async () => {
    const run = await prepare(`teacher ${what}`, { distillation }, "teacher.onnx");
    damage(run.stagePath("teacher"));
    await assert.rejects(trainRun(await RunDirectory.openTraining(run.root)), {
      code: "bad-file",
      message: new RegExp(
        `teacher\\.onnx: the network that the run was started with .*${what}.*Put the file back`,
      ),
    });
    assert.deepEqual(await run.readMetrics(), []);
  });
}

test("a teacher needs a share of the loss, and the share a teacher", async () => {
  await assert.rejects(prepare("refused", { distillation }), { code: "bad-option", message: /no teacher/ });
  await assert.rejects(prepare("refused", {}, "teacher.onnx"), {
    code: "bad-option",
    message: /no settings\.distillation/,
  });
});

const refusals: Readonly<Record<string, readonly [readonly string[], RegExp]>> = {
  "a share without a teacher": [["--distillation", "0.5"], /--distillation has nothing to change.*--teacher/],
  "a temperature without a teacher": [["--temperature", "2"], /--temperature has nothing to change/],
  "a teacher of other classes": [["--teacher", at("seven.onnx")], /seven\.onnx: .*10 class scores.*found 7/],
  "a teacher that is not there": [["--teacher", at("none.onnx")], /none\.onnx: cannot read/],
  "a share of everything": [["--teacher", at("teacher.onnx"), "--distillation", "1"], /0\.001 to 0\.999/],
};

for (const [what, [words, message]] of Object.entries(refusals)) {
  test(`${what} is refused`, async () => {
    const { status, stderr } = await penni([
      ...["train", at("model.onnx"), "--data", data, "-o", at("refused")],
      ...words,
    ]);
    assert.equal(status, 1);
    assert.match(stderr, message);
  });
}

test("penni train --teacher learns from 0.7 of its scores at temperature 4", async () => {
  const words = ["train", at("model.onnx"), "--data", data, "-o", at("cli"), "--teacher", at("teacher.onnx")];
  const { status, stderr } = await penni([...words, "--epochs", "1", "--threads", "1"]);
  assert.equal(status, 0, stderr);
  const { config } = await RunDirectory.openTraining(at("cli"));
  assert.equal(config.teacher, at("teacher.onnx"));
  assert.deepEqual(config.settings.distillation, { share: 0.7, temperature: 4 });
});
