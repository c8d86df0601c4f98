import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { CalibratedLayer } from "../../src/method/calibrate.js";
import { prunableInitializers } from "../../src/method/prune.js";
import type { Summary } from "../../src/run/summary.js";
import { PenniProcess } from "../../support/penni_process.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-calibrate-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const model = path.join(folder, "tiny.onnx");
await writeModel(model, tinyCnn());

const FRACTION = 0.6;

const args = (out: string, ...more: string[]): string[] => [
  ...["compress", model, "--data", "synthetic:300", "-o", path.join(folder, out), "--threads", "1"],
  ...["--calibration-images", "64", "--target-macs", `${FRACTION}`, ...more],
];

const file = (out: string, ...parts: string[]): string => path.join(folder, out, ...parts);

test("--preset calibrate compresses to the target without training, and says what it did", async () => {
  const { status, stdout, stderr } = await new PenniProcess([
    ...args("whole"),
    "--preset",
    "calibrate",
    "--json",
  ]).ended;
  assert.equal(status, 0, stderr);
  assert.match(stderr, /fitting layer|analysing layer/);
  const summary = JSON.parse(stdout) as Summary;
  const share = summary.compressed.paperMacs / summary.original.paperMacs;
  assert.ok(share <= FRACTION + 1e-9 && share > FRACTION - 0.05, `${share}`);
  const layers = JSON.parse(readFileSync(file("whole", "calibration.json"), "utf8")) as CalibratedLayer[];
  assert.equal(layers.length, 4);
  assert.ok(layers.some(({ d }) => d > 0));
  assert.ok(!existsSync(file("whole", "metrics.jsonl")), "no epoch was trained");
});

test("killed in the middle, a calibrated run resumes and ends with the same bytes", async () => {
  const kept = (name: string): string => file("killed", "checkpoints", `calibration-${name}.bin`);
  const first = new PenniProcess([...args("killed"), "--preset", "calibrate"]);
  assert.ok(await first.until(() => existsSync(kept("analysis-2"))), first.output);
  first.signalGroup("SIGKILL");
  await first.ended;
  assert.ok(!existsSync(file("killed", "model.onnx")));
  // What cannot be trusted is computed again.
  truncateSync(kept("analysis-1"), 100);
  const { mtimeMs } = statSync(kept("analysis-0"));
  const second = new PenniProcess(["compress", "--resume", path.join(folder, "killed")]);
  assert.ok(await second.until(() => existsSync(kept("fit-0"))), second.output);
  assert.equal(statSync(kept("analysis-0")).mtimeMs, mtimeMs, "the first layer was not analysed again");
  const { status, stderr } = await second.ended;
  assert.equal(status, 0, stderr);
  assert.deepEqual(readFileSync(file("killed", "model.onnx")), readFileSync(file("whole", "model.onnx")));
  assert.deepEqual(readdirSync(file("killed", "checkpoints")), []);
});

test("training from a calibrated start keeps its zeros at zero", async () => {
  const training = ["--epochs", "1", "--fine-tune-epochs", "1", "--batch", "16", "--basis", "3"];
  const { status, stderr } = await new PenniProcess([...args("tuned"), "--start", "calibrate", ...training])
    .ended;
  assert.equal(status, 0, stderr);
  const before = await readModel(file("tuned", "stages", "decompose.onnx"));
  const trained = await readModel(file("tuned", "stages", "fine-tune.onnx"));
  let zeros = 0;
  for (const name of prunableInitializers(before)) {
    const [old, now] = [before, trained].map((graph) => graph.initializers.get(name));
    assert.ok(old !== undefined && now !== undefined);
    const values = float32Data(now);
    float32Data(old).forEach((value, index) => {
      if (value !== 0) return;
      zeros += 1;
      assert.ok(values[index] === 0, `${name}[${index}]: ${values[index]}`);
    });
  }
  assert.ok(zeros > 0);
});

const refusals: Readonly<Record<string, readonly [args: readonly string[], message: RegExp]>> = {
  "a basis chosen by itself without images": [["--basis", "auto"], /--basis auto.*--start calibrate/],
  "a target that cannot be reached": [
    ["--preset", "calibrate", "--target-macs", "0.01"],
    /target-macs|removed/,
  ],
  "no images": [["--preset", "calibrate", "--calibration-images", "0"], /whole number from 1/],
};

for (const [name, [more, message]] of Object.entries(refusals)) {
  test(`${name}: refused in one line, nothing written`, async () => {
    const { status, stderr } = await new PenniProcess([...args("refused"), ...more]).ended;
    assert.equal(status, 1);
    assert.match(stderr, message);
    assert.equal(stderr.trim().split("\n").length, 1, stderr);
    assert.ok(!existsSync(path.join(folder, "refused")));
  });
}
