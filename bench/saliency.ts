/**
 * What is left of ResNet-20 after one cut without any training, by what chooses the coefficients that go: magnitude, or the
 * loss (`src/method/saliency.ts`). Usage: node dist/bench/saliency.js [FRACTIONS] [IMAGES], as 0.6,0.5,0.4 and 512.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { imagenetPreprocessing, openDataset } from "../src/data/index.js";
import { readModel, writeModel } from "../src/files/model_files.js";
import { fixBatch } from "../src/graph/passes/fix_input_shape.js";
import { float32Data } from "../src/graph/tensor.js";
import type { Graph, Tensor } from "../src/graph/types.js";
import { evaluate } from "../src/measure/accuracy.js";
import { decompose } from "../src/method/decompose.js";
import { compressionLoss } from "../src/method/defaults.js";
import { importForCompression } from "../src/method/import_for_compression.js";
import { sparseParameters } from "../src/method/phases.js";
import { pruneToMacs } from "../src/method/prune.js";
import { lossesWithout, lossSaliencies } from "../src/method/saliency.js";
import { type GradientPlan, gradientMoments } from "../src/train/gradient_moments.js";
import { sharedPath } from "../support/shared.js";

const [fractions = "0.6,0.5,0.4", images = "512"] = process.argv.slice(2);
const folder = await mkdtemp(path.join(tmpdir(), "penni-saliency-"));
try {
  await compare();
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function compare(): Promise<void> {
  const spec = `cifar10:${sharedPath("data/cifar10")}`;
  const original = importForCompression(await readModel(sharedPath("models/resnet20.onnx")));
  const network = decompose(original, { basis: 5 });
  const plan = await gradientPlan(original, network, spec);
  const test = await (await openDataset(spec)).test();
  const choices: (readonly [string, ReadonlyMap<string, Float32Array> | undefined])[] = [
    ["magnitude", undefined],
  ];
  for (const [name, measure] of Object.entries(lossSaliencies)) {
    const moments = await gradientMoments(plan, {
      parameters: plan.sparse,
      of: measure.of,
      images: Number(images),
    });
    choices.push([name, lossesWithout(network, moments, measure)]);
  }
  for (const fraction of fractions.split(",").map(Number)) {
    for (const [name, losses] of choices) {
      const { graph, masks } = pruneToMacs(fixBatch(network, 1), { fraction, losses });
      const pruned = { ...network, initializers: graph.initializers };
      const { top1 } = await evaluate(pruned, test, imagenetPreprocessing, {});
      const zeros = shareOfZeros([...masks.values()]);
      process.stdout.write(
        `${100 * fraction} % of the MACs, ${name}: ${(100 * top1).toFixed(2)} %, ${(100 * zeros).toFixed(1)} % zeros\n`,
      );
    }
  }
}

async function gradientPlan(original: Graph, network: Graph, spec: string): Promise<GradientPlan> {
  const file = (name: string): string => path.join(folder, name);
  await writeModel(file("original.onnx"), original);
  await writeModel(file("network.onnx"), network);
  return {
    stage: "prune",
    network: file("network.onnx"),
    teacher: file("original.onnx"),
    result: file("unused.onnx"),
    checkpoint: file("unused.ckpt"),
    data: {
      spec,
      preprocessing: imagenetPreprocessing,
      augmentation: { padding: 0, flip: false },
      validation: 0.05,
    },
    seed: 0,
    epochs: 1,
    phaseEpochs: 1,
    schedule: { kind: "cosine", initial: 0.01 },
    l1Strength: 0,
    loss: compressionLoss("mixed"),
    sparse: sparseParameters(network),
    threads: availableParallelism(),
    checkpointSeconds: 1e6,
  };
}

/** @param masks 1 where a value lives, 0 where it is zero */
function shareOfZeros(masks: readonly Tensor[]): number {
  const values = masks.flatMap((mask) => [...float32Data(mask)]);
  return values.filter((value) => value === 0).length / values.length;
}
