import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { machineError } from "../../src/files/machine_error.js";
import { PenniError } from "../../src/graph/errors.js";
import { RunCalibrationJournal } from "../../src/run/calibration_journal.js";
import { RunDirectory } from "../../src/run/directory.js";
import { compress } from "../../src/run/pipeline.js";
import { penniMain } from "../../support/penni_process.js";
import { runConfig } from "../../support/run_config.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const config = runConfig("fast");
const folder = await mkdtemp(path.join(tmpdir(), "penni-damaged-"));
after(() => rm(folder, { recursive: true, force: true }));

let runs = 0;
const newRun = (): Promise<RunDirectory> =>
  RunDirectory.create(path.join(folder, `run-${runs++}`), config, tinyCnn());

const io = (error: unknown): boolean => error instanceof PenniError && error.code === "io";

test("folders that are missing are made again when a run goes on", async () => {
  const run = await newRun();
  await rm(run.path("checkpoints"), { recursive: true });
  await (await RunDirectory.open(run.root)).restore();
  assert.deepEqual(await readdir(run.path("checkpoints")), []);
});

test("a file in a folder's place is an error that names it, before anything is done", async () => {
  for (const name of ["checkpoints", "stages"]) {
    const run = await newRun();
    await rm(run.path(name), { recursive: true });
    await writeFile(run.path(name), "");
    await assert.rejects(compress(await RunDirectory.open(run.root)), (error) => {
      return io(error) && error instanceof Error && error.message.includes(name);
    });
  }
});

/** What can be in the place of a part of a run, or be missing. */
const damages: Readonly<Record<string, (file: string) => Promise<unknown>>> = {
  missing: async () => undefined,
  "a directory": (file) => mkdir(file),
  empty: (file) => writeFile(file, ""),
  garbage: (file) => writeFile(file, "\0garbage{"),
};

for (const [what, damage] of Object.entries(damages)) {
  for (const part of ["config.json", "stages/original.onnx"]) {
    test(`${part} ${what}: one typed error`, async () => {
      const run = await newRun();
      await rm(run.path(part), { recursive: true });
      await damage(run.path(part));
      await assert.rejects(
        async () => compress(await RunDirectory.open(run.root)),
        (error) =>
          error instanceof PenniError && error.code !== "internal" && error.message.includes(run.root),
      );
    });
  }
}

test("a configuration that cannot be read is not taken for one of another kind of run", async () => {
  const run = await newRun();
  for (const text of ["", "null", "[]", "{", '{"kind": "', '{"kind": "train', "\0", "{}"]) {
    await writeFile(run.path("config.json"), text);
    for (const open of [RunDirectory.open, RunDirectory.openTraining]) {
      await assert.rejects(open(run.root), {
        code: "bad-file",
        message: /config\.json: the run's configuration cannot be read: found \S.*new run directory/,
      });
    }
    await assert.rejects(RunDirectory.checkFree(run.root), {
      code: "io",
      message: /a run in this directory already.*damaged: choose a new directory/,
    });
  }
});

const withoutPipes =
  spawnSync("mkfifo", [path.join(folder, "pipe")]).status === 0 ? false : "no named pipes here";

for (const part of [
  ..."config.json metrics.jsonl timing.jsonl summary.json model.onnx run-7.lock".split(" "),
  ..."checkpoints/retrain.ckpt checkpoints/calibration-x.bin stages/original.onnx stages/simplify.onnx".split(
    " ",
  ),
]) {
  test(`a pipe in the place of ${part} is refused instead of waited for`, {
    skip: withoutPipes,
  }, async () => {
    const run = await newRun();
    await rm(run.path(part), { force: true });
    assert.equal(spawnSync("mkfifo", [run.path(part)]).status, 0);
    for (const open of [RunDirectory.open, RunDirectory.openTraining]) {
      await assert.rejects(open(run.root), (error) => {
        const message = error instanceof Error ? error.message : "";
        return (
          error instanceof PenniError && message.includes(run.path(part)) && /a device or pipe/.test(message)
        );
      });
    }
  });
}

test("what calibration has kept cannot be removed: an error that names the folder", async () => {
  const run = await newRun();
  await rm(run.path("checkpoints"), { recursive: true });
  await assert.rejects(RunCalibrationJournal.remove(run), io);
  await rm(run.path("config.json"));
  await assert.rejects(RunCalibrationJournal.open(run, run.stagePath("original")), io);
});

test("errors of the machine are told from faults of Penni's own", () => {
  const outOfMemory = [
    new RangeError("Array buffer allocation failed"),
    new RangeError("Invalid typed array length: 99999999999"),
    new RangeError("Invalid array length"),
    new Error("WebAssembly.instantiate(): Out of memory: Cannot allocate Wasm memory for new instance"),
    new Error("std::bad_alloc"),
    Object.assign(new Error("x"), { code: "ENOMEM", syscall: "read" }),
    Object.assign(new Error("x"), { code: "ERR_WORKER_OUT_OF_MEMORY" }),
  ];
  for (const error of outOfMemory) assert.equal(machineError(error)?.code, "memory", error.message);
  const spawned = machineError(spawnSync(path.join(folder, "none")).error);
  assert.ok(spawned?.code === "io" && spawned.message.includes(folder));
  for (const error of [
    new TypeError("x is not a function"),
    new RangeError("out of range"),
    undefined,
    "text",
  ])
    assert.equal(machineError(error), undefined);
});

test("a limit of memory is one line", {
  skip: process.platform === "linux" ? false : "needs ulimit -v, which limits nothing here",
}, async () => {
  const { writeModel } = await import("../../src/files/model_files.js");
  const model = path.join(folder, "model.onnx");
  await writeModel(model, tinyCnn());
  // WebAssembly reserves 8 GiB of addresses for a memory.
  const line = `ulimit -v 4000000; exec "$0" ${penniMain} bench ${model} --rounds 1`;
  const { status, stderr } = spawnSync("sh", ["-c", line, process.execPath], { encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(stderr, /^penni: .*there is not enough memory: found [^\n]+\n$/);
});
