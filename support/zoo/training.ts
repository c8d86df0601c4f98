import assert from "node:assert/strict";
import { fromOrtTensor, toOrtTensor } from "../../src/execute/engine.js";
import { openSession } from "../../src/execute/node.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import {
  elementCount,
  float32Data,
  float32Tensor,
  int64Tensor,
  scalarTensor,
} from "../../src/graph/tensor.js";
import type { Graph, Node, Tensor } from "../../src/graph/types.js";
import { trainableParameters } from "../../src/method/parameters.js";
import { runningStatisticsOf } from "../../src/ops/operators/batch_normalization.js";
import { buildTrainingStep, type StepOptions, stepNames } from "../../src/train/step.js";
import { randomSource } from "../opcase.js";

export interface LabelledBatch {
  readonly images: Tensor;
  readonly labels: readonly number[];
}

export interface GradientOptions {
  readonly batchNormalization: StepOptions["batchNormalization"];
  /** As in `StepOptions`. */
  readonly block?: number;
}

/** The loss of a step and its gradients, by parameter. */
export interface Gradients {
  readonly loss: number;
  readonly parameters: ReadonlyMap<string, Float32Array>;
}

/** Gradients, and what they are sums of. */
export interface SummedGradients extends Gradients {
  /**
   * By parameter whose gradient is a sum of another gradient's elements, as a bias's is: the same sum of their
   * magnitudes. It is what rounding is to be measured against where they cancel, as in front of a normalization, where
   * the true gradient is 0.
   */
  readonly magnitudes: ReadonlyMap<string, Float32Array>;
}

/** Values to put in place of the network's own, by parameter. */
export type Replacement = (name: string, data: Float32Array) => Float32Array;

/** A loaded training step of all trainable parameters whose velocities are the gradients of the cross-entropy. */
export class GradientStep {
  private constructor(
    private readonly session: Awaited<ReturnType<typeof openSession>>,
    private readonly feeds: ReadonlyMap<string, Tensor>,
    /** Output of the gradient, by parameter. */
    private readonly outputs: ReadonlyMap<string, string>,
    /** Output of the sum of magnitudes, by parameter that has one. */
    private readonly magnitudes: ReadonlyMap<string, string>,
  ) {}

  static async load(network: Graph, batch: LabelledBatch, options: GradientOptions): Promise<GradientStep> {
    const fixed = fixBatch(network, batch.labels.length);
    const trained = [...trainableParameters(fixed).keys()];
    const state = new Set([...trained, ...runningStatisticsOf(fixed)]);
    const rule = { l1: "none", masked: false, rate: 1 } as const;
    const step = buildTrainingStep(fixed, state, {
      trained: new Map(trained.map((name) => [name, rule])),
      batchNormalization: options.batchNormalization,
      loss: { crossEntropy: 1, labelSmoothing: 0, distillation: 0, temperature: 1 },
      optimizer: { momentum: 0.9, weightDecay: 0 },
      ...(options.block === undefined ? {} : { block: options.block }),
    });
    const feeds = new Map<string, Tensor>([
      [network.inputs[0]?.name ?? "", batch.images],
      [stepNames.labels, int64Tensor([batch.labels.length], batch.labels)],
      [stepNames.learningRate, scalarTensor(0)],
      [stepNames.l1Strength, scalarTensor(0)],
    ]);
    for (const name of state) {
      const tensor = fixed.initializers.get(name);
      if (tensor !== undefined) feeds.set(name, tensor);
    }
    for (const { input, dims } of step.velocities.values())
      feeds.set(input, float32Tensor(dims, new Float32Array(elementCount(dims))));
    // The blocked form as training runs it; the other one as it stands, which loads five times as fast.
    const optimization = options.block === undefined ? "disabled" : "all";
    const outputs = new Map([...step.velocities].map(([name, { output }]) => [name, output]));
    const { graph, magnitudes } = withMagnitudes(step.graph, outputs);
    const session = await openSession(graph, { threads: 1, memoryPattern: false, optimization });
    return new GradientStep(session, feeds, outputs, magnitudes);
  }

  get trained(): readonly string[] {
    return [...this.outputs.keys()];
  }

  /** Runs the step at the network's own parameters. */
  async gradients(): Promise<SummedGradients> {
    const wanted = [stepNames.loss, ...this.outputs.values(), ...this.magnitudes.values()];
    const results = await this.run(this.feeds, wanted);
    const value = (output: string): Float32Array =>
      float32Data(results.get(output) ?? scalarTensor(Number.NaN));
    const values = (outputs: ReadonlyMap<string, string>): ReadonlyMap<string, Float32Array> =>
      new Map([...outputs].map(([name, output]) => [name, value(output)]));
    const loss = value(stepNames.loss)[0] ?? Number.NaN;
    return { loss, parameters: values(this.outputs), magnitudes: values(this.magnitudes) };
  }

  /** The loss with every trained parameter replaced. */
  async lossAt(replace: Replacement): Promise<number> {
    const moved = new Map(this.feeds);
    for (const name of this.trained) {
      const tensor = this.feeds.get(name);
      if (tensor !== undefined)
        moved.set(name, float32Tensor(tensor.dims, replace(name, float32Data(tensor))));
    }
    const results = await this.run(moved, [stepNames.loss]);
    return float32Data(results.get(stepNames.loss) ?? scalarTensor(Number.NaN))[0] ?? Number.NaN;
  }

  release(): Promise<void> {
    return this.session.release();
  }

  private async run(
    feeds: ReadonlyMap<string, Tensor>,
    outputs: readonly string[],
  ): Promise<ReadonlyMap<string, Tensor>> {
    const converted = Object.fromEntries([...feeds].map(([name, tensor]) => [name, toOrtTensor(tensor)]));
    const results = await this.session.run(converted, outputs);
    return new Map(Object.entries(results).map(([name, tensor]) => [name, fromOrtTensor(tensor)]));
  }
}

/** What changes neither the number nor the order of a gradient's elements on its way into a velocity. */
const carriers: ReadonlySet<string> = new Set(["Add", "Identity", "Mul", "Reshape", "Squeeze", "Unsqueeze"]);

/** The sum of many elements that a value comes from, by carriers only; undefined if it comes from none, or from several. */
function sumBehind(value: string, producers: ReadonlyMap<string, Node>): Node | undefined {
  const node = producers.get(value);
  if (node?.op === "ReduceSum") return sumBehind(node.inputs[0] ?? "", producers) ?? node;
  if (node === undefined || !carriers.has(node.op)) return undefined;
  const sums = node.inputs.map((input) => sumBehind(input, producers)).filter((sum) => sum !== undefined);
  return sums.length === 1 ? sums[0] : undefined;
}

/** The graph with an output more for every gradient that is a sum: the sum of magnitudes. */
function withMagnitudes(
  graph: Graph,
  velocities: ReadonlyMap<string, string>,
): { readonly graph: Graph; readonly magnitudes: ReadonlyMap<string, string> } {
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node])));
  const magnitudes = new Map<string, string>();
  const nodes: Node[] = [];
  for (const [name, velocity] of velocities) {
    const sum = sumBehind(velocity, producers);
    if (sum === undefined) continue;
    const [absolute, total] = [`magnitudes of ${name}`, `sum of magnitudes of ${name}`];
    const plain = { name: absolute, op: "Abs", domain: "", attributes: new Map() };
    nodes.push({ ...plain, inputs: sum.inputs.slice(0, 1), outputs: [absolute] });
    nodes.push({ ...sum, name: total, inputs: sum.inputs.with(0, absolute), outputs: [total] });
    magnitudes.set(name, total);
  }
  const outputs = [...magnitudes.values()].map((name) => ({ name, type: undefined }));
  return {
    graph: { ...graph, nodes: [...graph.nodes, ...nodes], outputs: [...graph.outputs, ...outputs] },
    magnitudes,
  };
}

/** Loss and gradients are finite, and no trained parameter's gradient is missing. */
export function assertFinite({ loss, parameters }: Gradients, network: Graph): void {
  assert.ok(Number.isFinite(loss), `loss ${loss}`);
  const missing = [...trainableParameters(network).keys()].filter((name) => !parameters.has(name));
  assert.deepEqual(missing, [], "parameters without a gradient");
  for (const [name, gradient] of parameters)
    assert.ok(
      gradient.every((value) => Number.isFinite(value)),
      `gradient of ${name}`,
    );
}

/** Names of the parameters whose gradient is zero throughout. */
export function zeroGradients({ parameters }: Gradients): readonly string[] {
  return [...parameters]
    .filter(([, gradient]) => gradient.every((value) => value === 0))
    .map(([name]) => name);
}

/**
 * The largest relative error of a parameter's gradient, by norm: against the gradient, or against the magnitudes of which
 * it is the sum. Others that are far smaller than the typical one are measured against that.
 */
export function largestGradientError(
  want: ReadonlyMap<string, Float32Array>,
  got: ReadonlyMap<string, Float32Array>,
  magnitudes: SummedGradients["magnitudes"] = new Map(),
): { readonly error: number; readonly name: string } {
  const floor = 1e-3 * typicalNorm(want);
  let worst = { error: 0, name: "" };
  for (const [name, gradient] of want) {
    const other = got.get(name);
    assert.ok(other !== undefined, `gradient of ${name}`);
    assert.equal(other.length, gradient.length, name);
    const difference = norm(gradient.map((value, at) => value - (other[at] ?? 0)));
    const error = difference / Math.max(norm(gradient), norm(magnitudes.get(name) ?? []), floor);
    if (!(error <= worst.error)) worst = { error, name };
  }
  return worst;
}

function norm(data: ArrayLike<number>): number {
  return Math.sqrt(Array.from(data).reduce((sum, value) => sum + value * value, 0));
}

function typicalNorm(gradients: ReadonlyMap<string, Float32Array>): number {
  const norms = [...gradients.values()].map(norm).sort((a, b) => a - b);
  return norms[norms.length >> 1] ?? 0;
}

/** A derivative of the loss along a random direction in the space of all parameters: as the step says, and measured. */
export interface DirectionalDerivative {
  readonly stated: number;
  readonly measured: number;
  /** The square root of the sum of the squares of what single parameters contribute: the scale of an error. */
  readonly scale: number;
}

/**
 * Central difference of the loss along a direction in which every parameter moves by a random tensor of its own norm.
 * @param size relative length of the step
 */
export async function directionalDerivative(
  step: GradientStep,
  { parameters }: Gradients,
  { seed, size }: { readonly seed: number; readonly size: number },
): Promise<DirectionalDerivative> {
  const next = randomSource(seed);
  const directions = new Map<string, Float32Array>();
  for (const name of step.trained) directions.set(name, new Float32Array());
  const own = new Map<string, Float32Array>();
  await step.lossAt((name, data) => {
    own.set(name, data);
    return data;
  });
  for (const [name, data] of own) {
    const random = data.map(() => next() * 2 - 1);
    const length = norm(random) || 1;
    const factor = Math.max(norm(data), 1e-3) / length;
    directions.set(
      name,
      random.map((value) => value * factor),
    );
  }
  const lossAt = (sign: number): Promise<number> =>
    step.lossAt((name, data) =>
      data.map((value, at) => value + sign * size * (directions.get(name)?.[at] ?? 0)),
    );
  const measured = ((await lossAt(1)) - (await lossAt(-1))) / (2 * size);
  const shares = [...parameters].map(([name, gradient]) =>
    gradient.reduce((sum, value, at) => sum + value * (directions.get(name)?.[at] ?? 0), 0),
  );
  return {
    stated: shares.reduce((sum, share) => sum + share, 0),
    measured,
    scale: Math.sqrt(shares.reduce((sum, share) => sum + share * share, 0)),
  };
}
