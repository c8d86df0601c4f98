import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { InferenceSession } from "onnxruntime-node";
import { compileToWasm } from "../../../src/compile/index.js";
import { runGraph } from "../../../src/execute/node.js";
import { float, floats, int, ints, text } from "../../../src/graph/attributes.js";
import { float32Data, float32Tensor, int64Tensor } from "../../../src/graph/tensor.js";
import type { Attribute, Graph, Tensor } from "../../../src/graph/types.js";
import { decodeModel } from "../../../src/onnx/read.js";
import { encodeModel } from "../../../src/onnx/write.js";
import { findOp } from "../../../src/ops/inference/registry.js";
import { importModel } from "../../../src/ops/passes/import_model.js";
import { assertSameOutputs, Network } from "../../../support/network.js";
import { graphOf } from "../../../support/random_graph.js";
import { randomTensor } from "../../../support/small_models.js";
import { runModule } from "../../compile/run_wasm.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-unfuse-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** The file that ONNX Runtime makes of a network. */
async function optimized(graph: Graph, level: "basic" | "extended"): Promise<Graph> {
  const file = path.join(folder, "optimized.onnx");
  const session = await InferenceSession.create(encodeModel(graph), {
    graphOptimizationLevel: level,
    optimizedModelFilePath: file,
    logSeverityLevel: 3,
  });
  await session.release();
  return decodeModel(new Uint8Array(readFileSync(file)));
}

/** Fused nodes are gone, every operator is known, and the network gives the same; compiled as well. */
async function checkUnfused(fused: Graph, feeds: ReadonlyMap<string, Tensor>, opset: number): Promise<void> {
  const imported = importModel(fused);
  const unknown = imported.nodes.filter((node) => findOp(node) === undefined);
  assert.deepEqual(
    unknown.map(({ op }) => op),
    [],
    `opset ${opset}`,
  );
  await assertSameOutputs(fused, imported, feeds, 1e-5);
  const values = new Map([...feeds].map(([name, tensor]) => [name, float32Data(tensor)]));
  const expected = await runGraph(fused, feeds, { threads: 1 });
  const found = runModule(compileToWasm(fused), values);
  for (const [name, tensor] of expected) {
    float32Data(tensor).forEach((value, at) => {
      const other = found.get(name)?.[at] ?? Number.NaN;
      assert.ok(
        Math.abs(value - other) <= 1e-4 + 1e-4 * Math.abs(value),
        `${name}[${at}]: ${value}, ${other}`,
      );
    });
  }
}

type Layer = (network: Network, x: string) => string;

const sameChannels: Layer = (network, x) => network.conv(x, 4, { pad: 1, bias: true });

const activated =
  (op: string, attributes: Record<string, Attribute> = {}): Layer =>
  (network, x) =>
    network.op(op, [sameChannels(network, x)], attributes);

const clipped: Layer = (network, x) =>
  network.op("Clip", [sameChannels(network, x), network.b.scalar(0), network.b.scalar(0.5)]);

const quickGelu: Layer = (network, x) => {
  const y = sameChannels(network, x);
  return network.op("Mul", [y, network.op("Sigmoid", [network.op("Mul", [y, network.b.scalar(1.702)])])]);
};

const erfGelu: Layer = (network, x) => {
  const y = sameChannels(network, x);
  const curve = network.op("Erf", [network.op("Div", [y, network.b.scalar(Math.SQRT2)])]);
  const grown = network.op("Add", [curve, network.b.scalar(1)]);
  return network.op("Mul", [network.op("Mul", [y, grown]), network.b.scalar(0.5)]);
};

/** As transformers have it: products of turned matrices, a sum and its normalization. */
const attention: Layer = (network, x) => {
  const tokens = network.op("Reshape", [x, network.b.axes([1, 4, 36])]);
  const turned = network.op("Transpose", [tokens], { perm: ints([0, 2, 1]) });
  const scores = network.op("MatMul", [tokens, turned]);
  const weights = network.op("Softmax", [network.op("Mul", [scores, network.b.scalar(0.25)])]);
  const mixed = network.op("MatMul", [weights, tokens]);
  const product = network.op("MatMul", [mixed, network.parameter("matrix", [36, 36])]);
  const sum = network.op("Add", [network.op("Add", [product, network.parameter("bias", [36])]), tokens]);
  const scale = network.parameter("scale", [36]);
  const y = network.op("LayerNormalization", [sum, scale, network.parameter("shift", [36])]);
  return network.op("Reshape", [y, network.b.axes([1, 4, 6, 6])]);
};

const classifier: Layer = (network, x) => network.relu(network.gemm(network.op("Flatten", [x]), 5));

const layers: ReadonlyMap<string, readonly [layer: Layer, fused: string]> = new Map([
  ["Conv and Relu", [activated("Relu"), "FusedConv"]],
  ["Conv and Sigmoid", [activated("Sigmoid"), "FusedConv"]],
  ["Conv and LeakyRelu", [activated("LeakyRelu", { alpha: float(0.3) }), "FusedConv"]],
  ["Conv and HardSigmoid", [activated("HardSigmoid", { alpha: float(0.3) }), "FusedConv"]],
  ["Conv and Clip", [clipped, "FusedConv"]],
  ["x times its sigmoid", [quickGelu, "QuickGelu"]],
  ["Gelu", [erfGelu, "Gelu"]],
  ["products and sums of transformers", [attention, "FusedMatMul"]],
  ["Gemm and Relu", [classifier, "FusedGemm"]],
]);

for (const [name, [layer, fusedName]] of layers) {
  test(`a file that ONNX Runtime has optimized: ${name}`, async () => {
    for (const opset of [13, 17, 21]) {
      if (fusedName === "FusedMatMul" && opset < 17) continue;
      const network = new Network(21, [4, 6, 6], opset, [1, 4, 6, 6]);
      const graph = network.graph([layer(network, "x")]);
      const fused = await optimized(graph, "extended");
      const operators = fused.nodes.map(({ op }) => op);
      assert.ok(operators.includes(fusedName), `opset ${opset}: ${operators.join(", ")}`);
      await checkUnfused(fused, network.feeds(1), opset);
    }
  });
}

/** One fused node over x [1, 4, 6, 6] or [4, 6]. */
function single(
  op: string,
  inputs: readonly (Tensor | undefined)[],
  attributes: Record<string, Attribute>,
  { domain = "com.microsoft", dims = [4, 6], opset = 17, outputs = ["y"] } = {},
): readonly [Graph, ReadonlyMap<string, Tensor>] {
  const named = inputs.map((tensor, at) => ({ name: tensor === undefined ? "" : `c${at}`, tensor }));
  const graph = graphOf({
    opsets: new Map([
      ["", opset],
      ["com.microsoft", 1],
    ]),
    inputs: [{ name: "x", type: { elementType: "float32", shape: dims } }],
    outputs: outputs.filter((name) => name !== "").map((name) => ({ name, type: undefined })),
    nodes: [
      {
        name: "fused",
        op,
        domain,
        inputs: ["x", ...named.map(({ name }) => name)],
        outputs,
        attributes: new Map(Object.entries(attributes)),
      },
    ],
    initializers: new Map(
      named.flatMap(({ name, tensor }) => (tensor === undefined ? [] : [[name, tensor] as const])),
    ),
  });
  return [graph, new Map([["x", randomTensor(dims, 77)]])];
}

const kernel = randomTensor([3, 4, 3, 3], 1);
const image = { dims: [1, 4, 6, 6] };
const vector = (seed: number, size = 6): Tensor => randomTensor([size], seed);
const activation = (name: string, ...parameters: number[]): Record<string, Attribute> => ({
  activation: text(name),
  activation_params: floats(parameters),
});

const forms: ReadonlyMap<string, ReturnType<typeof single>> = new Map([
  [
    "FusedConv, Tanh",
    single("FusedConv", [kernel, vector(2, 3)], { ...activation("Tanh"), pads: ints([1, 1, 0, 0]) }, image),
  ],
  [
    "FusedConv, Clip, opset 10",
    single("FusedConv", [kernel], activation("Clip", -0.5, 0.75), { ...image, opset: 10 }),
  ],
  ["FusedConv, HardSigmoid", single("FusedConv", [kernel], activation("HardSigmoid", 0.1, 0.6), image)],
  [
    "FusedConv, sum, no bias",
    single("FusedConv", [kernel, undefined, randomTensor([1, 3, 4, 4], 5)], activation("Relu"), image),
  ],
  [
    "FusedGemm, LeakyRelu",
    single("FusedGemm", [randomTensor([5, 6], 1), vector(2, 5)], {
      activation: text("LeakyRelu"),
      activation_alpha: float(0.4),
      transB: int(1),
      alpha: float(0.5),
    }),
  ],
  [
    "FusedGemm, Elu",
    single("FusedGemm", [randomTensor([6, 5], 1)], { activation: text("Elu"), activation_alpha: float(0.7) }),
  ],
  [
    "FusedMatMul, both turned",
    single("FusedMatMul", [randomTensor([5, 4], 1)], { transA: int(1), transB: int(1), alpha: float(-2) }),
  ],
  ["FusedMatMul, batch", single("FusedMatMul", [randomTensor([1, 4, 5, 6], 1)], { transB: int(1) }, image)],
  ["QuickGelu, its own alpha", single("QuickGelu", [], { alpha: float(0.8) })],
  ["QuickGelu, usual alpha", single("QuickGelu", [], {})],
  ["Gelu, opset 20", single("Gelu", [], {}, { opset: 20 })],
  ["BiasGelu", single("BiasGelu", [vector(2)], {})],
  ["FastGelu", single("FastGelu", [], {})],
  ["FastGelu with bias, opset 20", single("FastGelu", [vector(2)], {}, { opset: 20 })],
  [
    "SkipLayerNormalization",
    single(
      "SkipLayerNormalization",
      [randomTensor([1, 4, 6], 1), vector(2), vector(3), vector(4)],
      { epsilon: float(0.001) },
      { dims: [1, 4, 6], outputs: ["y", "", "", "sum"] },
    ),
  ],
  [
    "SkipLayerNormalization, least",
    single(
      "SkipLayerNormalization",
      [randomTensor([1, 4, 6], 1), vector(2)],
      { epsilon: float(0.01) },
      { dims: [1, 4, 6] },
    ),
  ],
  [
    "SimplifiedLayerNormalization",
    single(
      "SimplifiedLayerNormalization",
      [vector(2)],
      { axis: int(-1), epsilon: float(0.001) },
      { domain: "" },
    ),
  ],
  [
    "RMSNormalization",
    single(
      "RMSNormalization",
      [randomTensor([6, 6], 3)],
      { axis: int(2) },
      { ...image, domain: "", opset: 23 },
    ),
  ],
  ["LpNormalization", single("LpNormalization", [], {}, { domain: "", opset: 13 })],
  [
    "LpNormalization by magnitudes",
    single("LpNormalization", [], { axis: int(0), p: int(1) }, { domain: "", opset: 22 }),
  ],
  ["Swish", single("Swish", [], {}, { domain: "", opset: 24 })],
  ["Swish with alpha", single("Swish", [], { alpha: float(1.5) }, { domain: "", opset: 24 })],
]);

for (const [name, [graph, feeds]] of forms) {
  test(`unfused: ${name}`, () => checkUnfused(graph, feeds, graph.opsets.get("") ?? 0));
}

test("what has no norm stays zero", async () => {
  const [graph] = single("LpNormalization", [], {}, { domain: "", opset: 18 });
  const values = Float32Array.from({ length: 24 }, (_, at) => (at % 12 < 6 ? 0 : at - 15));
  await checkUnfused(graph, new Map([["x", float32Tensor([4, 6], values)]]), 18);
});

test("unfused: CastLike, as exporters write numbers of the type of another value", async () => {
  const [graph, feeds] = single("CastLike", [int64Tensor([2, 1, 1], [3, -2])], {}, { domain: "", opset: 18 });
  const [like] = graph.nodes;
  assert.ok(like !== undefined);
  const nodes = [
    { ...like, inputs: ["c0", "x"], outputs: ["number"] },
    { ...like, name: "sum", op: "Add", inputs: ["x", "number"] },
  ];
  await checkUnfused({ ...graph, nodes }, feeds, 18);
});

test("a fused node in an unknown form stays", () => {
  const [graph] = single("FusedConv", [kernel], activation("Curious"), image);
  assert.deepEqual(
    importModel(graph).nodes.map(({ op }) => op),
    ["FusedConv"],
  );
});
