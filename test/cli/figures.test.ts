import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { describeSummary } from "../../src/cli/compress_text.js";
import { writeModel } from "../../src/files/model_files.js";
import type { Graph } from "../../src/graph/types.js";
import type { OutputAgreement } from "../../src/measure/output_comparison.js";
import { RunReader } from "../../src/report/data/run.js";
import { judgementOf } from "../../src/report/run_judgement.js";
import { presets } from "../../src/run/config.js";
import { compress } from "../../src/run/pipeline.js";
import { prepareRun } from "../../src/run/prepare.js";
import {
  nineOutputDetector,
  tinyMatting,
  tinySuperResolver,
  tinyUNet,
  writeImages,
} from "../../support/label_free.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-figures-"));
after(() => rm(folder, { recursive: true, force: true }));
const images = path.join(folder, "images");
await writeImages(images, 40);

/** A network with so much removed that it cannot be as good as it was. */
async function compressed(
  name: string,
  graph: Graph,
): Promise<{ readonly outputs: readonly OutputAgreement[]; readonly text: string }> {
  const model = path.join(folder, `${name}.onnx`);
  await writeModel(model, graph);
  const directory = await prepareRun({
    model,
    data: `images:${images}`,
    out: path.join(folder, name),
    preset: "calibrate",
    seed: 1,
    settings: {
      ...presets.calibrate,
      prune: { rule: "macs", fraction: 0.35 },
      calibrationImages: 16,
      threads: 1,
    },
  });
  const summary = await compress(directory);
  // The page reads what was written, the terminal has what was measured: both say the same of it.
  const { headline, text } = judgementOf(await new RunReader(directory.root, false).read());
  const said = describeSummary(summary, 1000);
  assert.ok(said.includes(headline), said);
  assert.ok(
    said.includes(text.replaceAll("\u202f", " ").replaceAll("\u2212", "-").replaceAll("\u00d7", "x")),
    said,
  );
  return { outputs: summary.agreement?.outputs ?? [], text: describeSummary(summary, 100) };
}

const rowsOf = (text: string): string[] =>
  text.split("\n").filter((line) => /^(error|same|found)/.test(line));

test("a detector with nine outputs: a row for each, the worst first, and no merit in what neither finds", async () => {
  const { outputs, text } = await compressed("detector", nineOutputDetector());
  const rows = rowsOf(text);
  assert.equal(rows.length, 9, text);
  assert.equal(outputs.length, 9);
  for (const { output, error, sameClass, overlap } of outputs) {
    assert.ok(error !== null && error > 0.05, `${output}: ${error}`);
    assert.equal(sameClass, undefined, output);
    assert.ok(output.startsWith("score") || overlap === undefined, output);
  }
  const errors = rows.map((row) => Number(/([\d.]+) %\s*$/.exec(row)?.[1]));
  assert.deepEqual(
    errors,
    errors.toSorted((a, b) => b - a),
    text,
  );
});

test("a super-resolver has an error, and no class", async () => {
  const { outputs, text } = await compressed("super", tinySuperResolver());
  assert.deepEqual(
    outputs.map(({ output, sameClass, overlap }) => [output, sameClass, overlap]),
    [["image", undefined, undefined]],
  );
  assert.match(text, /^error, image +0\.00 % +[\d.]+ %$/m);
});

test("a segmenter has the same class per position, or the overlap where one class is nearly everywhere", async () => {
  const { outputs, text } = await compressed("segmenter", tinyUNet());
  const [map] = outputs;
  assert.ok(map?.classOf === "position" || map?.overlap !== undefined, text);
  assert.match(text, /^(same class per position|found by both), mask_logits .* error [\d.]+ %$/m);
});

test("a mask has an overlap", async () => {
  const { outputs, text } = await compressed("matting", tinyMatting());
  assert.equal(outputs[0]?.sameClass, undefined);
  assert.match(text, /^(found by both|error), mask /m);
});
