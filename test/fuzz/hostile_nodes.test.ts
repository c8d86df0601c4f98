import assert from "node:assert/strict";
import { test } from "node:test";
import { int, ints, text } from "../../src/graph/attributes.js";
import { float32Tensor, int64Tensor } from "../../src/graph/tensor.js";
import type { Graph, Node, Tensor } from "../../src/graph/types.js";
import { shrink } from "../../src/method/shrink.js";
import { inferGraph } from "../../src/ops/inference/infer.js";
import { buildTrainingStep } from "../../src/train/step.js";
import { conv, node, randomTensor, smallGraph } from "../../support/small_models.js";
import { refused } from "./refused.js";

// Nodes whose inputs do not fit their operator, or whose gradients would not fit into memory.

/** Conv - BatchNormalization, the parameters of which can be replaced. */
function normalized(changes: Readonly<Record<string, Tensor>>): Graph {
  const vector = (value: number): Tensor => float32Tensor([4], new Float32Array(4).fill(value));
  return smallGraph(
    [2, 2, 8, 8],
    [
      conv({ name: "c", input: "x", weight: "w", bias: "b", kernel: 3 }),
      node("BatchNormalization", ["c", "gamma", "beta", "mean", "variance"], "y"),
    ],
    {
      w: randomTensor([4, 2, 3, 3], 1),
      b: vector(0),
      gamma: vector(1),
      beta: vector(0),
      mean: vector(0),
      variance: vector(1),
      ...changes,
    },
  );
}

for (const name of ["b", "gamma", "beta", "mean", "variance"]) {
  for (const dims of [[], [0], [3], [1, 4]]) {
    test(`a parameter per channel of shape [${dims}] in place of [4] is refused: ${name}`, () => {
      const wrong = randomTensor(dims, 2);
      const message = /does not hold one number per channel: expected \[4\]/;
      assert.throws(() => inferGraph(normalized({ [name]: wrong })), refused("shape", message));
    });
  }
}

test("parameters per channel of the right shape are accepted", () => {
  assert.deepEqual(inferGraph(normalized({})).types.get("y")?.shape, [2, 4, 8, 8]);
});

/** A node over x [2, 4, 6, 6] whose second and third input have these shapes, and what is wrong with them. */
const misfits: Readonly<Record<string, readonly [string, number[], number[], RegExp]>> = {
  "a PRelu slope that enlarges the result": ["PRelu", [3, 2, 4, 6, 6], [], /does not broadcast/],
  "a LayerNormalization scale of another size": ["LayerNormalization", [5], [6], /does not broadcast/],
  "a LayerNormalization bias that enlarges the result": [
    "LayerNormalization",
    [6],
    [3, 1, 1, 1, 6],
    /does not broadcast/,
  ],
  "an InstanceNormalization scale of another size": ["InstanceNormalization", [3], [4], /one number per ch/],
  "an InstanceNormalization bias of another size": ["InstanceNormalization", [4], [1], /one number per ch/],
  "a GroupNormalization bias of another size": ["GroupNormalization", [2], [4], /vectors of the same length/],
  "a ConvTranspose weight for other channels": ["ConvTranspose", [3, 2, 3, 3], [2], /channels of the input/],
  "a ConvTranspose bias of another size": ["ConvTranspose", [4, 2, 3, 3], [3], /one number per channel/],
};

for (const [name, [op, second, third, message]] of Object.entries(misfits)) {
  test(`${name} is refused`, () => {
    const inputs = op === "PRelu" ? ["x", "p"] : ["x", "p", "q"];
    const graph = smallGraph([2, 4, 6, 6], [node(op, inputs, "y")], {
      p: randomTensor(second, 1),
      q: randomTensor(third, 1),
    });
    assert.throws(() => inferGraph(graph), refused("shape", message));
  });
}

for (const dims of [
  [3, 10],
  [2, 5],
  [6, 4, 3, 1],
  [1, 1, 10],
]) {
  test(`a Gemm bias of shape [${dims}] for a result of [2, 10] is refused`, () => {
    const graph = smallGraph([2, 6], [node("Gemm", ["x", "w", "b"], "y")], {
      w: randomTensor([6, 10], 1),
      b: randomTensor(dims, 1),
    });
    assert.throws(() => inferGraph(graph), refused("shape", /does not broadcast/));
  });
}

for (const dims of [[], [1], [10], [2, 1], [1, 10], [2, 10]]) {
  test(`a Gemm bias of shape [${dims}] for a result of [2, 10] is accepted`, () => {
    const graph = smallGraph([2, 6], [node("Gemm", ["x", "w", "b"], "y")], {
      w: randomTensor([6, 10], 1),
      b: randomTensor(dims, 1),
    });
    assert.deepEqual(inferGraph(graph).types.get("y")?.shape, [2, 10]);
  });
}

const required: Readonly<Record<string, number>> = {
  BatchNormalization: 5,
  InstanceNormalization: 3,
  GroupNormalization: 3,
  LayerNormalization: 2,
  PRelu: 2,
  MatMul: 2,
  Gemm: 2,
  ConvTranspose: 2,
};

for (const [op, count] of Object.entries(required)) {
  test(`a ${op} without one of its ${count} inputs is refused`, () => {
    for (let omitted = 0; omitted < count; omitted += 1) {
      const inputs = Array.from({ length: count }, (_, index): string => (index === 0 ? "x" : "p"));
      const graph = smallGraph([4, 4], [node(op, inputs.with(omitted, ""), "y")], {
        p: randomTensor([4], 1),
      });
      assert.throws(() => inferGraph(graph), refused("shape", new RegExp(`input ${omitted}`)));
    }
  });
}

for (const op of ["BatchNormalization", "Relu"]) {
  test(`a ${op} of 3,000 outputs is refused, and shrinking ends`, () => {
    const whole = normalized({});
    const outputs = Array.from({ length: 3000 }, (_, index) => (index === 0 ? "y" : `extra${index}`));
    const named = whole.nodes.map((each) => (each.op === op ? { ...each, outputs } : each));
    const relu = { ...node("Relu", ["c"], "y"), outputs };
    const graph = { ...whole, nodes: op === "Relu" ? [...whole.nodes.slice(0, 1), relu] : named };
    assert.throws(() => shrink(graph), refused("shape", /more outputs than its operator/));
  });
}

/** The training step of a network, of whose weights "w" is trained. */
function trainingStepOf(network: Graph, batchNormalization: "batch" | "frozen" = "frozen"): void {
  buildTrainingStep(network, new Set(["w"]), {
    trained: new Map([["w", { l1: "none", masked: false, rate: 1 }]] as const),
    batchNormalization,
    loss: { crossEntropy: 1, labelSmoothing: 0, distillation: 0, temperature: 1 },
    optimizer: { momentum: 0.9, weightDecay: 0 },
  });
}

const normalizationInputs = ["c", "gamma", "beta", "mean", "variance"];

for (const [index, name] of normalizationInputs.entries()) {
  test(`a BatchNormalization without its input "${name}" is refused in training, too`, () => {
    const whole = normalized({});
    const normalization = node("BatchNormalization", normalizationInputs.with(index, ""), "n");
    const nodes = [...whole.nodes.slice(0, 1), normalization, node("Flatten", ["n"], "y")];
    const build = () => trainingStepOf({ ...whole, nodes }, "batch");
    assert.throws(build, refused("bad-model", /an input or output is missing/));
  });
}

const SAME = { auto_pad: text("SAME_UPPER") };

/** A node that reads a trained convolution's [1, 2, 8, 8], called "c", and what its gradient says. */
const endless: Readonly<Record<string, readonly [Node, Readonly<Record<string, Tensor>>, RegExp]>> = {
  "an average over a window of 2^40 elements": [
    node("AveragePool", ["c"], "z", { kernel_shape: ints([2 ** 40, 1]), ...SAME }),
    {},
    /too large a constant/,
  ],
  "maxima of windows that overlap 2^22 times": [
    node("MaxPool", ["t"], "z", { kernel_shape: ints([2 ** 22, 1]), ...SAME }),
    { repeats: int64Tensor([4], [1, 1, 2 ** 40, 1]) },
    /overlap as much as this/,
  ],
  "an image enlarged 2^40 times": [
    node("Resize", ["c", "", "p"], "z"),
    { p: float32Tensor([4], [1, 1, 1, 2 ** 40]) },
    /axes as long as this/,
  ],
  "an edge of 2^40 elements": [
    node("Pad", ["c", "p"], "z", { mode: text("edge") }),
    { p: int64Tensor([8], [0, 0, 0, 0, 0, 0, 2 ** 40, 0]) },
    /axes as long as this/,
  ],
  "one of 2^40 rows": [
    node("Gather", ["t", "p"], "z", { axis: int(2) }),
    { p: int64Tensor([1], [5]), repeats: int64Tensor([4], [1, 1, 2 ** 40, 1]) },
    /axes as long as this/,
  ],
  "one of 2^40 rows, twice": [
    node("Gather", ["t", "p"], "z", { axis: int(2) }),
    { p: int64Tensor([2], [5, 5]), repeats: int64Tensor([4], [1, 1, 2 ** 40, 1]) },
    /too large a constant/,
  ],
};

for (const [name, [last, parameters, message]] of Object.entries(endless)) {
  test(`the gradient of ${name} is refused`, () => {
    const layer = conv({ name: "c", input: "x", weight: "w", kernel: 3 });
    const tile = "repeats" in parameters ? [node("Tile", ["c", "repeats"], "t")] : [];
    const graph = smallGraph([1, 2, 8, 8], [layer, ...tile, last, node("Flatten", ["z"], "y")], {
      w: randomTensor([2, 2, 3, 3], 1),
      ...parameters,
    });
    assert.throws(() => trainingStepOf(graph), refused("unsupported", message));
  });
}

test("the gradient of a kernel of 9,000 taps, which would need 81 million numbers, is refused", () => {
  const layer = node("Conv", ["x", "w"], "c", { kernel_shape: ints([1, 9000]) });
  const graph = smallGraph([1, 1, 1, 9001], [layer, node("Flatten", ["c"], "y")], {
    w: randomTensor([2, 1, 1, 9000], 1),
  });
  assert.throws(() => trainingStepOf(graph), refused("unsupported", /too large a constant/));
});
