import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { z } from "zod";
import { RunCalibrationJournal } from "../../src/run/calibration_journal.js";
import { RunDirectory } from "../../src/run/directory.js";
import { runConfig } from "../../support/run_config.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-journal-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const schema = z.object({ d: z.number(), values: z.array(z.instanceof(Float64Array)) });
const value = { d: 5, values: [Float64Array.of(1 / 3, -0, 1e-310), new Float64Array()] };

const run = await RunDirectory.create(path.join(folder, "run"), runConfig("calibrate"), tinyCnn());
const network = run.stagePath("original");
const file = run.path("checkpoints", "calibration-key.bin");

test("what is written is read back, to the bit, by another journal of the same run", async () => {
  const journal = await RunCalibrationJournal.open(run, network);
  assert.equal(await journal.read("key", schema), undefined);
  await journal.write("key", value);
  assert.deepEqual(await (await RunCalibrationJournal.open(run, network)).read("key", schema), value);
});

test("a flipped bit, a missing end or something more: nothing is read", async () => {
  const journal = await RunCalibrationJournal.open(run, network);
  await journal.write("key", value);
  const whole = readFileSync(file);
  for (let at = 0; at < whole.length; at++) {
    const changed = Uint8Array.from(whole);
    changed[at] = (changed[at] ?? 0) ^ 1;
    writeFileSync(file, changed);
    assert.equal(await journal.read("key", schema), undefined, `byte ${at}`);
    writeFileSync(file, whole.subarray(0, at));
    assert.equal(await journal.read("key", schema), undefined, `${at} bytes`);
  }
  writeFileSync(file, whole);
  appendFileSync(file, "x");
  assert.equal(await journal.read("key", schema), undefined);
});

test("what belongs to other settings or another network, or has another form, is not read", async () => {
  const journal = await RunCalibrationJournal.open(run, network);
  await journal.write("key", value);
  assert.equal(await journal.read("key", z.object({ other: z.number() })), undefined);
  const config = run.path("config.json");
  const before = readFileSync(config);
  appendFileSync(config, " ");
  assert.equal(await (await RunCalibrationJournal.open(run, network)).read("key", schema), undefined);
  writeFileSync(config, before);
  assert.equal(await (await RunCalibrationJournal.open(run, config)).read("key", schema), undefined);
});

test("removing takes the journal's files and no others", async () => {
  const journal = await RunCalibrationJournal.open(run, network);
  await journal.write("key", value);
  writeFileSync(run.checkpointPath("retrain"), "");
  await RunCalibrationJournal.remove(run);
  assert.deepEqual(readdirSync(run.path("checkpoints")), ["retrain.ckpt"]);
});
