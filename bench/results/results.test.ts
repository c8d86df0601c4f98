import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { readModel } from "../../src/files/model_files.js";
import { fileCounts } from "../../src/run/outcome.js";
import { unverifiable } from "./committed.js";
import { startProblems, takenOver } from "./origin.js";
import { type Measured, modelFile, readRecord, recordedSeeds, resultsFolder } from "./record.js";
import { commandLine, stepsOf } from "./repeat.js";
import { findRow, type Row, rows } from "./rows.js";
import { meanAndDeviation, tableText } from "./table.js";
import { differences, promises } from "./verify.js";

const trained: Row = {
  id: "some-row",
  network: "resnet18",
  image: [3, 32, 32],
  classes: 10,
  data: "cifar10:/data",
  origin: {
    kind: "trained",
    trainings: [
      ["--epochs", "16"],
      ["--epochs", "5"],
    ],
  },
  compress: ["--target-macs", "0.08"],
  seeds: [0],
  bar: "",
  goal: "",
};

test("a row's commands are those that a user would type", () => {
  assert.deepEqual(stepsOf(trained, 7, "/work").map(commandLine), [
    "penni new resnet18 --classes 10 --input 3x32x32 -o /work/some-row/untrained.onnx",
    "penni train /work/some-row/untrained.onnx --data cifar10:/data --epochs 16 -o /work/some-row/baseline-1",
    "penni train /work/some-row/baseline-1/model.onnx --data cifar10:/data --epochs 5 -o /work/some-row/baseline",
    "penni compress /work/some-row/baseline/model.onnx --data cifar10:/data --seed 7 --target-macs 0.08 -o /work/some-row/seed-7",
  ]);
  const given = { ...trained, origin: { kind: "shared", file: "models/resnet20.onnx" } } as const;
  assert.deepEqual(
    stepsOf(given, 0, "/work").map(({ command }) => command),
    ["compress"],
  );
});

const again = {
  ...trained,
  id: "again",
  origin: {
    kind: "compressed",
    row: "resnet18",
    seed: 0,
    trainings: [
      ["--epochs", "4"],
      ["--epochs", "2"],
    ],
  },
} as const satisfies Row;

test("a row may go on from what another row has on record, whose baseline stays its own", async () => {
  assert.deepEqual(stepsOf(again, 0, "/work").map(commandLine), [
    "penni train results/resnet18/seed-0/model.onnx --data cifar10:/data --epochs 4 -o /work/again/dense-1",
    "penni train /work/again/dense-1/model.onnx --data cifar10:/data --epochs 2 -o /work/again/dense",
    "penni compress /work/again/dense/model.onnx --data cifar10:/data --seed 0 --target-macs 0.08 -o /work/again/seed-0",
  ]);
  const { baseline, start } = await takenOver(again.origin);
  const { test: found, costs } = baseline;
  assert.deepEqual([found.correct, costs.paperMacs, costs.parameters], [9324, 555_422_720, 11_173_962]);
  assert.deepEqual([start.row, start.seed], ["resnet18", 0]);
});

test("what has changed in the row that it started from is named, and so is one that is not on record", async () => {
  const taken = await takenOver(again.origin);
  const record = { commands: [], measured, ...taken };
  assert.deepEqual(await startProblems(again.origin, record), []);
  const baseline = { ...taken.baseline, test: { correct: 9350, total: 10_000 } };
  const start = { ...taken.start, sha256: "0" };
  assert.deepEqual(await startProblems(again.origin, { ...record, baseline, start }), [
    "baseline is another one than that of row resnet18, seed 0",
    "it started from another model than is on record in row resnet18, seed 0",
  ]);
  await assert.rejects(takenOver({ ...again.origin, seed: 9 }), {
    code: "bad-file",
    message: /row resnet18, seed 9 is not on record.*npm run results -- resnet18/s,
  });
});

test("rows start from rows before them, of the same network and images", () => {
  for (const [index, row] of rows.entries()) {
    if (row.origin.kind !== "compressed") continue;
    const from = findRow(row.origin.row, rows.slice(0, index));
    assert.ok(from.seeds.includes(row.origin.seed));
    for (const key of ["network", "image", "classes", "data"] as const) {
      assert.deepEqual(row[key], from[key], `${row.id}: ${key}`);
    }
  }
});

test("rows have names of their own, which are names of folders", () => {
  const names = rows.map(({ id }) => id);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.match(name, /^[a-z0-9-]+$/);
});

const measured: Measured = {
  test: { correct: 9100, total: 10_000 },
  costs: { parameters: 10, paperMacs: 20, executedMacs: 30, bytes: 40 },
  latency: { nodeDense: 1, nodeCompressed: 1, webDense: 2, wasmCompressed: 1 },
  memory: { compiledBytes: 1, webDenseBytes: 2 },
  gzippedWasm: 5,
  machine: "some",
};

test("counts must be equal and hits nearly so", () => {
  const near = { ...measured, test: { correct: 9097, total: 10_000 } };
  assert.deepEqual(differences(measured, near), []);
  const far = { ...measured, test: { correct: 9096, total: 10_000 } };
  assert.deepEqual(differences(measured, far), ["top-1: recorded 9100 of 10000, found 9096 of 10000"]);
  const other = { ...measured, costs: { ...measured.costs, bytes: 41 } };
  assert.deepEqual(differences(measured, other), ["bytes: recorded 40, found 41"]);
});

test("what a record promises of time, memory and size is found, or named; a faster machine is no fault", () => {
  const found = {
    ...measured,
    latency: { nodeDense: 2, nodeCompressed: 9, webDense: 4, wasmCompressed: 2.9, cCompressed: 1 },
    memory: { compiledBytes: 103, webDenseBytes: 200 },
  };
  assert.deepEqual(promises(measured, found), []);
  assert.deepEqual(promises(measured, { ...found, latency: { ...found.latency, wasmCompressed: 3.1 } }), [
    "latency of the dense network's, in WebAssembly: recorded 50.0 %, found 77.5 %",
  ]);
  assert.deepEqual(promises({ ...measured, latency: { ...measured.latency, cCompressed: 0.3 } }, found), [
    "latency of the dense network's, in C: recorded 30.0 %, found 50.0 %",
  ]);
  assert.deepEqual(promises(measured, { ...found, memory: { compiledBytes: 105, webDenseBytes: 200 } }), [
    "memory of the dense network's: recorded 50.0 %, found 52.5 %",
  ]);
  assert.deepEqual(promises(measured, { ...found, gzippedWasm: 6 }), [
    "bytes of the compiled network, gzipped: recorded 5, found 6",
  ]);
});

test("a model that nothing would verify is named, and every one on record can be", async () => {
  assert.deepEqual(await unverifiable(), []);
  const folder = await mkdtemp(path.join(tmpdir(), "penni-results-"));
  after(() => rm(folder, { recursive: true }));
  const add = async (...parts: readonly string[]): Promise<void> => {
    const file = path.join(folder, ...parts);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, "");
  };
  for (const name of ["model.onnx", "record.json"]) await add("some-row", "seed-0", name);
  await add("some-row", "seed-1", "model.onnx");
  await add("some-row", "seed-2", "record.json");
  await add("some-row", "baseline", "summary.json");
  await add("gone", "seed-0", "model.onnx");
  assert.deepEqual(
    new Set(await unverifiable(folder, [trained])),
    new Set([
      "some-row, seed-1: there is no record.json",
      "some-row, seed-2: there is no model.onnx",
      "gone: there is no such row",
      "gone, seed-0: there is no record.json",
    ]),
  );
});

test("mean and deviation of the sample", () => {
  assert.deepEqual(meanAndDeviation([3]), { mean: 3 });
  const { mean, deviation = Number.NaN } = meanAndDeviation([1, 2, 3]);
  assert.ok(Math.abs(mean - 2) < 1e-12 && Math.abs(deviation - 1) < 1e-12);
});

test("every model on record has the counts and the size of its record, and the table is made of the records", async () => {
  for (const row of rows) {
    const { id } = row;
    for (const seed of await recordedSeeds(id)) {
      const { measured: found, commands } = await readRecord(id, seed);
      const { costs } = found;
      const file = modelFile(id, seed);
      const { size: bytes } = await stat(file);
      assert.deepEqual({ ...fileCounts(await readModel(file)), bytes }, costs, `${id}, seed ${seed}`);
      // What makes it again is what made it, but for places.
      const options = (words: readonly string[]): readonly string[] =>
        words.map((line) =>
          line
            .split(" ")
            .filter((word) => !/[./]/.test(word) || /^[\d.:,]+$/.test(word))
            .join(" "),
        );
      assert.deepEqual(options(commands), options(stepsOf(row, seed, "work").map(commandLine)));
    }
  }
  const table = path.join(resultsFolder, "README.md");
  if (existsSync(table)) assert.equal(await readFile(table, "utf8"), await tableText());
});
