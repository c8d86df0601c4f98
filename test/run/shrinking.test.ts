import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { readModel, writeModel } from "../../src/files/model_files.js";
import type { Graph } from "../../src/graph/types.js";
import { layerChannels } from "../../src/method/shrink.js";
import { presets, type Settings } from "../../src/run/config.js";
import type { RunDirectory } from "../../src/run/directory.js";
import { compress } from "../../src/run/pipeline.js";
import { prepareRun } from "../../src/run/prepare.js";
import type { StageName } from "../../src/run/stages/names.js";
import type { Summary } from "../../src/run/summary.js";
import type { EpochMetrics } from "../../src/train/plan.js";
import { Network } from "../../support/network.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-run-shrinking-"));
after(() => rm(folder, { recursive: true, force: true }));

/** Of the first convolution's twelve channels four are zero behind their ReLU. */
function planted(): Graph {
  const net = new Network(5, [3, 8, 8]);
  const shift = [-0.5, -0.4, -0.3, -0.2, 0.3, 0.1, 0.2, 0.5, 0.4, 0.3, 0.2, 0.1];
  const hidden = net.relu(net.norm(net.conv("x", 12, { pad: 1, deadOutputs: [0, 1, 2, 3] }), shift));
  const second = net.relu(net.norm(net.conv(hidden, 8, { pad: 1 })));
  return net.graph([net.gemm(net.op("Flatten", [net.op("GlobalAveragePool", [second])]), 10)]);
}

const model = path.join(folder, "planted.onnx");
await writeModel(model, planted());

interface Run {
  readonly summary: Summary;
  readonly metrics: readonly EpochMetrics[];
  readonly directory: RunDirectory;
}

/** Of the paper count of the original, whose dead channels have no weights. */
const FRACTION = 0.72;

async function run(name: string, shrinkWhileTraining: Settings["shrinkWhileTraining"]): Promise<Run> {
  const { fast } = presets;
  const directory = await prepareRun({
    model,
    data: "synthetic:120",
    out: path.join(folder, name),
    preset: "fast",
    seed: 1,
    settings: {
      ...fast,
      retrain: { ...fast.retrain, epochs: 1 },
      fineTune: { ...fast.fineTune, epochs: 1 },
      prune: { rule: "macs", fraction: FRACTION },
      // So that both networks end in the same shape.
      channelMultiple: 1,
      shrinkWhileTraining,
      batch: 16,
      validation: 0,
      threads: 1,
    },
  });
  const summary = await compress(directory);
  return { summary, metrics: await directory.readMetrics(), directory };
}

const shrinking = await run("shrinking", { multiple: 1, minimumGain: 0 });
const unshrunk = await run("unshrunk", "off");

/** Of one image: 3x3 kernels on 8x8 positions, and the last layer. */
const executedMacs = (width: number): number => 64 * 9 * (3 * width + width * 8) + 80;

async function widthAfter({ directory }: Run, stage: StageName): Promise<number | undefined> {
  return layerChannels(await readModel(directory.stagePath(stage)))[0]?.outputs;
}

test("a run that shrinks while it trains gives later stages a smaller network, and ends in the same shape", async () => {
  assert.deepEqual(
    [await widthAfter(shrinking, "decompose"), await widthAfter(shrinking, "retrain")],
    [12, 8],
  );
  assert.equal(await widthAfter(unshrunk, "fine-tune"), 12);
  assert.equal(await widthAfter(unshrunk, "shrink"), 8);
});

test("counts are against the original, and the MACs target is spent on what is alive", () => {
  const { original, compressed } = shrinking.summary;
  assert.deepEqual(
    [original.executedMacs, original.parameters],
    [unshrunk.summary.original.executedMacs, unshrunk.summary.original.parameters],
  );
  assert.equal(original.executedMacs, executedMacs(12));
  const share = compressed.paperMacs / original.paperMacs;
  assert.ok(share <= FRACTION && share > FRACTION - 0.01, `${share}`);
  // Coefficients that read dead channels count until the end there, where they go.
  assert.ok(unshrunk.summary.compressed.paperMacs < (FRACTION - 0.01) * original.paperMacs);
});

test("the metrics tell the size that was trained; retraining costs what it costs unshrunk (1e-4)", () => {
  const [small, large] = [shrinking.metrics, unshrunk.metrics].map((lines) => lines.map(({ macs }) => macs));
  assert.deepEqual(small, [executedMacs(8), executedMacs(8)]);
  assert.deepEqual(large, [executedMacs(12), executedMacs(12)]);
  const [loss = Number.NaN, expected = Number.NaN] = [shrinking, unshrunk].map((run) => run.metrics[0]?.loss);
  assert.ok(Math.abs(loss / expected - 1) < 1e-4, `${loss}, unshrunk ${expected}`);
});
