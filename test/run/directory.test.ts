import assert from "node:assert/strict";
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { PenniError } from "../../src/graph/errors.js";
import { RunDirectory } from "../../src/run/directory.js";
import type { EpochMetrics } from "../../src/train/plan.js";
import { runConfig } from "../../support/run_config.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-run-"));
after(() => rm(folder, { recursive: true, force: true }));

const config = runConfig("fast");

let count = 0;
/** An empty directory of its own for a test. */
async function place(): Promise<string> {
  count += 1;
  const directory = path.join(folder, `${count}`);
  await mkdir(directory);
  return directory;
}

const epoch = (stage: string, step: number): EpochMetrics => ({
  stage,
  phase: "joint",
  epoch: 1,
  step,
  learningRate: 0.1,
  loss: 1 / 3,
  accuracy: 0.25,
  sparsity: 0,
  macs: 1234,
});

test("a new run holds its configuration and the original, and can be opened again", async () => {
  const parent = await place();
  const root = path.join(parent, "not", "there", "yet");
  const run = await RunDirectory.create(root, config, tinyCnn());
  assert.deepEqual((await readdir(root)).sort(), ["checkpoints", "config.json", "stages"]);
  assert.deepEqual(await readdir(path.dirname(root)), ["yet"]);
  assert.deepEqual((await RunDirectory.open(root)).config, config);
  assert.equal(
    (await run.stage("original", () => assert.fail("is there"))).nodes.length,
    tinyCnn().nodes.length,
  );
});

test("an empty directory that is there already is used as it is", async () => {
  const root = await place();
  await RunDirectory.create(root, config, tinyCnn());
  assert.deepEqual((await readdir(root)).sort(), ["checkpoints", "config.json", "stages"]);
  await RunDirectory.open(root);
});

test("a directory with a run, or with anything else, is refused and not touched", async () => {
  const root = await place();
  await RunDirectory.create(root, config, tinyCnn());
  await assert.rejects(RunDirectory.create(root, config, tinyCnn()), /a run in this directory.*--resume/);
  const other = await place();
  await writeFile(path.join(other, "notes.txt"), "mine");
  await assert.rejects(RunDirectory.create(other, config, tinyCnn()), /not empty/);
  assert.deepEqual(await readdir(other), ["notes.txt"]);
});

test("of several runs that start in one directory at the same moment exactly one gets it", async () => {
  for (const root of [path.join(await place(), "new"), await place()]) {
    const starts = Array.from({ length: 5 }, () => RunDirectory.create(root, config, tinyCnn()));
    const outcomes = await Promise.allSettled(starts);
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
    for (const outcome of outcomes)
      if (outcome.status === "rejected")
        assert.match(
          String(outcome.reason),
          /another run works in this directory|a run in this directory already/,
        );
    assert.deepEqual((await readdir(root)).sort(), ["checkpoints", "config.json", "stages"]);
    assert.deepEqual(await readdir(path.join(root, "stages")), ["SHA256SUMS", "original.onnx"]);
    await RunDirectory.open(root);
  }
});

test("what a killed start left in an empty directory is no hindrance", async () => {
  const root = await place();
  await mkdir(path.join(root, ".new", "stages"), { recursive: true });
  await writeFile(path.join(root, "run-1.lock"), "");
  await RunDirectory.create(root, config, tinyCnn());
  assert.deepEqual((await readdir(root)).sort(), ["checkpoints", "config.json", "stages"]);
});

test("a run that cannot be created leaves nothing behind", async () => {
  const parent = await place();
  await writeFile(path.join(parent, "file"), "");
  // A weight that cannot be read stands for a disk that cannot be written.
  const model = tinyCnn();
  const [name = ""] = model.initializers.keys();
  const tensor = { type: "float32", dims: [2], bytes: new Uint8Array(8) } as const;
  Object.defineProperty(tensor, "bytes", {
    get: () => {
      throw new Error("cannot be read");
    },
  });
  const broken = { ...model, initializers: new Map(model.initializers).set(name, tensor) };
  await assert.rejects(RunDirectory.create(path.join(parent, "a", "b"), config, broken), PenniError);
  const empty = await place();
  await assert.rejects(RunDirectory.create(empty, config, broken), PenniError);
  await assert.rejects(
    RunDirectory.create(path.join(parent, "file", "run"), config, model),
    /a part of this path is a file/,
  );
  assert.deepEqual([await readdir(parent), await readdir(empty)], [["file"], []]);
});

test("what is no run, or a damaged one, cannot be opened", async () => {
  const root = await place();
  await assert.rejects(RunDirectory.open(root), /no run to resume.*penni compress MODEL/);
  await assert.rejects(RunDirectory.open(path.join(root, "none")), /no run to resume/);
  await writeFile(path.join(root, "config.json"), "{");
  await assert.rejects(RunDirectory.open(root), /config\.json: .*cannot be read/);
  await writeFile(path.join(root, "config.json"), JSON.stringify({ ...config, seed: "x" }));
  await assert.rejects(RunDirectory.open(root), /config\.json: .*seed/);
});

test("a locked run removes what a kill left of half-written files, and nothing else", async () => {
  const root = await place();
  const run = await RunDirectory.create(root, config, tinyCnn());
  for (const parts of [["stages"], ["checkpoints"], []]) {
    await writeFile(run.path(...parts, ".penni-123-0123456789ab.tmp"), "half");
    await writeFile(run.path(...parts, ".penni-notes"), "mine");
  }
  await (await RunDirectory.open(root)).restore();
  assert.deepEqual((await readdir(root)).sort(), [".penni-notes", "checkpoints", "config.json", "stages"]);
  assert.deepEqual((await readdir(run.path("stages"))).sort(), [
    ".penni-notes",
    "SHA256SUMS",
    "original.onnx",
  ]);
  assert.deepEqual(await readdir(run.path("checkpoints")), [".penni-notes"]);
});

test("a stage is made once", async () => {
  const run = await RunDirectory.create(path.join(await place(), "run"), config, tinyCnn());
  let made = 0;
  const make = () => {
    made += 1;
    return tinyCnn(2);
  };
  const first = await run.stage("shrink", make);
  assert.deepEqual(await run.stage("shrink", make), first);
  assert.equal(made, 1);
  await assert.rejects(
    run.stage("export", () => Promise.reject(new Error("no"))),
    /no/,
  );
  assert.ok(!(await readdir(run.path("stages"))).includes("export.onnx"));
});

test("metrics: one line for an epoch, however often it is told", async () => {
  const run = await RunDirectory.create(path.join(await place(), "run"), config, tinyCnn());
  assert.deepEqual(await run.readMetrics(), []);
  const lines = [epoch("retrain", 10), epoch("retrain", 20), epoch("fine-tune", 10)];
  for (const line of [...lines, ...lines]) await run.appendMetrics(line);
  assert.deepEqual(await run.readMetrics(), lines);
  const text = await readFile(run.path("metrics.jsonl"), "utf8");
  assert.equal(text, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
});

test("metrics: a line cut short is removed before the next is written", async () => {
  const run = await RunDirectory.create(path.join(await place(), "run"), config, tinyCnn());
  const lines = [epoch("retrain", 10), epoch("retrain", 20)];
  const [first, second] = lines;
  assert.ok(first && second);
  await run.appendMetrics(first);
  await appendFile(run.path("metrics.jsonl"), JSON.stringify(second).slice(0, 30));
  await run.appendMetrics(second);
  assert.deepEqual(await run.readMetrics(), lines);
});

test("metrics: a damaged line is an error that names file and line", async () => {
  const run = await RunDirectory.create(path.join(await place(), "run"), config, tinyCnn());
  await run.appendMetrics(epoch("retrain", 10));
  await appendFile(run.path("metrics.jsonl"), "nonsense\n");
  await assert.rejects(run.readMetrics(), /metrics\.jsonl: line 2/);
});
