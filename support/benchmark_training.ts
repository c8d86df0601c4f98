import type { Batch } from "../src/data/batches.js";
import { imagenetPreprocessing } from "../src/data/preprocessing.js";
import { Random } from "../src/data/random.js";
import type { Device } from "../src/execute/device.js";
import { fixBatch } from "../src/graph/passes/fix_input_shape.js";
import { elementCount } from "../src/graph/tensor.js";
import type { Graph } from "../src/graph/types.js";
import { trainingPhases } from "../src/method/phases.js";
import { inferGraph, staticDims } from "../src/ops/inference/infer.js";
import type { TrainingPlan } from "../src/train/plan.js";
import { Workbench } from "../src/train/workbench.js";

export interface BenchTrainingOptions {
  readonly batch: number;
  readonly threads: number;
  /** Default: "cpu". */
  readonly device?: Device;
  /** Of a decomposed network; default: its first. */
  readonly phase?: DecomposedPhase;
}

/** Which factors of a decomposed network train; everything else trains in both phases. */
export const decomposedPhases = ["coefficients", "bases"] as const;

export type DecomposedPhase = (typeof decomposedPhases)[number];

/** A training step that is loaded and has its data. */
export interface BenchTraining {
  /** One step on the same random images and labels; returns the loss. */
  step(): Promise<number>;
  release(): Promise<void>;
}

const RATE = 0.01;

/**
 * The training step that `penni compress` runs on a network (everything, or everything but
 * the factors of a decomposed network that the phase leaves alone), with cross-entropy and the paper's optimizer.
 */
export async function openTraining(network: Graph, options: BenchTrainingOptions): Promise<BenchTraining> {
  const fixed = fixBatch(network, options.batch);
  const plan = benchPlan(fixed, options);
  // All phases are loaded, as in a run: what one of them leaves alone is state too, not a constant.
  const phase = Math.max(
    0,
    plan.phases.findIndex(({ name }) => name === options.phase),
  );
  const { types } = inferGraph(fixed);
  const [, channels = 1, height = 1, width = 1] = staticDims(types, fixed.inputs[0]?.name ?? "");
  const image = [channels, height, width] as const;
  const [, classes = 1] = staticDims(types, fixed.outputs[0]?.name ?? "");
  const bench = await Workbench.open(fixed, plan, image);
  const batch = randomBatch(options.batch, image, classes);
  let number = 0;
  const step = async (): Promise<number> => {
    const { loss } = await bench.runStep(phase, batch, { rate: RATE, number });
    bench.commit(phase);
    number += 1;
    return loss;
  };
  return { step, release: () => bench.release() };
}

/** A stage that trains a network with the paper's optimizer, on labels alone; it names no files. */
export function benchPlan(
  network: Graph,
  { batch, threads, device = "cpu" }: BenchTrainingOptions,
): TrainingPlan {
  const phases = trainingPhases(network, {
    mode: "alternating",
    sparse: { l1: "none", masked: false },
    scaleBasisRate: false,
  });
  return {
    stage: "bench",
    network: "",
    result: "",
    checkpoint: "",
    data: {
      spec: "synthetic",
      preprocessing: imagenetPreprocessing,
      augmentation: { padding: 0, flip: false },
      validation: 0,
    },
    seed: 0,
    batch,
    epochs: 1,
    phases,
    phaseEpochs: 1,
    schedule: { kind: "cosine", initial: RATE },
    l1Strength: 0,
    optimizer: { momentum: 0.9, weightDecay: 1e-4 },
    loss: { crossEntropy: 1, labelSmoothing: 0, distillation: 0, temperature: 1 },
    batchNormalization: "batch",
    sparse: [],
    threads,
    device,
    checkpointSeconds: 3600,
  };
}

function randomBatch(count: number, image: readonly number[], classes: number): Batch {
  const random = new Random(1);
  const images = new Float32Array(count * elementCount(image));
  for (let index = 0; index < images.length; index++) images[index] = random.between(-1, 1);
  const labels = BigInt64Array.from({ length: count }, () => BigInt(random.below(classes)));
  return { index: 0, images, labels, size: count, count };
}
