import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { presets, type Settings } from "../../src/run/config.js";
import { fileCounts } from "../../src/run/outcome.js";
import { compress } from "../../src/run/pipeline.js";
import { prepareRun } from "../../src/run/prepare.js";
import type { Summary } from "../../src/run/summary.js";
import { describeTarget } from "../../src/run/target.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-budget-cases-"));
after(() => rm(folder, { recursive: true, force: true }));

async function run(model: string, name: string, changes: Partial<Settings>): Promise<Summary> {
  const directory = await prepareRun({
    model,
    data: "synthetic:80",
    out: path.join(folder, name),
    preset: "calibrate",
    seed: 1,
    settings: { ...presets.calibrate, calibrationImages: 32, batch: 16, threads: 1, ...changes },
  });
  return compress(directory);
}

const macs = (fraction: number): Pick<Settings, "prune"> => ({ prune: { rule: "macs", fraction } });

const share = ({ original, compressed }: Summary): number => compressed.paperMacs / original.paperMacs;

const tiny = path.join(folder, "tiny.onnx");
await writeModel(tiny, tinyCnn());
const first = await run(tiny, "first", macs(0.6));

const SPARSE = "cases/f2_presparse.onnx";

for (const [start, basis] of [
  ["calibrate", "auto"],
  ["calibrate", 5],
  ["svd", 5],
] as const) {
  test(`half of a sparse network is half of what it has: ${start}, basis ${basis}`, {
    skip: withoutShared(SPARSE),
  }, async () => {
    const summary = await run(sharedPath(SPARSE), `sparse-${start}-${basis}`, { start, basis, ...macs(0.5) });
    assert.ok(share(summary) <= 0.5 && share(summary) > 0.45, `${share(summary)}`);
    assert.ok(summary.compressed.parameters <= summary.original.parameters);
  });
}

test("nothing removed of a sparse network is the network that came in", {
  skip: withoutShared(SPARSE),
}, async () => {
  const { original, compressed, agreement } = await run(sharedPath(SPARSE), "sparse-whole", macs(1));
  assert.equal(compressed.parameters, original.parameters);
  assert.equal(compressed.paperMacs, original.paperMacs);
  for (const { error } of agreement?.outputs ?? []) assert.ok(error !== null && error < 1e-3, `${error}`);
});

test("an own result is compressed again, from its own bases and zeros", async () => {
  const again = await run(first.model, "again", macs(0.7));
  assert.deepEqual(again.original.paperMacs, first.compressed.paperMacs);
  assert.ok(share(again) <= 0.7 && share(again) > 0.6, `${share(again)}`);
  const whole = await run(first.model, "whole", macs(1));
  assert.equal(whole.compressed.paperMacs, first.compressed.paperMacs);
  assert.equal(whole.compressed.parameters, first.compressed.parameters);
});

test("training an own result ends within its budget too", async () => {
  const { retrain, fineTune } = presets.fast;
  const settings = { ...presets.fast, batch: 16, threads: 1, validation: 0.1, ...macs(0.9) };
  const epochs = { retrain: { ...retrain, epochs: 1 }, fineTune: { ...fineTune, epochs: 1 } };
  const trained = await run(first.model, "trained", { ...settings, ...epochs });
  assert.ok(share(trained) <= 0.9, `${share(trained)}`);
  // By the paper's rule too little goes to make room for what training brings back: its limit is what came in.
  const rule = { prune: { rule: "deviation", factor: 0 } } as const;
  const kept = await run(first.model, "kept", { ...settings, ...epochs, ...rule });
  assert.ok(share(kept) <= 1, `${share(kept)}`);
});

test("a preset's own target is a fraction of what comes in, so an own result takes it", async () => {
  const { retrain, fineTune, prune } = presets.fast;
  const few = { retrain: { ...retrain, epochs: 1 }, fineTune: { ...fineTune, epochs: 1 } };
  const settings = { ...presets.fast, ...few, batch: 16, threads: 1, validation: 0.1 };
  assert.deepEqual(prune, { rule: "macs", fraction: 0.42 });
  // Of this network bases alone cost more than that.
  await assert.rejects(run(tiny, "fast-refused", settings), /at least 0\.56/);
  const once = await run(tiny, "fast-once", { ...settings, ...macs(0.7) });
  assert.ok(share(once) <= 0.7, `${share(once)}`);
  const twice = await run(once.model, "fast-twice", settings);
  assert.equal(twice.original.paperMacs, once.compressed.paperMacs);
  assert.ok(share(twice) <= 0.42, `${share(twice)}`);
  for (const figure of ["parameters", "paperMacs", "executedMacs", "bytes"] as const)
    assert.ok(twice.compressed[figure] <= once.compressed[figure], figure);
});

test("a run says what its target is a fraction of", async () => {
  const settings = { ...presets.fast, ...macs(0.5), threads: 1 };
  const original = await readModel(tiny);
  const [target = "", ...more] = describeTarget({ settings }, original);
  const { paperMacs } = fileCounts(original);
  assert.match(
    target,
    /^target: 50 % of the [\d,]+ multiply-accumulates \(paper count\) of the network that came in/,
  );
  assert.ok(target.includes(paperMacs.toLocaleString("en-US")));
  assert.deepEqual(more, []);
  const own = describeTarget({ settings }, await readModel(first.model));
  assert.match(
    own.join("\n"),
    /not of what it was once made from\n\d+ layers? .* decomposed already: .*kernels go/,
  );
  const rule = { rule: "deviation", factor: 1 } as const;
  assert.deepEqual(describeTarget({ settings: { ...settings, prune: rule } }, original), []);
});

test("a target below the least is refused before anything is written, and the least that it names is accepted", async () => {
  const least = async (name: string, changes: Partial<Settings>): Promise<number> => {
    try {
      await run(first.model, name, { ...macs(0.001), ...changes });
    } catch (error) {
      assert.ok(error instanceof Error);
      assert.ok(!existsSync(path.join(folder, name)));
      return Number(/at least ([\d.]+) of the original MACs \(paper count\)/.exec(error.message)?.[1]);
    }
    return assert.fail("not refused");
  };
  for (const [name, changes] of Object.entries({
    calibrated: {},
    decomposed: { start: "svd", basis: 3 },
  } satisfies Record<string, Partial<Settings>>)) {
    const fraction = await least(`refused-${name}`, changes);
    assert.ok(fraction > 0.001 && fraction < 1, `${fraction}`);
    const reached = await run(first.model, `least-${name}`, { ...macs(fraction), ...changes });
    assert.ok(share(reached) <= fraction);
  }
});

const FOLDED = "cases/f6_fixed_batch_fold.onnx";

test("a network that takes one image at a time is calibrated on one at a time", {
  skip: withoutShared(FOLDED),
}, async () => {
  const summary = await run(sharedPath(FOLDED), "folded", macs(0.6));
  assert.ok(share(summary) <= 0.6);
});

test("and trained with --batch 1, which is what the refusal says", {
  skip: withoutShared(FOLDED),
}, async () => {
  const { fineTune, loss } = presets.calibrate;
  const training = { loss, fineTune: { ...fineTune, epochs: 0.5 }, ...macs(0.8) };
  await assert.rejects(run(sharedPath(FOLDED), "batched", training), /"Conv_5".*--batch 1/);
  const summary = await run(sharedPath(FOLDED), "single", { ...training, batch: 1 });
  assert.ok(share(summary) <= 0.8);
});
