import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import * as web from "onnxruntime-web";
import { allocateBatch, writeBatch } from "../../src/data/batches.js";
import {
  allIndices,
  openDataset,
  planEvaluation,
  readClassNames,
  readPreprocessing,
} from "../../src/data/index.js";
import { runGraph } from "../../src/execute/node.js";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { countGraph } from "../../src/measure/count.js";
import { COMPRESSION_KEY } from "../../src/method/compression_record.js";
import { prunableInitializers } from "../../src/method/prune.js";
import { isRunning } from "../../src/run/processes.js";
import type { Summary } from "../../src/run/summary.js";
import { PenniProcess, penniMain } from "../../support/penni_process.js";
import { TINY_SIZE, tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-end-to-end-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const DATA = "synthetic:300";
const FRACTION = 0.75;
const EPOCHS = 4;
const FINE_TUNE_EPOCHS = 2;

const model = path.join(folder, "tiny.onnx");
await writeModel(model, tinyCnn());

/** One thread, so that sums are always made in the same order. */
function compressArguments(out: string): string[] {
  const settings = {
    "--epochs": EPOCHS,
    "--phase-epochs": 0.5,
    "--fine-tune-epochs": FINE_TUNE_EPOCHS,
    "--batch": 16,
    "--validation": 0.1,
    "--target-macs": FRACTION,
    "--threads": 1,
    "--checkpoint-seconds": 0.05,
  };
  return ["compress", model, "--data", DATA, "-o", out, ...Object.entries(settings).flat().map(String)];
}

const whole = path.join(folder, "whole");
const undisturbed = await new PenniProcess([...compressArguments(whole), "--json"]).ended;

function metricsOf(root: string): string {
  const file = path.join(root, "metrics.jsonl");
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

const lineCount = (root: string): number => metricsOf(root).split("\n").length - 1;

const stage = (name: string): Promise<Graph> => readModel(path.join(whole, "stages", `${name}.onnx`));

/** 20 test images as the model takes them. */
async function images(): Promise<Tensor> {
  const exported = await readModel(path.join(whole, "model.onnx"));
  const preprocessing = readPreprocessing(exported.metadata);
  assert.ok(preprocessing);
  const split = await (
    await openDataset(DATA, { imageSize: { width: TINY_SIZE, height: TINY_SIZE } })
  ).test();
  const plan = planEvaluation(split, allIndices(split), { batch: 20, preprocessing });
  return float32Tensor([20, 3, TINY_SIZE, TINY_SIZE], writeBatch(plan, 0, allocateBatch(plan)).images);
}

async function logits(graph: Graph | Uint8Array, x: Tensor): Promise<Float32Array> {
  const [y] = (await runGraph(graph, new Map([["x", x]]))).values();
  assert.ok(y);
  return float32Data(y);
}

function worst(a: Float32Array, b: Float32Array): number {
  assert.equal(a.length, b.length);
  return a.reduce((most, value, index) => Math.max(most, Math.abs(value - (b[index] ?? NaN))), 0);
}

test("compress ends with its summary on stdout and in summary.json", () => {
  assert.equal(undisturbed.status, 0, undisturbed.stderr);
  const printed = JSON.parse(undisturbed.stdout) as Summary;
  assert.deepEqual(JSON.parse(readFileSync(path.join(whole, "summary.json"), "utf8")), printed);
  const { original, compressed } = printed;
  assert.equal(original.test?.total, 75);
  assert.equal(compressed.test?.total, 75);
  for (const { latencySpread, compiledSpread, test: { low = 1, high = 0, correct = 0 } = {} } of [
    original,
    compressed,
  ]) {
    assert.ok(low <= correct / 75 && correct / 75 <= high && high - low > 0.03);
    assert.deepEqual([latencySpread?.roundsMs.length, latencySpread?.runs], [9, 200]);
    assert.equal(compiledSpread?.roundsMs.length, 9);
  }
  for (const change of Object.values(printed.changes ?? {}))
    assert.ok(change.low <= change.value && change.value <= change.high);
  assert.deepEqual(Object.keys(printed.changes ?? {}), ["latency", "compiled", "test"]);
  assert.ok(compressed.paperMacs <= FRACTION * original.paperMacs);
  assert.ok(compressed.parameters < original.parameters);
  assert.equal(compressed.bytes, readFileSync(path.join(whole, "model.onnx")).byteLength);
  // The original is counted as Penni writes it, not as its exporter did.
  assert.ok(Math.abs(original.bytes / readFileSync(model).byteLength - 1) < 0.01);
  assert.match(
    undisturbed.stderr,
    /^pictures: [^\n]+\n(?:warning: [^\n]+\n)?Training takes [^\n]+\n {2}target: 75 % of the [\d,]+ multiply-accumulates [^\n]+\nsimplify \.\.\.\n(.*\n)*decompose \.\.\.\nretrain \.\.\.\n/,
  );
  assert.match(
    undisturbed.stderr,
    /epoch 4 \(.*\): loss [\d.]+, top-1 [\d.]+ %, zeros [\d.]+ %, validation top-1/,
  );
});

const linesOf = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

test("metrics.jsonl and timing.jsonl have a line for each epoch, in order", () => {
  const lines = linesOf(metricsOf(whole));
  const timings = linesOf(readFileSync(path.join(whole, "timing.jsonl"), "utf8"));
  const expected = [
    ...Array.from({ length: EPOCHS }, (_, index) => ["retrain", index + 1]),
    ...Array.from({ length: FINE_TUNE_EPOCHS }, (_, index) => ["fine-tune", index + 1]),
  ];
  assert.deepEqual(
    lines.map((line) => [line.stage, line.epoch]),
    expected,
  );
  assert.deepEqual(
    timings.map(({ stage, epoch, macs }) => [stage, epoch, macs]),
    lines.map(({ stage, epoch, macs }) => [stage, epoch, macs]),
  );
  for (const { steps, seconds } of timings) assert.ok(steps > 0 && seconds > 0);
  for (const line of lines) {
    assert.ok(line.loss > 0 && line.accuracy >= 0 && line.accuracy <= 1 && line.validation <= 1);
  }
});

test("the run's directory holds nothing half-written and nothing unknown", () => {
  const files = [
    ...["answers.json", "config.json", "metrics.jsonl", "model.onnx", "report.html"],
    ...["sessions.jsonl", "summary.json", "timing.jsonl"],
  ];
  const entries = [...files, "checkpoints", "stages"].sort();
  assert.deepEqual(readdirSync(whole).sort(), entries);
  for (const part of ["checkpoints", "stages"]) {
    assert.ok(readdirSync(path.join(whole, part)).every((name) => !name.startsWith(".")));
  }
});

test("model.onnx gives the logits of the unshrunk network in onnxruntime-node and onnxruntime-web (1e-4)", async () => {
  const bytes = await readFile(path.join(whole, "model.onnx"));
  const x = await images();
  const expected = await logits(await stage("fine-tune"), x);
  assert.ok(worst(await logits(bytes, x), expected) <= 1e-4);
  web.env.logLevel = "fatal";
  web.env.wasm.numThreads = 1;
  const session = await web.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  const outputs = await session.run({ x: new web.Tensor("float32", float32Data(x), x.dims) });
  const [y] = Object.values(outputs);
  await session.release();
  assert.ok(worst(y?.data as Float32Array, expected) <= 1e-4);
});

test("fine-tuning keeps every zero that pruning made, and moves the rest", async () => {
  const [pruned, tuned] = [await stage("prune"), await stage("fine-tune")];
  const names = prunableInitializers(pruned);
  assert.equal(names.length, 4);
  for (const name of names) {
    const [before, now] = [pruned, tuned].map((graph) => graph.initializers.get(name));
    assert.ok(before && now);
    const values = float32Data(now);
    assert.ok(
      float32Data(before).every((value, index) => value !== 0 || values[index] === 0),
      name,
    );
    assert.ok(
      float32Data(before).some((value, index) => value !== values[index]),
      name,
    );
  }
  const { paperMacs } = countGraph(fixBatch(tuned, 1));
  assert.ok(paperMacs <= FRACTION * countGraph(fixBatch(tinyCnn(), 1)).paperMacs);
});

test("the model's metadata say how to feed it and how it was made", async () => {
  const { metadata } = await readModel(path.join(whole, "model.onnx"));
  assert.equal(readPreprocessing(metadata)?.mean.length, 3);
  assert.equal(readClassNames(metadata)?.length, 10);
  const record = JSON.parse(metadata.get(COMPRESSION_KEY) ?? "{}");
  assert.equal(record.method, "PENNI");
  assert.deepEqual(record.prune, { rule: "macs", fraction: FRACTION });
});

const resume = (root: string) => new PenniProcess(["compress", "--resume", root]);

function assertAdvises(stderr: string, root: string, problem: RegExp): void {
  const last = stderr.trimEnd().split("\n").at(-1) ?? "";
  assert.match(last, problem);
  assert.ok(last.endsWith(`Go on with: penni compress --resume ${root}`), last);
  assert.doesNotMatch(stderr, /^\s+at /m);
}

test("a run that was interrupted, lost its trainer and was killed thrice ends as the undisturbed one", async () => {
  const root = path.join(folder, "disturbed");

  const first = new PenniProcess(compressArguments(root));
  assert.ok(await first.until(() => existsSync(path.join(root, "checkpoints/retrain.ckpt"))));
  first.signalGroup("SIGINT");
  const interrupted = await first.ended;
  assert.equal(interrupted.status, 130, interrupted.stderr);
  assertAdvises(interrupted.stderr, root, /stopped (in|before) stage/);

  if (process.platform === "linux") {
    const second = resume(root);
    // Tried until there is a trainer to kill: how far the first attempt got, and so when it starts, varies.
    assert.ok(await second.until(() => second.killTrainer()));
    const lost = await second.ended;
    assert.equal(lost.status, 1, lost.stderr);
    assertAdvises(lost.stderr, root, /training process ended unexpectedly: found signal SIGKILL/);
  }

  const moments: readonly (() => boolean)[] = [
    () => lineCount(root) >= 2,
    () => lineCount(root) >= EPOCHS,
    () => existsSync(path.join(root, "checkpoints/fine-tune.ckpt")),
  ];
  for (const moment of moments) {
    const killed = resume(root);
    assert.ok(await killed.until(moment));
    killed.signalGroup("SIGKILL");
    assert.equal((await killed.ended).signal, "SIGKILL");
  }

  const last = await resume(root).ended;
  assert.equal(last.status, 0, last.stderr);
  assert.deepEqual(readdirSync(root).sort(), readdirSync(whole).sort());
  assert.equal(metricsOf(root), metricsOf(whole));
  for (const name of readdirSync(path.join(whole, "stages"))) {
    // The export measures which form of a layer is faster, and two tiny ones may change places.
    if (name === "export.onnx" || name === "SHA256SUMS") continue;
    const [one, other] = [whole, root].map((run) => readFileSync(path.join(run, "stages", name)));
    assert.ok(one && other && one.equals(other), `${name} is the same`);
  }
  const x = await images();
  const [one, other] = [whole, root].map((run) => readFileSync(path.join(run, "model.onnx")));
  assert.ok(one && other);
  assert.ok(worst(await logits(one, x), await logits(other, x)) <= 1e-4);
});

/** Starts (or, where it is there, resumes) a run until a moment. */
async function runUntil(root: string, moment: () => boolean): Promise<PenniProcess> {
  const started = existsSync(root) ? resume(root) : new PenniProcess(compressArguments(root));
  assert.ok(await started.until(moment));
  return started;
}

test("a trainer whose parent was killed ends, and a run resumed at once waits for that", {
  skip: process.platform !== "linux" && "needs /proc",
}, async () => {
  const root = path.join(folder, "orphaned");
  const first = await runUntil(root, () => existsSync(path.join(root, "checkpoints/retrain.ckpt")));
  const trainer = first.trainerId;
  assert.ok(trainer);
  // As long as it is stopped, it is in the middle of a step as far as anybody can tell.
  process.kill(trainer, "SIGSTOP");
  first.signal("SIGKILL");
  const resumed = resume(root);
  assert.ok(await resumed.until(() => resumed.output.includes(`waiting for process ${trainer}`)));
  process.kill(trainer, "SIGCONT");
  const { status, stderr } = await resumed.ended;
  assert.equal(status, 0, stderr);
  assert.ok(!isRunning({ pid: trainer }));
  assert.equal(metricsOf(root), metricsOf(whole));
});

/** Runs with files limited to 10 kB, less than a checkpoint, in units of 512 bytes. */
function resumeOnFullDisk(root: string) {
  const command = ["-c", 'ulimit -f 20; exec "$@"', "sh", process.execPath, penniMain];
  return spawnSync("/bin/sh", [...command, "compress", "--resume", root], { encoding: "utf8" });
}

test("a run is not disturbed by a second one, nor lost by a full disk or a checkpoint cut in half", async () => {
  const root = path.join(folder, "tried");
  const checkpoints = path.join(root, "checkpoints");
  const hasBoth = () =>
    ["retrain.ckpt", "retrain.previous.ckpt"].every((name) => existsSync(path.join(checkpoints, name)));
  const first = await runUntil(root, hasBoth);
  // Holds still, so that it cannot come to its end before the others have started.
  first.signalGroup("SIGSTOP");
  const others = [resume(root), new PenniProcess(compressArguments(root))];
  for (const { status, stderr } of await Promise.all(others.map((other) => other.ended))) {
    assert.equal(status, 1, stderr);
    assert.match(
      stderr,
      /^(?:pictures: [^\n]+\n)?(?: {2}report: [^\n]+\n)?penni: [^\n]*tried: another run works in this directory: found process \d+ on host/,
    );
    assert.ok(stderr.includes(`process ${first.id} on`), stderr);
  }
  first.signalGroup("SIGKILL");
  await first.ended;
  // It may have been stopped between the two renames of a write, where only the earlier checkpoint is there.
  while (!hasBoth()) {
    const next = await runUntil(root, hasBoth);
    next.signalGroup("SIGKILL");
    await next.ended;
  }

  const before = readdirSync(checkpoints).filter((name) => name.endsWith(".ckpt"));
  const full = resumeOnFullDisk(root);
  assert.equal(full.status, 1, full.stderr);
  assertAdvises(
    full.stderr,
    root,
    /^(?:pictures: [^\n]+\n)?(?: {2}report: [^\n]+\n)?penni: .*retrain\.ckpt: cannot write the file: found EFBIG\./,
  );
  assert.deepEqual(readdirSync(checkpoints).sort(), before.sort());

  const file = path.join(checkpoints, "retrain.ckpt");
  truncateSync(file, Math.floor(readFileSync(file).byteLength / 2));
  const { status, stderr } = await resume(root).ended;
  assert.equal(status, 0, stderr);
  assert.match(stderr, /retrain\.ckpt is damaged: going on from the checkpoint before it, at step \d+\n/);
  assert.equal(metricsOf(root), metricsOf(whole));
});
