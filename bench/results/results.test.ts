import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { readModel } from "../../src/files/model_files.js";
import { fileCounts } from "../../src/run/outcome.js";
import { type Measured, modelFile, readRecord, recordedSeeds, resultsFolder } from "./record.js";
import { commandLine, stepsOf } from "./repeat.js";
import { type Row, rows } from "./rows.js";
import { meanAndDeviation, tableText } from "./table.js";
import { differences } from "./verify.js";

const trained: Row = {
  id: "some-row",
  network: "resnet18",
  image: [3, 32, 32],
  classes: 10,
  data: "cifar10:/data",
  baseline: {
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
  const given = { ...trained, baseline: { kind: "shared", file: "models/resnet20.onnx" } } as const;
  assert.deepEqual(
    stepsOf(given, 0, "/work").map(({ command }) => command),
    ["compress"],
  );
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

test("counts must be equal and hits nearly so; times may differ", () => {
  assert.deepEqual(
    differences(measured, { ...measured, latency: { ...measured.latency, nodeDense: 9 } }),
    [],
  );
  const near = { ...measured, test: { correct: 9097, total: 10_000 } };
  assert.deepEqual(differences(measured, near), []);
  const far = { ...measured, test: { correct: 9096, total: 10_000 } };
  assert.deepEqual(differences(measured, far), ["top-1: recorded 9100 of 10000, found 9096 of 10000"]);
  const other = { ...measured, costs: { ...measured.costs, bytes: 41 } };
  assert.deepEqual(differences(measured, other), ["bytes: recorded 40, found 41"]);
});

test("mean and deviation of the sample", () => {
  assert.deepEqual(meanAndDeviation([3]), { mean: 3 });
  const { mean, deviation = Number.NaN } = meanAndDeviation([1, 2, 3]);
  assert.ok(Math.abs(mean - 2) < 1e-12 && Math.abs(deviation - 1) < 1e-12);
});

test("every model on record has the counts and the size of its record, and the table is made of the records", async () => {
  for (const { id } of rows) {
    for (const seed of await recordedSeeds(id)) {
      const { costs } = (await readRecord(id, seed)).measured;
      const file = modelFile(id, seed);
      const { size: bytes } = await stat(file);
      assert.deepEqual({ ...fileCounts(await readModel(file)), bytes }, costs, `${id}, seed ${seed}`);
    }
  }
  const table = path.join(resultsFolder, "README.md");
  if (existsSync(table)) assert.equal(await readFile(table, "utf8"), await tableText());
});
