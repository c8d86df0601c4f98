import assert from "node:assert/strict";
import { int, ints } from "../src/graph/attributes.js";
import { fixBatch } from "../src/graph/passes/fix_input_shape.js";
import { elementCount, float32Data } from "../src/graph/tensor.js";
import type { Graph } from "../src/graph/types.js";
import { decompose } from "../src/method/decompose.js";
import { trainingPhases } from "../src/method/phases.js";
import { encodeModel } from "../src/onnx/write.js";
import { inferGraph, staticDims } from "../src/ops/inference/infer.js";
import { runningStatisticsOf } from "../src/ops/operators/batch_normalization.js";
import { simplify } from "../src/ops/passes/simplify.js";
import { imageInput } from "../src/train/forward.js";
import { buildTrainingStep, stepNames, type TrainingStep } from "../src/train/step.js";
import type { CasePhase, CaseTensor, TrainingCase, TrainingOutcome } from "./device_training.js";
import { Network } from "./network.js";
import { randomSource } from "./opcase.js";

const BATCH = 4;
const SIZE = 8;

/** As few different operators as will do: a software adapter takes a second to compile each. */
function network(): Graph {
  const net = new Network(1, [3, SIZE, SIZE]);
  const stem = net.relu(net.norm(net.conv("x", 8, { pad: 1 })));
  const halved = net.op("MaxPool", [stem], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) });
  const down = net.relu(net.norm(net.conv(halved, 8, { pad: 1 })));
  const pooled = net.op("Flatten", [net.op("GlobalAveragePool", [down])], { axis: int(1) });
  return net.graph([net.gemm(pooled, BATCH)]);
}

function randomValues(count: number, seed: number): number[] {
  const next = randomSource(seed);
  return Array.from({ length: count }, () => Math.fround(2 * next() - 1));
}

function stateTensor(network: Graph, name: string, dims: readonly number[]): CaseTensor {
  const tensor = network.initializers.get(name);
  const data =
    tensor === undefined ? new Array<number>(elementCount(dims)).fill(0) : [...float32Data(tensor)];
  return { name, dims, data };
}

/** Steps of coefficients and bases in turn on a small decomposed network, with BatchNormalization and L1. */
export function smallTrainingCase(steps = 3): TrainingCase {
  const decomposed = decompose(simplify(fixBatch(network(), BATCH)), { basis: 5 });
  const trainingCase = trainingCaseOf(decomposed, { steps });
  assert.equal(trainingCase.phases.length, 2);
  return trainingCase;
}

interface CaseSettings {
  readonly steps: number;
  /** Channels of a block of the runtime's blocked layout; default: standard operators. */
  readonly block?: number | undefined;
  /** What is done to a step once it is built, as a training run does `writeInPlace`. */
  readonly finish?: (step: TrainingStep) => TrainingStep;
}

/** Steps of a network's phases in turn on random images, with BatchNormalization and L1. */
export function trainingCaseOf(
  network: Graph,
  { steps, block, finish = (step) => step }: CaseSettings,
): TrainingCase {
  const statistics = runningStatisticsOf(network);
  const alternating = trainingPhases(network, {
    mode: "alternating",
    sparse: { l1: "proximal", masked: false },
    scaleBasisRate: false,
  });
  const names = new Set([...alternating.flatMap(({ trained }) => Object.keys(trained)), ...statistics]);
  const state = new Map<string, CaseTensor>();
  const phases: CasePhase[] = alternating.map(({ trained }) => {
    const built = buildTrainingStep(network, names, {
      trained: new Map(Object.entries(trained)),
      batchNormalization: "batch",
      loss: { crossEntropy: 1, labelSmoothing: 0.1, distillation: 0, temperature: 1 },
      optimizer: { momentum: 0.9, weightDecay: 1e-4 },
      ...(block === undefined ? {} : { block }),
    });
    const step = finish(built);
    const slots = [...step.parameters.values(), ...step.velocities.values(), ...step.statistics.values()];
    const constants = [...step.constants.keys()];
    for (const { input, dims } of slots) state.set(input, stateTensor(network, input, dims));
    for (const name of constants) {
      const dims = network.initializers.get(name)?.dims ?? [];
      state.set(name, stateTensor(network, name, dims));
    }
    return { model: Buffer.from(encodeModel(step.graph)).toString("base64"), slots, constants };
  });
  const { name: images } = imageInput(network);
  const { types } = inferGraph(network);
  const dims = staticDims(types, images);
  const [batch = 0, classes = 0] = network.outputs.slice(0, 1).flatMap(({ name }) => staticDims(types, name));
  return {
    phases,
    steps,
    state: [...state.values()],
    floats: [
      { name: images, dims, data: randomValues(elementCount(dims), 7) },
      { name: stepNames.learningRate, dims: [], data: [0.1] },
      { name: stepNames.l1Strength, dims: [], data: [1e-3] },
    ],
    labels: { name: stepNames.labels, data: Array.from({ length: batch }, (_, index) => index % classes) },
    loss: stepNames.loss,
  };
}

/**
 * Losses to 1e-4 relative, and each value of the state to 1e-3 of its norm: a different device adds up in another
 * order, and a coefficient next to the threshold of the L1 step may end on the other side of it.
 */
export function assertSameTraining(actual: TrainingOutcome, expected: TrainingOutcome): void {
  assert.equal(actual.losses.length, expected.losses.length);
  expected.losses.forEach((loss, index) => {
    const found = actual.losses[index] ?? Number.NaN;
    assert.ok(Math.abs(found - loss) <= 1e-4 * Math.abs(loss), `loss ${index}: ${found}, expected ${loss}`);
  });
  assert.deepEqual(Object.keys(actual.state), Object.keys(expected.state));
  for (const [name, values] of Object.entries(expected.state)) {
    const found = actual.state[name] ?? [];
    assert.equal(found.length, values.length, name);
    const difference = Math.hypot(...values.map((value, index) => value - (found[index] ?? Number.NaN)));
    const norm = Math.hypot(...values);
    assert.ok(difference <= 1e-3 * norm + 1e-6, `${name}: ‖difference‖ ${difference}, ‖expected‖ ${norm}`);
  }
}
