import assert from "node:assert/strict";
import { test } from "node:test";
import { blockSize } from "../../src/execute/block_size.js";
import { runGraph } from "../../src/execute/node.js";
import { attributes, int, ints, text } from "../../src/graph/attributes.js";
import { withInitializers } from "../../src/graph/edit.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Attribute, Graph, Node, Tensor } from "../../src/graph/types.js";
import { formWriters, replaceLayers } from "../../src/layers/forms.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { countGraph } from "../../src/measure/count.js";
import { decompose } from "../../src/method/decompose.js";
import { exportModel } from "../../src/method/export.js";
import { trainability } from "../../src/method/frozen.js";
import { trainableParameters } from "../../src/method/parameters.js";
import { prunableInitializers, pruneCoefficients } from "../../src/method/prune.js";
import { planShrink, shrink } from "../../src/method/shrink.js";
import { verifyTypes } from "../../src/ops/inference/verify.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { node, randomTensor, smallGraph } from "../../support/small_models.js";
import { runTrainingStep, type StepResult, withValues } from "../../support/training_step.js";
import { assertNear } from "../train/support.js";

/** A convolution of the user's, in the middle of a small classifier. */
interface ConvKind {
  readonly what: string;
  /** [K, C / group, ...kernel]. */
  readonly weight: readonly number[];
  readonly groups?: number;
  readonly bias?: boolean;
  /** The same weight once more behind it. */
  readonly twice?: boolean;
  readonly spatial?: readonly number[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Basis kernels asked for; 5 by default. */
  readonly d?: number;
  /** What becomes of its weight: its own basis, pruned as it stands, or left alone. */
  readonly becomes: "decomposed" | "pruned" | "kept";
}

const same = (...pads: number[]): Record<string, Attribute> => ({ pads: ints(pads) });

const kinds: readonly ConvKind[] = [
  { what: "3x3", weight: [8, 4, 3, 3], attributes: same(1, 1, 1, 1), becomes: "decomposed" },
  {
    what: "3x3 with a bias and asymmetric pads",
    weight: [8, 4, 3, 3],
    bias: true,
    attributes: same(0, 2, 1, 0),
    becomes: "decomposed",
  },
  ...["SAME_UPPER", "SAME_LOWER", "VALID"].map(
    (pad): ConvKind => ({
      what: `4x3, stride 2, ${pad}`,
      weight: [8, 4, 4, 3],
      attributes: { auto_pad: text(pad), strides: ints([2, 2]) },
      becomes: "decomposed",
    }),
  ),
  {
    what: "3x3 dilated by 2 and 3",
    weight: [8, 4, 3, 3],
    attributes: { ...same(2, 3, 2, 3), dilations: ints([2, 3]) },
    becomes: "decomposed",
  },
  {
    what: "grouped, 12 outputs per group",
    weight: [24, 2, 3, 3],
    groups: 2,
    attributes: same(1, 1, 1, 1),
    becomes: "decomposed",
  },
  {
    what: "grouped with stride 2 and a bias",
    weight: [24, 2, 3, 3],
    groups: 2,
    bias: true,
    attributes: { ...same(1, 0, 1, 0), strides: ints([2, 1]) },
    becomes: "decomposed",
  },
  { what: "grouped, 2 outputs per group", weight: [4, 2, 3, 3], groups: 2, becomes: "pruned" },
  { what: "depthwise", weight: [4, 1, 3, 3], groups: 4, attributes: same(1, 1, 1, 1), becomes: "kept" },
  { what: "depthwise with a multiplier of 3", weight: [12, 1, 3, 3], groups: 4, bias: true, becomes: "kept" },
  { what: "1x3", weight: [8, 4, 1, 3], attributes: same(0, 1, 0, 1), becomes: "pruned" },
  { what: "7x1", weight: [8, 4, 7, 1], attributes: same(3, 0, 3, 0), d: 3, becomes: "decomposed" },
  { what: "5x5", weight: [8, 4, 5, 5], attributes: same(2, 2, 2, 2), becomes: "decomposed" },
  {
    what: "7x7, stride 2",
    weight: [8, 4, 7, 7],
    attributes: { ...same(3, 3, 3, 3), strides: ints([2, 2]) },
    becomes: "decomposed",
  },
  {
    what: "11x11, stride 4",
    weight: [8, 4, 11, 11],
    spatial: [19, 15],
    attributes: { ...same(2, 2, 2, 2), strides: ints([4, 4]) },
    becomes: "decomposed",
  },
  { what: "one weight in two nodes", weight: [4, 4, 3, 3], twice: true, d: 3, becomes: "decomposed" },
  { what: "fewer outputs than basis kernels", weight: [3, 4, 3, 3], becomes: "pruned" },
  {
    what: "one dimension, grouped, asymmetric",
    weight: [8, 2, 7],
    groups: 2,
    bias: true,
    spatial: [21],
    attributes: { ...same(3, 1), strides: ints([2]), dilations: ints([1]) },
    becomes: "pruned",
  },
  {
    what: "one dimension, SAME_LOWER",
    weight: [8, 4, 4],
    spatial: [20],
    attributes: { auto_pad: text("SAME_LOWER"), strides: ints([3]) },
    becomes: "pruned",
  },
];

const CLASSES = 3;
const BATCH = 4;

/** Conv 1x1 - Relu - the convolution - Relu - global mean - Gemm, without any BatchNormalization. */
function network(kind: ConvKind): Graph {
  const { weight, groups = 1, spatial = [9, 8] } = kind;
  const [outputs = 0, perGroup = 0, ...kernel] = weight;
  const inputs = perGroup * groups;
  const convNode = (input: string, output: string): Node => ({
    name: `${output}/Conv`,
    op: "Conv",
    domain: "",
    inputs: [input, "w", ...(kind.bias === true ? ["b"] : [])],
    outputs: [output],
    attributes: attributes({ kernel_shape: ints(kernel), group: int(groups), ...kind.attributes }),
  });
  const convs = kind.twice === true ? [convNode("r", "k1"), convNode("k1", "k")] : [convNode("r", "k")];
  return smallGraph(
    ["N", 2, ...spatial],
    [
      node("Conv", ["x", "w0"], "c"),
      node("Relu", ["c"], "r"),
      ...convs,
      node("Relu", ["k"], "s"),
      node("GlobalAveragePool", ["s"], "p"),
      node("Flatten", ["p"], "f"),
      node("Gemm", ["f", "wfc"], "y"),
    ],
    {
      w0: randomTensor([inputs, 2, ...spatial.map(() => 1)], 1),
      w: randomTensor(weight, 2),
      ...(kind.bias === true ? { b: randomTensor([outputs], 3) } : {}),
      wfc: randomTensor([outputs, CLASSES], 4),
    },
  );
}

async function run(graph: Graph, x: Tensor): Promise<Float32Array> {
  const y = (await runGraph(graph, new Map([["x", x]]))).get("y");
  assert(y !== undefined);
  return float32Data(y);
}

const RATE = 1e-3;

async function step(graph: Graph, x: Tensor, block?: number): Promise<StepResult> {
  const rule = { l1: "none", masked: false, rate: 1 } as const;
  const names = [...trainableParameters(graph).keys()];
  return runTrainingStep(
    fixBatch(graph, BATCH),
    {
      trained: new Map(names.map((name) => [name, rule])),
      optimizer: { momentum: 0, weightDecay: 0 },
      learningRate: RATE,
      l1Strength: 0,
      batchNormalization: "frozen",
      ...(block === undefined ? {} : { block }),
    },
    { images: x, labels: [0, 1, 2, 1] },
    { velocities: new Map() },
  );
}

/** Central difference of the loss along the gradient, which must be the gradient's norm (5 %). */
async function checkGradient(graph: Graph, x: Tensor): Promise<StepResult> {
  const taken = await step(graph, x);
  const moved = (factor: number): Graph =>
    withValues(
      graph,
      new Map(
        [...taken.parameters].map(([name, after]) => {
          const before = float32Data(graph.initializers.get(name) ?? float32Tensor([0], []));
          return [name, before.map((value, index) => value + factor * (value - (after[index] ?? NaN)))];
        }),
      ),
    );
  const names = [...taken.parameters.keys()];
  const square = names.reduce((sum, name) => {
    const before = float32Data(graph.initializers.get(name) ?? float32Tensor([0], []));
    const after = taken.parameters.get(name) ?? new Float32Array();
    return (
      sum + before.reduce((total, value, index) => total + ((value - (after[index] ?? NaN)) / RATE) ** 2, 0)
    );
  }, 0);
  const length = 0.01 / Math.sqrt(square);
  const [above, below] = [await step(moved(length / RATE), x), await step(moved(-length / RATE), x)];
  const slope = (above.loss - below.loss) / (2 * length);
  assert(Math.abs(slope - square) <= 0.05 * square, `slope ${slope}, squared norm ${square}`);
  return taken;
}

/** The pruned network with an input and an output channel of the convolution (a group of each) made dead. */
function withDeadChannels(graph: Graph, { weight, groups = 1 }: ConvKind): Graph {
  const [outputs = 0, perGroup = 0] = weight;
  const first = graph.initializers.get("w0") ?? float32Tensor([0], []);
  const last = graph.initializers.get("wfc") ?? float32Tensor([0], []);
  const dead = (tensor: Tensor, upTo: number): Tensor =>
    float32Tensor(
      tensor.dims,
      float32Data(tensor).map((value, index) => (index < upTo ? 0 : value)),
    );
  return withInitializers(graph, [
    ["w0", dead(first, groups === 1 ? 2 : 2 * perGroup)],
    ["wfc", dead(last, CLASSES * (groups === 1 ? 1 : outputs / groups))],
  ]);
}

const block = await blockSize();

for (const kind of kinds) {
  test(`${kind.what}: decomposed, trained, pruned, shrunk and exported`, async () => {
    const x = randomTensor([BATCH, 2, ...(kind.spatial ?? [9, 8])], 7);
    const original = simplify(network(kind));
    const decomposed = decompose(original, { basis: kind.d ?? 5 });
    verifyTypes(decomposed);
    assert.equal(findDecompositions(decomposed).length > 0, kind.becomes === "decomposed");
    const prunable = { decomposed: "w.coefs", pruned: "w", kept: undefined }[kind.becomes];
    assert.deepEqual(
      prunableInitializers(decomposed),
      ["w0", prunable].filter((name) => name !== undefined),
    );

    const taken = await checkGradient(decomposed, x);
    if (block !== undefined) {
      const blocked = await step(decomposed, x, block);
      for (const [name, values] of taken.parameters)
        assertNear(blocked.parameters.get(name) ?? [], values, 1e-5, name);
    }

    const pruned = pruneCoefficients(decomposed, { factor: 0.5 }).graph;
    const counts = [original, decomposed, pruned].map((graph) => countGraph(fixBatch(graph, 1)));
    const [dense, , sparse] = counts.map(({ paperMacs }) => paperMacs);
    assert((sparse ?? 0) < (dense ?? 0), `${sparse} of ${dense}`);
    for (const count of counts) assert.equal(count.executedMacs, dense);

    const dying = withDeadChannels(pruned, kind);
    const removed = planShrink(dying).layers.filter(
      ({ before, keptInputs, keptOutputs }) => keptInputs < before.inputs || keptOutputs < before.outputs,
    );
    // Two layers in a row that share a weight tie each channel to all of its places.
    assert(kind.twice === true || removed.length >= 2, "nothing is removed");
    const wanted = await run(dying, x);
    const shrunk = shrink(dying);
    verifyTypes(shrunk);
    assertNear(await run(shrunk, x), wanted, 1e-5, "shrunk");
    for (const form of ["merged", "dense", "factored"] as const) {
      const layers = findDecompositions(shrunk);
      const written = replaceLayers(
        shrunk,
        new Map(layers.map((layer) => [layer.conv, formWriters[form](shrunk, layer)])),
      );
      verifyTypes(written);
      assertNear(await run(written, x), wanted, 1e-5, form);
    }
    assertNear(await run((await exportModel(shrunk)).graph, x), wanted, 1e-5, "exported");
  });
}

test("a three-dimensional convolution is pruned, shrunk and exported; no gradient reaches its weight", async () => {
  const kind: ConvKind = { what: "3-D", weight: [8, 4, 3, 2, 3], spatial: [4, 5, 6], becomes: "pruned" };
  const original = simplify(network(kind));
  const decomposed = decompose(original, { basis: 2 });
  assert.deepEqual(prunableInitializers(decomposed), ["w0", "w"]);
  const dying = withDeadChannels(pruneCoefficients(decomposed, { factor: 0.5 }).graph, kind);
  const x = randomTensor([2, 2, 4, 5, 6], 7);
  const wanted = await run(dying, x);
  const shrunk = shrink(dying);
  assert.ok((shrunk.initializers.get("w")?.dims[0] ?? 8) < 8);
  assertNear(await run((await exportModel(shrunk)).graph, x), wanted, 1e-5, "exported");
  const { frozen, blockades } = trainability(original, ["y"]);
  assert.deepEqual([...frozen], ["w0", "w"]);
  assert.match(
    blockades[0]?.reason.message ?? "",
    /"k\/Conv" \(Conv\): gradients exist for convolutions over one or two/,
  );
});

test("several inputs and outputs: decomposed, pruned, shrunk and exported", async () => {
  const type = (...shape: (number | string)[]) => ({ elementType: "float32" as const, shape });
  const graph: Graph = {
    ...smallGraph(
      ["N", 2, 8, 8],
      [
        node("Conv", ["x", "w0"], "c"),
        node("Mul", ["c", "gain"], "g"),
        node("Conv", ["g", "w"], "k"),
        node("Conv", ["g", "v"], "h"),
        node("GlobalMaxPool", ["h"], "y"),
      ],
      {
        w0: randomTensor([6, 2, 3, 3], 1),
        w: randomTensor([8, 6, 3, 3], 2),
        v: randomTensor([5, 6, 3, 3], 3),
      },
    ),
    inputs: [
      { name: "x", type: type("N", 2, 8, 8) },
      { name: "gain", type: type("N", 1, 1, 1) },
    ],
    outputs: ["k", "y"].map((name) => ({ name, type: undefined })),
  };
  const decomposed = decompose(simplify(graph), { basis: 3 });
  assert.equal(findDecompositions(decomposed).length, 3);
  const pruned = pruneCoefficients(decomposed, { factor: 0.8 }).graph;
  const dead = float32Data(pruned.initializers.get("w0.coefs") ?? float32Tensor([0], [])).map(
    (value, index) => (index < 6 ? 0 : value),
  );
  const dying = withInitializers(pruned, [["w0.coefs", float32Tensor([6, 2, 3], dead)]]);
  const feeds = new Map([
    ["x", randomTensor([2, 2, 8, 8], 4)],
    ["gain", randomTensor([2, 1, 1, 1], 5)],
  ]);
  const wanted = await runGraph(dying, feeds);
  const shrunk = shrink(dying);
  assert.equal(shrunk.initializers.get("w0.coefs")?.dims[0], 5);
  const { graph: exported } = await exportModel(shrunk);
  assert.deepEqual(
    exported.inputs.map(({ name }) => name),
    ["x", "gain"],
  );
  const found = await runGraph(exported, feeds);
  for (const [name, tensor] of wanted)
    assertNear(float32Data(found.get(name) ?? tensor), float32Data(tensor), 1e-5, name);
  assert.equal(found.size, 2);
});
