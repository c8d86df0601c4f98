import assert from "node:assert/strict";
import path from "node:path";
import { imagenetPreprocessing } from "../../src/data/preprocessing.js";
import { runGraph } from "../../src/execute/node.js";
import { elementCount, float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { sparseParameters } from "../../src/method/phases.js";
import { TypedBuilder } from "../../src/ops/inference/builder.js";
import { expandComposites } from "../../src/ops/passes/expand_composites.js";
import type { TrainingPlan } from "../../src/train/plan.js";
import { randomSource } from "../../support/opcase.js";

/** A float32 tensor of random numbers in [low, high), the same for the same seed. */
export function randomIn(dims: readonly number[], seed: number, low = -1, high = 1): Tensor {
  const next = randomSource(seed);
  return float32Tensor(
    dims,
    Array.from({ length: elementCount(dims) }, () => low + (high - low) * next()),
  );
}

/** A builder that knows these values as graph inputs. */
export function builderOver(feeds: ReadonlyMap<string, Tensor>, opset = 17): TypedBuilder {
  const b = new TypedBuilder(opset);
  for (const [name, { type, dims }] of feeds) b.declare(name, { elementType: type, shape: dims });
  return b;
}

/** What a builder has collected, in standard operators, as a graph that takes `feeds` and gives `outputs`. */
export function graphFrom(
  b: TypedBuilder,
  feeds: ReadonlyMap<string, Tensor>,
  outputs: readonly string[],
): Graph {
  return expandComposites({
    name: "built",
    opsets: new Map([["", b.opset]]),
    inputs: [...feeds.keys()].map((name) => ({ name, type: b.types.get(name) })),
    outputs: outputs.map((name) => ({ name, type: undefined })),
    nodes: b.nodes,
    initializers: b.initializers,
    valueInfo: new Map(),
    metadata: new Map(),
  });
}

/** What a small training plan of a test has of its own. */
type OwnPlan = Pick<
  TrainingPlan,
  "stage" | "epochs" | "phases" | "phaseEpochs" | "schedule" | "optimizer"
> & {
  readonly data: Pick<TrainingPlan["data"], "spec" | "validation">;
} & Omit<Partial<TrainingPlan>, "data">;

/** A plan that trains the network `network.onnx` of a folder on labels, one thread, in batches of 16. */
export function smallPlan(folder: string, name: string, network: Graph, own: OwnPlan): TrainingPlan {
  const file = (extension: string): string => path.join(folder, `${name}.${extension}`);
  return {
    network: path.join(folder, "network.onnx"),
    result: file("onnx"),
    checkpoint: file("ckpt"),
    seed: 1,
    batch: 16,
    l1Strength: 0,
    loss: { crossEntropy: 1, labelSmoothing: 0, distillation: 0, temperature: 1 },
    batchNormalization: "batch",
    sparse: sparseParameters(network),
    threads: 1,
    checkpointSeconds: 1000,
    ...own,
    data: {
      preprocessing: imagenetPreprocessing,
      augmentation: { padding: 2, flip: true },
      ...own.data,
    },
  };
}

/** The values that ONNX Runtime computes for `outputs`, in order. */
export async function compute(
  b: TypedBuilder,
  feeds: ReadonlyMap<string, Tensor>,
  outputs: readonly string[],
): Promise<readonly Float32Array[]> {
  const results = await runGraph(graphFrom(b, feeds, [...new Set(outputs)]), feeds, { threads: 1 });
  return outputs.map((name) => {
    const tensor = results.get(name);
    assert.ok(tensor, `output ${name}`);
    return float32Data(tensor);
  });
}

/** |actual - expected| <= tolerance · max(1e-3, largest |expected|) for every element. */
export function assertRelative(
  actual: ArrayLike<number>,
  expected: Float32Array,
  tolerance: number,
  what: string,
): void {
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
  expected.forEach((value, index) => {
    const error = Math.abs((actual[index] ?? Number.NaN) - value);
    assert.ok(error <= tolerance * scale, `${what}[${index}]: ${actual[index]}, expected ${value}`);
  });
}

/** |actual - expected| <= tolerance · max(1, largest |expected|) for every element. */
export function assertNear(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what = "value",
): void {
  assert.equal(actual.length, expected.length, `number of elements of ${what}`);
  const wanted = Array.from(expected);
  const scale = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  wanted.forEach((value, index) => {
    const found = actual[index] ?? Number.NaN;
    assert.ok(Math.abs(found - value) <= tolerance * scale, `${what}[${index}]: ${found}, expected ${value}`);
  });
}

/** Central differences of a float64 function of one array, element by element. */
export function differences(
  value: (x: readonly number[]) => number,
  at: ArrayLike<number>,
  step = 1e-5,
): number[] {
  const x = Array.from(at);
  return x.map((centre, index) => {
    const above = value(x.with(index, centre + step));
    const below = value(x.with(index, centre - step));
    return (above - below) / (2 * step);
  });
}
