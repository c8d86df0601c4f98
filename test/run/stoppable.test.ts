import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { writeModel } from "../../src/files/model_files.js";
import { presets } from "../../src/run/config.js";
import { RunDirectory } from "../../src/run/directory.js";
import { compress } from "../../src/run/pipeline.js";
import { prepareRun } from "../../src/run/prepare.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-stoppable-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("a run stops while it measures, too, and measures when it goes on", async () => {
  const model = path.join(folder, "tiny.onnx");
  await writeModel(model, tinyCnn());
  const out = path.join(folder, "run");
  const settings = { ...presets.calibrate, calibrationImages: 32, batch: 16, threads: 1 };
  const run = await prepareRun({ model, data: "synthetic:400", out, preset: "calibrate", seed: 1, settings });
  const controller = new AbortController();
  let told = 0;
  const images = (): void => {
    told += 1;
    controller.abort();
  };
  await assert.rejects(compress(run, { images }, controller.signal), {
    name: "PenniError",
    code: "interrupted",
    message: "stopped while measuring",
  });
  assert.equal(told, 1);
  assert.ok(existsSync(path.join(out, "model.onnx")) && !existsSync(path.join(out, "summary.json")));
  const summary = await compress(await RunDirectory.open(out));
  assert.ok(summary.compressed.paperMacs < summary.original.paperMacs);
});
