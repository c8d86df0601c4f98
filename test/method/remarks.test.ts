import assert from "node:assert/strict";
import { test } from "node:test";
import { int } from "../../src/graph/attributes.js";
import { PenniError } from "../../src/graph/errors.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Tensor, int64Tensor, numericTensor } from "../../src/graph/tensor.js";
import type { Graph, Node, Shape, Tensor } from "../../src/graph/types.js";
import { decompose, decompositionCandidates } from "../../src/method/decompose.js";
import { trainability } from "../../src/method/frozen.js";
import { inspectGraph } from "../../src/method/inspect.js";
import { modelRemarks, type RemarkKind } from "../../src/method/remarks.js";
import { withHalfWeights } from "../../src/ops/passes/float16.js";
import { importModel } from "../../src/ops/passes/import_model.js";
import { conv, node, randomTensor, smallGraph, smallNetwork } from "../../support/small_models.js";

const weights = {
  w1: randomTensor([16, 3, 3, 3], 1),
  w2: randomTensor([16, 16, 3, 3], 2),
  wfc: randomTensor([16, 10], 3),
};

/** Conv - the node - Conv - global mean - Gemm. */
function around(middle: Node, initializers: Readonly<Record<string, Tensor>> = {}): Graph {
  const graph = smallGraph(
    ["N", 3, 8, 8],
    [
      conv({ name: "c1", input: "x", weight: "w1", kernel: 3 }),
      middle,
      conv({ name: "c2", input: middle.outputs[0] ?? "", weight: "w2", kernel: 3 }),
      node("GlobalAveragePool", ["c2"], "p"),
      node("Flatten", ["p"], "f"),
      node("Gemm", ["f", "wfc"], "y"),
    ],
    { ...weights, ...initializers },
  );
  const domain = middle.domain === "" ? [] : [[middle.domain, 1] as const];
  return { ...graph, opsets: new Map([...graph.opsets, ...domain]) };
}

function declaring(graph: Graph, name: string, shape: Shape): Graph {
  const info = { name, type: { elementType: "float32" as const, shape } };
  return { ...graph, valueInfo: new Map([[name, info]]) };
}

/** Conv - Reshape to these dimensions, for images in such a batch. */
function reshaped(batch: number | string, dims: readonly number[]): Graph {
  return smallGraph(
    [batch, 3, 8, 8],
    [
      conv({ name: "c1", input: "x", weight: "w1", kernel: 3 }),
      node("Relu", ["c1"], "r"),
      node("Reshape", ["r", "dims"], "y"),
    ],
    {
      w1: weights.w1,
      dims: int64Tensor([2], dims),
    },
  );
}

const custom = { ...node("Mystery", ["c1"], "m"), domain: "org.example" };
const loop: Node = {
  ...node("If", ["c1"], "m"),
  attributes: new Map([
    [
      "then_branch",
      {
        kind: "opaque" as const,
        value: undefined,
        captures: ["c1"],
        inner: ["Conv", "Relu"].map((op) => ({ name: op, op, domain: "" })),
      },
    ],
  ]),
};
const quantized = smallGraph(
  ["N", 3, 8, 8],
  [node("DequantizeLinear", ["q", "s"], "w"), conv({ name: "y", input: "x", weight: "w", kernel: 3 })],
  {
    q: numericTensor("uint8", [4, 3, 3, 3], new Array(108).fill(7)) ?? weights.w1,
    s: float32Tensor([], [0.1]),
  },
);
const normalization = around(
  node("BatchNormalization", ["c1", "g", "g", "g", "g"], "m", { training_mode: int(1) }),
  {
    g: float32Tensor([16], new Array(16).fill(1)),
  },
);

const cases: readonly (readonly [what: string, graph: Graph, kinds: readonly RemarkKind[], text: RegExp])[] =
  [
    ["an ordinary network", smallNetwork(), [], /^\[\]$/],
    [
      "fused operators that are written out",
      around({ ...node("QuickGelu", ["c1"], "m"), domain: "com.microsoft" }),
      [],
      /^\[\]$/,
    ],
    [
      "a later operator set",
      { ...smallNetwork(), opsets: new Map([["", 27]]) },
      ["newer-opset"],
      /operator set 27 is newer than 26/,
    ],
    [
      "float16 weights",
      withHalfWeights(around(node("Relu", ["c1"], "m"))),
      ["float16"],
      /stores.*as float16 again/,
    ],
    [
      "two inputs",
      {
        ...around(node("Add", ["c1", "z"], "m")),
        inputs: ["x", "z"].map((name) => ({
          name,
          type: { elementType: "float32" as const, shape: ["N", name === "x" ? 3 : 16, 8, 8] },
        })),
      },
      ["inputs"],
      /2 inputs \(\\"x\\", \\"z\\"\)/,
    ],
    ["a model that states its batch at the input alone", smallNetwork(1), [], /^\[\]$/],
    [
      "a model that is written for one image",
      reshaped(1, [16, 64]),
      ["fixed-batch"],
      /written for one image at a time.*dynamic_axes/,
    ],
    ["a model that names its batch where it only keeps it", reshaped(1, [1, 1024]), [], /^\[\]$/],
    ["a model that states its batch and reshapes to whatever comes", reshaped(1, [-1, 1024]), [], /^\[\]$/],
    ["a model that copies its batch in a reshape", reshaped(1, [0, 1024]), [], /^\[\]$/],
    ["a model with an open batch", reshaped("N", [-1, 1024]), [], /^\[\]$/],
    ["a quantized model", quantized, ["quantized"], /Start from the float32 model.*"w\/DequantizeLinear"/],
    [
      "a normalization in training mode",
      normalization,
      ["training-mode", "no-gradient"],
      /model\.eval.*"m\/BatchNormalization"/,
    ],
    [
      "a branch",
      declaring(around(loop), "m", ["N", 16, 8, 8]),
      ["subgraph", "no-gradient"],
      /2 nodes inside, 1 of them convolutions.*these weights stay as they are.*: w1"/,
    ],
    [
      "an operator of another domain of a declared shape",
      declaring(around(custom), "m", ["N", 16, 8, 8]),
      ["unknown-operator", "no-gradient"],
      /org\.example.*"m\/Mystery".*stay as they are when the network is trained: w1"/,
    ],
    [
      "an operator of another domain",
      around(custom),
      ["unknown-operator", "no-gradient"],
      /the shape of its result is not known/,
    ],
    [
      "an operator in one machine's layout",
      around({ ...custom, domain: "com.microsoft.nchwc" }),
      ["unknown-operator", "no-gradient"],
      /for one machine.*ORT_ENABLE_EXTENDED/,
    ],
    [
      "no output to train for",
      smallGraph(
        [1, 3, 8, 8],
        [conv({ name: "c1", input: "x", weight: "w1", kernel: 3 }), node("ArgMax", ["c1"], "y")],
        weights,
      ),
      // Over the batch, as its axis is by default.
      ["fixed-batch", "no-gradient"],
      /before ArgMax/,
    ],
  ];

for (const [what, graph, kinds, text] of cases) {
  test(`remarks on ${what}`, () => {
    const imported = importModel(fixBatch(graph, 1));
    const remarks = modelRemarks(graph, imported);
    assert.deepEqual(
      remarks.map(({ kind }) => kind),
      kinds,
    );
    assert.match(JSON.stringify(remarks), text);
    // Whatever it is, the rest is still counted and shown.
    assert.ok(inspectGraph(imported).convolutions > 0);
  });
}

test("behind an operator of unknown shape arithmetic is not counted, and said so", () => {
  const { layers, uncounted } = inspectGraph(importModel(fixBatch(around(custom), 1)));
  assert.deepEqual(
    uncounted.map(({ name }) => name),
    ["m/Mystery", "c2/Conv", "y/Gemm"],
  );
  assert.equal(layers.find(({ name }) => name === "c1/Conv")?.executedMacs, 64 * 16 * 27);
});

test("a quantized weight is the reason why a convolution stays", () => {
  const [decision] = decompositionCandidates(quantized);
  assert.match(decision?.layer === undefined ? (decision?.reason ?? "") : "", /quantized/);
});

test("weights before a node without a gradient are frozen, the others train and are decomposed", () => {
  const graph = declaring(around(custom), "m", ["N", 16, 8, 8]);
  const found = trainability(graph, ["y"]);
  assert.deepEqual([[...found.frozen], found.isTrainable], [["w1"], true]);
  assert.deepEqual(
    found.blockades.map(({ node: { op } }) => op),
    ["Mystery"],
  );
  const { initializers } = decompose(graph, { basis: 5, frozen: found.frozen });
  assert.deepEqual([initializers.has("w1"), initializers.has("w2")], [true, false]);
});

test("an output for which nothing can be trained does not freeze the weights of the others", () => {
  const graph = declaring(around(node("Relu", ["c1"], "m")), "boxes", [1, 4]);
  const detector: Graph = {
    ...graph,
    opsets: new Map([...graph.opsets, ["org.example", 1]]),
    nodes: [...graph.nodes, { ...node("Suppression", ["f"], "boxes"), domain: "org.example" }],
    outputs: [...graph.outputs, { name: "boxes", type: { elementType: "float32", shape: [1, 4] } }],
  };
  assert.deepEqual([...trainability(detector, ["boxes", "y"]).frozen], []);
  const alone = trainability(detector, ["boxes"]);
  assert.equal(alone.isTrainable, false);
  assert.match(alone.blockades[0]?.reason.message ?? "", /"boxes\/Suppression".*has no gradient/);
});

test("behind an operator of unknown shape nothing can be trained", () => {
  assert.throws(
    () => trainability(around(custom), ["y"]),
    (error) => error instanceof PenniError && /"m\/Mystery" \(Mystery\): the shape/.test(error.message),
  );
});
