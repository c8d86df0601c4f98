import { batches, planEvaluation } from "../data/batches.js";
import { sampleIndices } from "../data/hold_out.js";
import { imageDims } from "../data/preprocessing.js";
import { readModel } from "../files/model_files.js";
import { present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { TrainingPlan } from "./plan.js";
import { openTrainingImages } from "./training_images.js";
import { Workbench } from "./workbench.js";

/** What of a plan says which loss of which network on which images. */
export type GradientPlan = Omit<TrainingPlan, "phases" | "optimizer" | "batch" | "batchNormalization">;

export interface GradientMoments {
  /** Names of the parameters whose gradients are asked for. */
  readonly parameters: readonly string[];
  /** Of a gradient for one image. */
  readonly of: (gradient: number) => number;
  /** The most images that are looked at. */
  readonly images: number;
  readonly signal?: AbortSignal | undefined;
}

/** An update that changes nothing, and leaves the gradient as the momentum. */
const still = {
  optimizer: { momentum: 0, weightDecay: 0 },
  batch: 1,
  batchNormalization: "frozen",
} as const satisfies Partial<TrainingPlan>;

/**
 * Means, over training images one by one, of a function of the loss's gradient, for every element of some parameters; the
 * network predicts as it does in use, by its running statistics.
 * @throws PenniError "interrupted" when `signal` is aborted
 */
export async function gradientMoments(
  plan: GradientPlan,
  { parameters, of, images, signal }: GradientMoments,
): Promise<ReadonlyMap<string, Float32Array>> {
  const rule = { l1: "none", masked: false, rate: 1 } as const;
  const trained = Object.fromEntries(parameters.map((name) => [name, rule]));
  const whole: TrainingPlan = { ...plan, ...still, phases: [{ name: "gradients", trained }] };
  const network = await readModel(plan.network);
  const { split, train } = await openTrainingImages(whole, network);
  const indices = sampleIndices(train, Math.min(images, train.length), plan.seed);
  const { preprocessing } = plan.data;
  const workbench = await Workbench.open(fixBatch(network, 1), whole, imageDims(split, preprocessing));
  const sums = new Map<string, Float64Array>();
  try {
    for await (const image of batches(planEvaluation(split, indices, { batch: 1, preprocessing }))) {
      if (signal?.aborted === true) throw new PenniError("interrupted", "stopped before pruning");
      await workbench.runStep(0, image, { rate: 0, number: 0 });
      workbench.commit(0);
      for (const [name, gradient] of await workbench.velocities()) addTo(sums, name, gradient, of);
    }
  } finally {
    await workbench.release();
  }
  return new Map([...sums].map(([name, sum]) => [name, Float32Array.from(sum, (x) => x / indices.length)]));
}

function addTo(
  sums: Map<string, Float64Array>,
  name: string,
  gradient: Float32Array,
  of: GradientMoments["of"],
): void {
  const sum = sums.get(name) ?? new Float64Array(gradient.length);
  for (let at = 0; at < sum.length; at++) sum[at] = present(sum[at]) + of(present(gradient[at]));
  sums.set(name, sum);
}
