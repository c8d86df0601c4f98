import assert from "node:assert/strict";
import { runGraph } from "../src/execute/node.js";
import { float32Data, float32Tensor, int64Tensor, scalarTensor } from "../src/graph/tensor.js";
import type { Graph, Tensor } from "../src/graph/types.js";
import { runningStatisticsOf } from "../src/ops/operators/batch_normalization.js";
import type { SgdOptions, UpdateRule } from "../src/train/optimizer.js";
import { buildTrainingStep, stepNames } from "../src/train/step.js";

/** Arrays by initializer name. */
export type Values = ReadonlyMap<string, Float32Array>;

export interface StepSettings {
  /** Names that the network does not have are left out. */
  readonly trained: ReadonlyMap<string, UpdateRule>;
  readonly optimizer: SgdOptions;
  readonly learningRate: number;
  readonly l1Strength: number;
  readonly batchNormalization: "batch" | "frozen";
  /** As for `buildTrainingStep`. */
  readonly block?: number;
}

/** What a training step computed; parameters and statistics replace those of the network. */
export interface StepResult {
  readonly loss: number;
  readonly parameters: Values;
  readonly velocities: Values;
  readonly statistics: Values;
}

/** Runs one step on labelled images [N, C, H, W]; velocities and 0/1 masks by parameter, zeros and ones by default. */
export async function runTrainingStep(
  network: Graph,
  settings: StepSettings,
  batch: { readonly images: Tensor; readonly labels: readonly number[] },
  {
    velocities,
    masks,
    factors = [],
  }: {
    readonly velocities: Values;
    readonly masks?: Values;
    /** Of what Dropout leaves out, node by node. */
    readonly factors?: readonly Tensor[];
  },
): Promise<StepResult> {
  const trained = new Map([...settings.trained].filter(([name]) => network.initializers.has(name)));
  const statistics = runningStatisticsOf(network);
  const state = new Set([...trained.keys(), ...statistics]);
  const step = buildTrainingStep(network, state, {
    trained,
    batchNormalization: settings.batchNormalization,
    loss: { crossEntropy: 1, labelSmoothing: 0, distillation: 0, temperature: 1 },
    optimizer: settings.optimizer,
    ...(settings.block === undefined ? {} : { block: settings.block }),
  });
  const feeds = new Map<string, Tensor>([
    [network.inputs[0]?.name ?? "", batch.images],
    [stepNames.labels, int64Tensor([batch.labels.length], batch.labels)],
    [stepNames.learningRate, scalarTensor(settings.learningRate)],
    [stepNames.l1Strength, scalarTensor(settings.l1Strength)],
  ]);
  for (const name of state) feeds.set(name, initializer(network, name));
  for (const [name, { input, dims }] of step.velocities) {
    const size = dims.reduce((product, dim) => product * dim, 1);
    feeds.set(input, float32Tensor(dims, velocities.get(name) ?? new Float32Array(size)));
  }
  for (const [name, input] of step.masks) {
    const { dims, bytes } = initializer(network, name);
    feeds.set(input, float32Tensor(dims, masks?.get(name) ?? new Float32Array(bytes.length / 4).fill(1)));
  }
  for (const [index, { input }] of step.dropped.entries()) {
    const own = factors[index];
    assert.ok(own !== undefined, input);
    feeds.set(input, own);
  }
  const results = await runGraph(step.graph, feeds, { threads: 1 });
  const value = (output: string): Float32Array => {
    const tensor = results.get(output);
    assert.ok(tensor !== undefined, output);
    return float32Data(tensor);
  };
  const values = (slots: ReadonlyMap<string, { readonly output: string }>): Values =>
    new Map([...slots].map(([name, { output }]) => [name, value(output)]));
  return {
    loss: value(stepNames.loss)[0] ?? Number.NaN,
    parameters: values(step.parameters),
    velocities: values(step.velocities),
    statistics: values(step.statistics),
  };
}

export function initializer(network: Graph, name: string): Tensor {
  const tensor = network.initializers.get(name);
  assert.ok(tensor !== undefined, name);
  return tensor;
}

/** The network with these values in place of its own. */
export function withValues(network: Graph, ...replaced: readonly Values[]): Graph {
  const initializers = new Map(network.initializers);
  for (const [name, data] of replaced.flatMap((values) => [...values]))
    initializers.set(name, float32Tensor(initializer(network, name).dims, data));
  return { ...network, initializers };
}
