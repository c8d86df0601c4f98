import assert from "node:assert/strict";
import { test } from "node:test";
import { runGraph } from "../../src/execute/node.js";
import { int, ints } from "../../src/graph/attributes.js";
import { PenniError } from "../../src/graph/errors.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Tensor, int64Tensor } from "../../src/graph/tensor.js";
import type { Graph, Node } from "../../src/graph/types.js";
import { countGraph } from "../../src/measure/count.js";
import { shapedForRuns, withRuntimeShapes } from "../../src/measure/runtime_shapes.js";
import { decompose } from "../../src/method/decompose.js";
import { pruneCoefficients, pruneToMacs } from "../../src/method/prune.js";
import { shrink } from "../../src/method/shrink.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { inferGraph } from "../../src/ops/inference/infer.js";
import { importModel } from "../../src/ops/passes/import_model.js";
import { conv, node, randomTensor, smallGraph } from "../../support/small_models.js";

const CHANNELS = 8;
/** Products of a 3x3 convolution with padding from 3 (or 8) to 8 channels over maps of 6x6, or 5 classes. */
const macs = (inputs: number, outputs: number): number => 9 * inputs * outputs * 36;

/** Conv 3x3 - what is given, from "c1" to "u" - Relu - Conv 3x3 - Conv 3x3 to five channels. */
function around(unknown: readonly Node[], batch: number | string | undefined): Graph {
  const graph = smallGraph(
    ["N", 3, 6, 6],
    [
      conv({ name: "c1", input: "x", weight: "w1", kernel: 3 }),
      ...unknown,
      node("Relu", ["u"], "r"),
      conv({ name: "c2", input: "r", weight: "w2", kernel: 3 }),
      conv({ name: "y", input: "c2", weight: "w3", kernel: 3 }),
    ],
    {
      w1: randomTensor([CHANNELS, 3, 3, 3], 1),
      w2: randomTensor([CHANNELS, CHANNELS, 3, 3], 2),
      w3: randomTensor([5, CHANNELS, 3, 3], 3),
      two: int64Tensor([], [2]),
      offset: float32Tensor([CHANNELS], [0, 1, 2, 3, 4, 5, 6, 7]),
    },
  );
  return {
    ...graph,
    opsets: new Map([
      ["", 17],
      ["com.microsoft", 1],
      ["acme", 1],
    ]),
    inputs: [{ name: "x", type: { elementType: "float32", shape: [batch, 3, 6, 6] } }],
  };
}

/** Operators of several sorts that Penni does not know and ONNX Runtime runs: one each, a chain, a sequence. */
const unknowns: Readonly<Record<string, readonly Node[]>> = {
  "a standard operator": [node("Sinh", ["c1"], "u")],
  "another domain": [{ ...node("BiasGelu", ["t", "offset"], "g"), domain: "com.microsoft" }].flatMap(
    (gelu) => [
      node("Transpose", ["c1"], "t", { perm: ints([0, 2, 3, 1]) }),
      gelu,
      node("Transpose", ["g"], "u", { perm: ints([0, 3, 1, 2]) }),
    ],
  ),
  "one behind the other": [
    node("Sinh", ["c1"], "l"),
    node("MeanVarianceNormalization", ["l"], "m", { axes: ints([0, 2, 3]) }),
    node("Sinh", ["m"], "u"),
  ],
  "a sequence": [
    node("SplitToSequence", ["c1", "two"], "s", { axis: int(1), keepdims: int(1) }),
    node("ConcatFromSequence", ["s"], "u", { axis: int(1) }),
  ],
};

for (const [what, nodes] of Object.entries(unknowns)) {
  for (const batch of ["N", undefined, 1, 4] as const) {
    test(`what follows ${what} is counted, batch ${batch ?? "without a name"}`, async () => {
      const { graph, missing } = await withRuntimeShapes(around(nodes, batch));
      assert.deepEqual(missing, []);
      // As in a run's stages, what was measured goes through a file.
      const imported = importModel(decodeModel(encodeModel(graph)), { verify: true });
      for (const size of [1, 7]) {
        const count = countGraph(fixBatch(imported, size));
        assert.equal(
          count.executedMacs,
          size * (macs(3, CHANNELS) + macs(CHANNELS, CHANNELS) + macs(CHANNELS, 5)),
        );
        assert.deepEqual(inferGraph(fixBatch(imported, size)).types.get("y")?.shape, [size, 5, 6, 6]);
      }
    });
  }
}

test("a network around an unknown operator is decomposed, pruned to its target and shrunk, exactly", async () => {
  const given = around(unknowns["one behind the other"] ?? [], "N");
  const graph = importModel((await withRuntimeShapes(given)).graph);
  const originalMacs = countGraph(fixBatch(graph, 1)).executedMacs;
  const decomposed = fixBatch(decompose(graph, { basis: 2 }), 1);
  const pruned = pruneToMacs(decomposed, { fraction: 0.5, originalMacs }).graph;
  assert.ok(countGraph(pruned).paperMacs <= 0.5 * originalMacs);
  const { graph: sparse } = pruneCoefficients(pruned, { factor: 1 });
  const small = shrink(sparse);
  const feeds = new Map([["x", randomTensor([1, 3, 6, 6], 9)]]);
  const [expected, found] = [await runGraph(sparse, feeds), await runGraph(small, feeds)];
  const numbers = (outputs: typeof expected): Float32Array =>
    new Float32Array(outputs.get("y")?.bytes.slice().buffer ?? new ArrayBuffer(0));
  const [want, got] = [numbers(expected), numbers(found)];
  assert.equal(got.length, 5 * 36);
  const scale = want.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  want.forEach((value, at) => {
    assert.ok(Math.abs(value - (got[at] ?? Number.NaN)) <= 1e-5 * scale, `y[${at}]`);
  });
});

test("an operator that ONNX Runtime does not have either is named; what is before it is counted", async () => {
  const nodes = [
    node("Sinh", ["c1"], "l"),
    conv({ name: "before", input: "l", weight: "w2", kernel: 3 }),
    { ...node("Frobnicate", ["before"], "u"), domain: "acme" },
  ];
  const given = around(nodes, "N");
  const { graph, missing } = await withRuntimeShapes(given);
  assert.deepEqual(
    missing.map(({ op }) => op),
    ["Frobnicate"],
  );
  const count = countGraph(fixBatch(importModel(graph), 1));
  assert.equal(count.executedMacs, macs(3, CHANNELS) + macs(CHANNELS, CHANNELS));
  assert.equal(count.executedMacs, count.paperMacs);
  const decomposed = countGraph(fixBatch(decompose(importModel(graph), { basis: 2 }), 1));
  assert.ok(decomposed.paperMacs < count.paperMacs, "both counts leave out the same nodes");
  await assert.rejects(
    shapedForRuns(given),
    (error) =>
      error instanceof PenniError &&
      error.code === "unsupported" &&
      /"u\/Frobnicate" \(Frobnicate\).*neither Penni nor ONNX Runtime.*"acme"/.test(error.message),
  );
});

test("sizes that depend on the data stay open, also when a run happens to show the same twice", async () => {
  const nodes = [node("Unique", ["c1"], "different", { sorted: int(1) }), node("Sinh", ["c1"], "u")];
  const graph = around(nodes, "N");
  const outputs = [...graph.outputs, { name: "different", type: undefined }];
  const shaped = (await withRuntimeShapes({ ...graph, outputs })).graph;
  assert.equal(shaped.valueInfo.get("different"), undefined);
  assert.deepEqual(shaped.valueInfo.get("u")?.type, {
    elementType: "float32",
    shape: ["N", CHANNELS, 6, 6],
  });
});

test("a graph whose shapes are known, and one with an open size, come back as they are", async () => {
  const known = around([node("Tanh", ["c1"], "u")], "N");
  assert.equal((await withRuntimeShapes(known)).graph, known);
  const open = around(unknowns["a standard operator"] ?? [], "N");
  const inputs = [{ name: "x", type: { elementType: "float32", shape: ["N", 3, "H", 6] } }] as const;
  const graph: Graph = { ...open, inputs };
  assert.equal((await withRuntimeShapes(graph)).graph, graph);
});

test("a network for one image only keeps to it", async () => {
  // The first dimension is written down as 1, as exporters do that trace with one image.
  const nodes = [node("Sinh", ["c1"], "l"), node("Reshape", ["l", "fixed"], "u")];
  const graph = around(nodes, 1);
  const initializers = new Map(graph.initializers).set("fixed", int64Tensor([4], [1, CHANNELS, 6, 6]));
  const { graph: shaped } = await withRuntimeShapes({ ...graph, initializers });
  assert.deepEqual(shaped.valueInfo.get("l")?.type?.shape, [1, CHANNELS, 6, 6]);
});

test("an optional value is not declared to be a tensor, and what is taken out of it has its shape", async () => {
  const middle = [
    node("Optional", ["c1"], "o"),
    node("Identity", ["o"], "p"),
    node("OptionalGetElement", ["p"], "u"),
  ];
  const given = { ...around(middle, "N"), opsets: new Map([["", 18]]) };
  const { graph } = await withRuntimeShapes(given);
  assert.deepEqual([graph.valueInfo.has("o"), graph.valueInfo.has("p")], [false, false]);
  assert.deepEqual(inferGraph(graph).types.get("u")?.shape, ["N", CHANNELS, 6, 6]);
  const x = new Map([["x", randomTensor([1, 3, 6, 6], 9)]]);
  assert.deepEqual(await runGraph(graph, x), await runGraph(given, x));
});
