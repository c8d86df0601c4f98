import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { withInitializers } from "../../src/graph/edit.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import { COMPRESSION_KEY } from "../../src/method/compression_record.js";
import { weightsTypeOf } from "../../src/ops/passes/store_weights.js";
import type { WeightsChoice } from "../../src/run/weights_type.js";
import { penni } from "../../support/command_line.js";
import { tinyMixedDetector, writeImages } from "../../support/label_free.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-weights-auto-"));
after(() => rmSync(folder, { recursive: true, force: true }));

async function recordedWeights(file: string): Promise<unknown> {
  const { metadata } = await readModel(file);
  return JSON.parse(metadata.get(COMPRESSION_KEY) ?? "{}").weights;
}

test("compress says how it stores weights and what it tried: the first that moves the outputs by little", async () => {
  const model = path.join(folder, "tiny.onnx");
  await writeModel(model, tinyCnn());
  const out = path.join(folder, "run");
  const short = ["--epochs", "0", "--fine-tune-epochs", "0", "--train-limit", "64", "--target-macs", "0.8"];
  const { status, stderr } = await penni([
    ...["compress", model, "--data", "synthetic", ...short],
    ...["--weights-type", "auto", "-o", out],
  ]);
  assert.equal(status, 0, stderr);
  const choice = JSON.parse(readFileSync(path.join(out, "weights.json"), "utf8")) as WeightsChoice;
  assert.equal(choice.asked, "auto");
  const errors = choice.tried.map(({ error }) => error ?? Number.NaN);
  assert.ok(errors.every((error) => error >= 0));
  // All but the last moved them by too much, or were no smaller.
  const last = choice.tried.at(-1);
  assert.deepEqual([choice.type, choice.levels], [last?.type, last?.levels]);
  assert.ok(Number(errors.at(-1)) <= 0.06);
  assert.ok(errors.slice(0, -1).every((error) => error > 0.06));
  const name = choice.levels === undefined ? choice.type : `${choice.type} of ${choice.levels} steps`;
  assert.ok(stderr.includes(`weights are stored as ${name}; tried`), stderr);
  const result = path.join(out, "model.onnx");
  assert.equal(weightsTypeOf(await readModel(result)), choice.type);
  assert.equal(await recordedWeights(result), choice.type);

  // Nor does it say so any more where they are stored anew.
  const again = path.join(folder, "again.onnx");
  const exported = await penni(["export", result, "--weights-type", "float32", "-o", again]);
  assert.equal(exported.status, 0, exported.stderr);
  assert.equal(await recordedWeights(again), "float32");
});

test("scores beside coordinates of hundreds of pixels are not moved by much either", async () => {
  const graph = tinyMixedDetector();
  // The scores' branch has a few large weights, so that steps of int8 are coarse for the others.
  const [name = ""] =
    graph.nodes
      .filter(({ op }) => op === "Conv")
      .at(-1)
      ?.inputs.slice(1, 2) ?? [];
  const weight = graph.initializers.get(name) ?? assert.fail();
  const spread = float32Data(weight).map((value, index) => (index % 108 === 0 ? 30 * value : value));
  const model = path.join(folder, "mixed.onnx");
  await writeModel(model, withInitializers(graph, [[name, float32Tensor(weight.dims, spread)]]));
  const images = path.join(folder, "images");
  await writeImages(images, 40);
  const out = path.join(folder, "mixed");
  const { status, stderr } = await penni([
    ...["compress", model, "--data", `images:${images}`, "--preset", "calibrate", "--target-macs", "0.9"],
    ...["--weights-type", "auto", "--threads", "1", "-o", out],
  ]);
  assert.equal(status, 0, stderr);
  const choice = JSON.parse(readFileSync(path.join(out, "weights.json"), "utf8")) as WeightsChoice;
  // By the variance of the coordinates alone int8 moved nothing by more than 6 %.
  assert.equal(choice.type, "float16");
});
