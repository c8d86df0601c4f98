import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { runGraph } from "../../src/execute/node.js";
import { float, int, ints, tensor } from "../../src/graph/attributes.js";
import { fixBatch, fixInputShape, specializeInputs } from "../../src/graph/passes/fix_input_shape.js";
import { removeDeadNodes } from "../../src/graph/passes/remove_dead_nodes.js";
import { topologicalSort } from "../../src/graph/passes/topological_sort.js";
import { float32Data, float32Tensor, int64Tensor } from "../../src/graph/tensor.js";
import type { Graph, Shape, Tensor } from "../../src/graph/types.js";
import { decodeModel } from "../../src/onnx/read.js";
import { inferGraph } from "../../src/ops/inference/infer.js";
import { verifyTypes } from "../../src/ops/inference/verify.js";
import { canonicalReshapes } from "../../src/ops/passes/canonical_reshapes.js";
import { foldBatchNormalization } from "../../src/ops/passes/fold_batch_normalization.js";
import { foldConstants } from "../../src/ops/passes/fold_constants.js";
import { removeIdentities } from "../../src/ops/passes/remove_identities.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { filled, graphOf, growthCount, nodeOf, randomGraph } from "../../support/random_graph.js";
import { sharedPath, withoutShared } from "../../support/shared.js";

const value = (name: string, ...shape: Shape) => ({ name, type: { elementType: "float32" as const, shape } });
const open = (...names: string[]) => names.map((name) => ({ name, type: undefined }));
const opsOf = (graph: Graph) => graph.nodes.map((node) => node.op);

function histogram(graph: Graph): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const op of opsOf(graph)) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

/** Outputs of a graph with one float32 input; the runtime's own rewriting off, so that bits can be compared. */
async function outputsOf(graph: Graph, input: Tensor): Promise<readonly Tensor[]> {
  const [{ name } = { name: "" }] = graph.inputs;
  const outputs = await runGraph(graph, new Map([[name, input]]), { optimization: "disabled" });
  return graph.outputs.map((output) => outputs.get(output.name) ?? assert.fail(`no output ${output.name}`));
}

async function assertSame(found: Graph, expected: Graph, input: Tensor): Promise<void> {
  assert.deepEqual(await outputsOf(found, input), await outputsOf(expected, input));
}

/** Largest difference of any output element, relative to the largest element (or 1). */
async function difference(found: Graph, expected: Graph, input: Tensor): Promise<number> {
  const references = await outputsOf(expected, input);
  const differences = (await outputsOf(found, input)).map((output, index) => {
    const reference = float32Data(references[index] ?? output);
    const scale = reference.reduce((largest, element) => Math.max(largest, Math.abs(element)), 1);
    return float32Data(output).reduce(
      (largest, element, at) => Math.max(largest, Math.abs(element - (reference[at] ?? NaN)) / scale),
      0,
    );
  });
  return Math.max(...differences);
}

const steps = fc.array(fc.record({ kind: fc.nat(growthCount - 1), first: fc.nat(50), second: fc.nat(50) }), {
  minLength: 1,
  maxLength: 12,
});

test("simplified random graphs compute bit-identical outputs", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (drawn) => {
      const graph = randomGraph(drawn);
      const simple = simplify(graph, { verify: true });
      await assertSame(simple, graph, filled(2, 3, 6, 5));
      assert.equal(simplify(simple), simple);
    }),
    { numRuns: 60, seed: 20200713 },
  );
});

test("folding BatchNormalization in random graphs keeps the outputs to 1e-5", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (drawn) => {
      const graph = randomGraph([...drawn, { kind: 0, first: drawn.length, second: 3 }]);
      const folded = foldBatchNormalization(simplify(graph));
      verifyTypes(folded);
      const found = await difference(folded, graph, filled(2, 3, 6, 5));
      assert.ok(found <= 1e-5, `difference ${found}`);
    }),
    { numRuns: 30, seed: 20200713 },
  );
});

const resnet20 = "models/resnet20.onnx";

test("resnet20 keeps only nodes that compute something", { skip: withoutShared(resnet20) }, async () => {
  const graph = decodeModel(readFileSync(sharedPath(resnet20)));
  const simple = simplify(graph, { verify: true });
  assert.deepEqual(histogram(simple), {
    Conv: 19,
    BatchNormalization: 19,
    Relu: 19,
    Add: 9,
    Slice: 2,
    Pad: 2,
    AveragePool: 1,
    Reshape: 1,
    Gemm: 1,
  });
  assert.equal(inferGraph(simple).types.get("logits")?.shape?.[0], "batch");
  await assertSame(simple, graph, filled(2, 3, 32, 32));
});

for (const name of ["resnet20_folded", "resnet56", "zoo/mobilenet_v2_w025", "zoo/densenet_tiny"]) {
  const file = `models/${name}.onnx`;
  test(`${name} computes the same, simplified and folded`, { skip: withoutShared(file) }, async () => {
    const graph = decodeModel(readFileSync(sharedPath(file)));
    const simple = simplify(graph, { verify: true });
    assert.equal(histogram(simple).Constant, undefined);
    const shape = graph.inputs[0]?.type?.shape?.slice(1).map(Number) ?? [];
    const input = filled(2, ...shape);
    await assertSame(simple, graph, input);
    const found = await difference(foldBatchNormalization(simple), graph, input);
    assert.ok(found <= 1e-5, `difference ${found}`);
  });
}

const zoo = ["mobilenet_v2_w025", "squeezenet1_1", "shufflenet_v2_x0_5", "densenet_tiny"];
for (const name of zoo) {
  const file = `models/zoo/${name}`;
  test(`${name}, simplified, computes what PyTorch computed`, {
    skip: withoutShared(`${file}.onnx`),
  }, async () => {
    const graph = simplify(decodeModel(readFileSync(sharedPath(`${file}.onnx`))), { verify: true });
    const soup = ["Constant", "Shape", "Gather", "Cast", "Identity", "Unsqueeze", "Mul", "Div"];
    assert.deepEqual(
      soup.filter((op) => opsOf(graph).includes(op)),
      [],
    );
    const shape = graph.inputs[0]?.type?.shape?.slice(1).map(Number) ?? [];
    const floatsOf = (suffix: string, dims: readonly number[]): Tensor => ({
      type: "float32",
      dims,
      bytes: readFileSync(sharedPath(`${file}.${suffix}.f32`)),
    });
    const [output] = await outputsOf(graph, floatsOf("input", [2, ...shape]));
    assert.ok(output);
    const expected = float32Data(floatsOf("output", output.dims));
    float32Data(output).forEach((element, index) => {
      assert.ok(Math.abs(element - (expected[index] ?? NaN)) <= 1e-4, `output ${index}`);
    });
  });
}

test("dead nodes, initializers and declared types go; what a subgraph captures stays", () => {
  const live = graphOf({
    inputs: [value("x", 2)],
    outputs: open("y"),
    nodes: [
      nodeOf("Relu", ["x"], ["captured"]),
      {
        ...nodeOf("If", ["x"], ["y"]),
        attributes: new Map([
          ["then_branch", { kind: "opaque", value: undefined, captures: ["captured", "w"] }],
        ]),
      },
    ],
    initializers: new Map([["w", filled(2)]]),
    valueInfo: new Map([["captured", value("captured", 2)]]),
  });
  assert.equal(removeDeadNodes(live), live);
  const cluttered = {
    ...live,
    nodes: [nodeOf("Add", ["x", "unused"], ["dead"]), ...live.nodes, nodeOf("Relu", ["dead"], ["deader"])],
    initializers: new Map([...live.initializers, ["unused", filled(2)]]),
    valueInfo: new Map([...live.valueInfo, ["dead", value("dead", 2)]]),
  };
  assert.deepEqual(removeDeadNodes(cluttered), live);
});

test("a chain of identities between an input and two outputs keeps their names", async () => {
  const graph = graphOf({
    inputs: [value("x", "n", 3)],
    outputs: open("a", "b", "c"),
    nodes: [
      nodeOf("Identity", ["x"], ["a"]),
      nodeOf("Relu", ["a"], ["inner"]),
      nodeOf("Identity", ["inner"], ["b"]),
      nodeOf("Dropout", ["b"], ["c"]),
    ],
  });
  const found = removeIdentities(graph);
  assert.deepEqual(opsOf(found), ["Identity", "Relu", "Dropout"]);
  await assertSame(found, graph, filled(2, 3));
});

test("Dropout stays where its mask is read or it trains, Cast where it converts", () => {
  const training = new Map([["train", { type: "bool" as const, dims: [], bytes: Uint8Array.of(1) }]]);
  const graph = graphOf({
    inputs: [value("x", 2)],
    outputs: open("m", "t", "c"),
    nodes: [
      nodeOf("Dropout", ["x"], ["d", "mask"]),
      nodeOf("Not", ["mask"], ["m"]),
      nodeOf("Dropout", ["x", "", "train"], ["e"]),
      nodeOf("Relu", ["e"], ["t"]),
      nodeOf("Cast", ["x"], ["i"], { to: int(7) }),
      nodeOf("Neg", ["i"], ["c"]),
    ],
    initializers: training,
  });
  assert.equal(removeIdentities(graph), graph);
});

test("rearranged weights become constants whatever their size", async () => {
  const weight = filled(70, 80);
  const graph = graphOf({
    inputs: [value("x", 2, 70)],
    outputs: open("y"),
    nodes: [
      nodeOf("Identity", ["w"], ["alias"]),
      nodeOf("Transpose", ["alias"], ["turned"]),
      nodeOf("Unsqueeze", ["turned", "zero"], ["wide"]),
      nodeOf("Transpose", ["wide"], ["back"], { perm: ints([0, 2, 1]) }),
      nodeOf("MatMul", ["x", "back"], ["y"]),
    ],
    initializers: new Map([
      ["w", weight],
      ["zero", int64Tensor([1], [0])],
    ]),
  });
  const folded = simplify(graph, { verify: true });
  assert.deepEqual(opsOf(folded), ["MatMul"]);
  await assertSame(folded, graph, filled(2, 70));
});

test("a constant that is a graph output keeps its node; generated constants stay small", () => {
  const graph = graphOf({
    outputs: open("y", "z"),
    nodes: [
      nodeOf("Constant", [], ["y"], { value: tensor(filled(2)) }),
      nodeOf("ConstantOfShape", ["huge"], ["zeros"]),
      nodeOf("Relu", ["zeros"], ["z"]),
    ],
    initializers: new Map([["huge", int64Tensor([2], [2 ** 20, 2 ** 20])]]),
  });
  assert.equal(foldConstants(graph), graph);
});

test("a chain of reshapes becomes one that keeps the batch dynamic", async () => {
  const graph = graphOf({
    inputs: [value("x", "n", 4, 1, 3)],
    outputs: open("y"),
    nodes: [
      nodeOf("Squeeze", ["x", "two"], ["squeezed"]),
      nodeOf("Flatten", ["squeezed"], ["flat"]),
      nodeOf("Unsqueeze", ["flat", "two"], ["y"]),
    ],
    initializers: new Map([["two", int64Tensor([1], [2])]]),
  });
  const found = removeDeadNodes(canonicalReshapes(graph));
  assert.deepEqual(opsOf(found), ["Reshape"]);
  await assertSame(found, graph, filled(2, 4, 1, 3));
});

const statistics = new Map([
  ["gamma", filled(4)],
  ["beta", filled(4)],
  ["mean", float32Tensor([4], [0.5, -1, 2, 0])],
  ["variance", float32Tensor([4], [0.5, 1, 2, 3])],
]);
const normalize = (x: string, y: string, extra: Parameters<typeof nodeOf>[3] = {}) =>
  nodeOf("BatchNormalization", [x, "gamma", "beta", "mean", "variance"], [y], {
    epsilon: float(0.1),
    ...extra,
  });

const foldable: readonly [what: string, graph: Graph, input: Tensor][] = [
  [
    "a grouped Conv without bias",
    graphOf({
      inputs: [value("x", "n", 2, 5, 5)],
      nodes: [nodeOf("Conv", ["x", "w"], ["c"], { group: int(2) }), normalize("c", "y")],
      initializers: new Map([...statistics, ["w", filled(4, 1, 3, 3)]]),
    }),
    filled(2, 2, 5, 5),
  ],
  [
    "a grouped ConvTranspose",
    graphOf({
      inputs: [value("x", "n", 6, 3, 3)],
      nodes: [nodeOf("ConvTranspose", ["x", "w", "b"], ["c"], { group: int(2) }), normalize("c", "y")],
      initializers: new Map([...statistics, ["w", filled(6, 2, 2, 2)], ["b", filled(4)]]),
    }),
    filled(2, 6, 3, 3),
  ],
  [
    "a Gemm with a scalar bias",
    graphOf({
      inputs: [value("x", "n", 3)],
      nodes: [nodeOf("Gemm", ["x", "w", "b"], ["c"], { alpha: float(0.5) }), normalize("c", "y")],
      initializers: new Map([...statistics, ["w", filled(3, 4)], ["b", filled(1)]]),
    }),
    filled(2, 3),
  ],
  [
    "a Gemm with a transposed weight",
    graphOf({
      inputs: [value("x", "n", 3)],
      nodes: [nodeOf("Gemm", ["x", "w"], ["c"], { transB: int(1) }), normalize("c", "y")],
      initializers: new Map([...statistics, ["w", filled(4, 3)]]),
    }),
    filled(2, 3),
  ],
];

for (const [what, parts, input] of foldable) {
  test(`BatchNormalization folds into ${what}`, async () => {
    const graph = { ...parts, outputs: open("y") };
    const folded = foldBatchNormalization(graph);
    assert.equal(folded.nodes.length, 1);
    const found = await difference(folded, graph, input);
    assert.ok(found <= 1e-6, `difference ${found}`);
  });
}

const conv = nodeOf("Conv", ["x", "w"], ["c"]);
const withConv = (parts: Partial<Graph>) =>
  graphOf({
    inputs: [value("x", "n", 2, 3, 3)],
    outputs: open("y"),
    initializers: new Map([...statistics, ["w", filled(4, 2, 1, 1)]]),
    ...parts,
  });

test("a weight that two convolutions share is copied for the folded one", async () => {
  const graph = withConv({
    outputs: open("y", "d"),
    nodes: [conv, normalize("c", "y"), nodeOf("Conv", ["x", "w"], ["d"])],
  });
  const folded = foldBatchNormalization(graph);
  assert.deepEqual(opsOf(folded), ["Conv", "Conv"]);
  assert.ok((await difference(folded, graph, filled(1, 2, 3, 3))) <= 1e-6);
});

test("BatchNormalization stays where it cannot fold exactly", () => {
  const unfoldable = [
    withConv({ nodes: [conv, normalize("c", "y"), nodeOf("Relu", ["c"], ["r"])], outputs: open("y", "r") }),
    withConv({ nodes: [conv, normalize("c", "y")], outputs: open("y", "c") }),
    withConv({ nodes: [conv, normalize("c", "y", { training_mode: int(1) })] }),
    withConv({ nodes: [conv, nodeOf("Relu", ["c"], ["r"]), normalize("r", "y")] }),
    // The weight is fed, not stored.
    withConv({ nodes: [conv, normalize("c", "y")], initializers: statistics }),
  ];
  for (const graph of unfoldable) assert.equal(foldBatchNormalization(graph), graph);
});

test("nodes are sorted, and a circle is refused", () => {
  const nodes = [
    nodeOf("Relu", ["x"], ["a"]),
    nodeOf("Relu", ["a"], ["b"]),
    nodeOf("Add", ["a", "b"], ["y"]),
  ];
  const graph = graphOf({ inputs: [value("x", 2)], outputs: open("y"), nodes });
  assert.equal(topologicalSort(graph), graph);
  assert.deepEqual(topologicalSort({ ...graph, nodes: nodes.toReversed() }), graph);
  const circle = [nodeOf("Add", ["x", "y"], ["a"]), nodeOf("Relu", ["a"], ["y"])];
  assert.throws(
    () => topologicalSort({ ...graph, nodes: circle }),
    /"a\/Add" \(Add\): nodes depend on each other/,
  );
});

test("fixing the batch makes every shape static", { skip: withoutShared(resnet20) }, () => {
  const fixed = fixBatch(simplify(decodeModel(readFileSync(sharedPath(resnet20)))), 7);
  verifyTypes(fixed);
  const { types } = inferGraph(fixed);
  for (const node of fixed.nodes) {
    for (const name of node.outputs) {
      assert.ok(
        types.get(name)?.shape?.every((dim) => typeof dim === "number"),
        name,
      );
    }
  }
  assert.deepEqual(fixed.outputs[0]?.type?.shape, [7, 10]);
});

test("fixing input shapes adapts the declared outputs and refuses what does not fit", () => {
  const graph = graphOf({
    inputs: [value("x", "n", 3, "size"), value("s")],
    outputs: [value("y", "n", 3, "other")],
    nodes: [nodeOf("Relu", ["x"], ["y"])],
    valueInfo: new Map([["v", value("v", 1, "n", "other")]]),
  });
  const fixed = fixInputShape(graph, new Map([["x", [2, 3, 8]]]));
  assert.deepEqual(fixed.inputs, [value("x", 2, 3, 8), value("s")]);
  assert.deepEqual(fixed.outputs, [value("y", 2, 3, undefined)]);
  assert.deepEqual(fixed.valueInfo.get("v"), value("v", 1, 2, undefined));
  const resized = fixInputShape(graph, new Map([["x", [2, 4, 8]]]));
  assert.equal(resized.valueInfo.size, 0);
  assert.deepEqual(resized.outputs, [value("y", 2, undefined, undefined)]);
  assert.throws(() => fixInputShape(graph, new Map([["z", [1]]])), /no input "z".*"x", "s"/);
  assert.throws(() => fixInputShape(graph, new Map([["x", [1]]])), /"x".*expected 3 dimensions/);
  assert.throws(() => fixInputShape(graph, new Map([["x", [0, 3, 8]]])), /"x".*positive integers/);
  assert.throws(() => fixBatch(graph, 0), /positive integer/);
});

test("specializing inputs leaves an open batch open, and no other dimension", () => {
  const graph = graphOf({
    inputs: [value("x", "n", 3, "h", "w"), value("z", 1, "w")],
    outputs: [value("y", "n", "w")],
    nodes: [nodeOf("Relu", ["x"], ["y"])],
  });
  const fixed = specializeInputs(graph, new Map([["x", [1, 3, 8, 6]]]));
  assert.deepEqual(fixed.inputs, [value("x", "n", 3, 8, 6), value("z", 1, 6)]);
  assert.deepEqual(fixed.outputs, [value("y", "n", 6)]);
  assert.equal(specializeInputs(graph, new Map()), graph);
  const scalar = { ...graph, inputs: [{ name: "k", type: { elementType: "float32" as const, shape: [] } }] };
  assert.deepEqual(
    specializeInputs(scalar, new Map([["k", []]])).inputs,
    scalar.inputs,
    "a scalar has no batch",
  );
  assert.throws(() => specializeInputs(graph, new Map([["q", [1]]])), /no input "q"/);
});
