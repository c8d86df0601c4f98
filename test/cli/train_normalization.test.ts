import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { foldBatchNormalization } from "../../src/ops/passes/fold_batch_normalization.js";
import { penni } from "../../support/command_line.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-train-normalization-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string): string => path.join(folder, name);

const folded = file("folded.onnx");
await writeModel(folded, foldBatchNormalization(tinyCnn()));
const whole = file("whole.onnx");
await writeModel(whole, tinyCnn());

const advice = /has no BatchNormalization.*--insert-normalization/;

const train = (model: string, out: string, ...more: string[]) =>
  penni([
    ...["train", model, "--data", "synthetic:200", "-o", file(out), "--epochs", "1", "--batch", "16"],
    ...["--validation", "0.1", "--threads", "1", ...more],
  ]);

const countOf = async (out: string, op: string): Promise<number> =>
  (await readModel(path.join(file(out), "model.onnx"))).nodes.filter((node) => node.op === op).length;

test("a network whose normalisations were folded away is trained as it is, with a word about it", async () => {
  const { status, stderr } = await train(folded, "kept");
  assert.equal(status, 0, stderr);
  assert.match(stderr, advice);
  assert.equal(await countOf("kept", "BatchNormalization"), 0);
});

test("--insert-normalization gives it one behind each convolution, at every resolution", async () => {
  const { status, stderr } = await train(
    folded,
    "inserted",
    "--insert-normalization",
    "--resolution",
    "8:0.5",
    "--epochs",
    "2",
  );
  assert.equal(status, 0, stderr);
  assert.doesNotMatch(stderr, advice);
  assert.equal(await countOf("inserted", "BatchNormalization"), await countOf("inserted", "Conv"));
  assert.equal(await countOf("inserted", "Conv"), 4);
});

test("a network that has some keeps those", async () => {
  const { status, stderr } = await train(whole, "own", "--insert-normalization");
  assert.equal(status, 0, stderr);
  assert.doesNotMatch(stderr, advice);
  assert.equal(await countOf("own", "BatchNormalization"), 3);
});
