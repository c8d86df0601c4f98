import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { runGraph } from "../../../src/execute/node.js";
import { int } from "../../../src/graph/attributes.js";
import { float32Data } from "../../../src/graph/tensor.js";
import type { Attribute, Graph } from "../../../src/graph/types.js";
import { decodeModel } from "../../../src/onnx/read.js";
import { encodeModel } from "../../../src/onnx/write.js";
import { exactScale, toGrid } from "../../../src/ops/families/weight_grid.js";
import { importModel } from "../../../src/ops/passes/import_model.js";
import { storeWeights, weightsTypeOf } from "../../../src/ops/passes/store_weights.js";
import { Network } from "../../../support/network.js";
import { filled, graphOf, nodeOf } from "../../../support/random_graph.js";
import { storedNetwork } from "../../../support/stored_network.js";

for (const levels of [7, 31, 63, 127]) {
  test(`a file with weights of int8 in ${levels} steps is what ONNX Runtime computes, to the bit, and is read again`, async () => {
    const { net, graph } = storedNetwork(3);
    const { graph: stored, kept } = storeWeights(graph, "int8", levels);
    assert.deepEqual(kept, []);
    const file = encodeModel(stored, { sparse: true });
    const dense = encodeModel(stored);
    assert.ok(file.length < dense.length, `${file.length} of ${dense.length}`);
    const read = decodeModel(file);
    assert.equal(weightsTypeOf(read), "int8");
    const imported = importModel(read);
    assert.equal(weightsTypeOf(imported), "float32");
    const feeds = net.feeds(1);
    const [expected] = (await runGraph(imported, feeds)).values();
    // `runGraph` writes the graph as it is; the file itself is what users load.
    for (const bytes of [file, dense]) {
      const [found] = (await runFile(bytes, feeds)).values();
      assert.ok(expected !== undefined && found !== undefined);
      assert.deepEqual(float32Data(found), float32Data(expected));
    }
    // On the grid already: nothing is rounded a second time.
    const again = importModel(storeWeights(imported, "int8").graph);
    const [second] = (await runGraph(again, feeds)).values();
    assert.deepEqual(second && float32Data(second), expected && float32Data(expected));
  });
}

async function runFile(
  bytes: Uint8Array,
  feeds: ReturnType<Network["feeds"]>,
): Promise<
  ReadonlyMap<
    string,
    { readonly dims: readonly number[]; readonly bytes: Uint8Array; readonly type: "float32" }
  >
> {
  const { InferenceSession, Tensor } = await import("onnxruntime-node");
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const inputs = Object.fromEntries(
    [...feeds].map(([name, x]) => [name, new Tensor("float32", float32Data(x), [...x.dims])]),
  );
  const results = await session.run(inputs);
  await session.release();
  return new Map(
    Object.entries(results).map(([name, { data, dims }]) => {
      const floats = Float32Array.from(data as Float32Array);
      return [name, { dims, type: "float32", bytes: new Uint8Array(floats.buffer) }];
    }),
  );
}

test("onnxruntime-web loads a packed file and computes the same", async () => {
  const { net, graph } = storedNetwork(3);
  const { graph: stored } = storeWeights(graph, "int8", 31);
  const file = encodeModel(stored, { sparse: true });
  const web = await import("onnxruntime-web");
  web.env.wasm.numThreads = 1;
  const session = await web.InferenceSession.create(file, { executionProviders: ["wasm"] });
  const feeds = net.feeds(1);
  const [x] = feeds.values();
  assert.ok(x !== undefined);
  const results = await session.run({ x: new web.Tensor("float32", float32Data(x), [...x.dims]) });
  const [expected] = (await runGraph(importModel(decodeModel(file)), feeds)).values();
  const [found] = Object.values(results);
  assert.ok(expected !== undefined && found !== undefined);
  const known = float32Data(expected);
  const differences = [...(found.data as Float32Array)].map((y, at) =>
    Math.abs(y - (known[at] ?? Number.NaN)),
  );
  assert.ok(
    differences.every((difference) => difference <= 1e-4),
    `off by ${Math.max(...differences)}`,
  );
});

test("a grid is found again, whatever its step, and a network on it is not rounded", () => {
  const cases = fc.record({
    scale: fc.float({ min: Math.fround(2 ** -120), max: Math.fround(2 ** 100), noNaN: true }),
    levels: fc.array(fc.integer({ min: -127, max: 127 }), { minLength: 1, maxLength: 40 }),
  });
  fc.assert(
    fc.property(cases, ({ scale, levels }) => {
      const values = Float32Array.from(levels, (level) => level * scale);
      const found = exactScale(values.filter((value) => value !== 0));
      assert.ok(found !== undefined);
      const grid = toGrid(values, { channels: 1, inner: values.length });
      const back = Float32Array.from(grid.values, (level) => level * (grid.scales[0] ?? Number.NaN));
      assert.deepEqual(
        back,
        values.map((value) => value + 0),
      );
    }),
  );
});

test("rounding errs by half a step at most, but for what is cut off to err less", () => {
  const values = new Network(9).uniform(4096);
  const { values: levels, scales } = toGrid(values, { channels: 16, inner: 256 });
  const scaleOf = (at: number): number => scales[Math.floor(at / 256)] ?? Number.NaN;
  const error = (steps: (at: number) => number): number =>
    values.reduce((sum, value, at) => sum + (value - steps(at)) ** 2, 0);
  const ours = error((at) => (levels[at] ?? Number.NaN) * scaleOf(at));
  const plain = error((at) => {
    const row = values.subarray(256 * Math.floor(at / 256), 256 * (Math.floor(at / 256) + 1));
    const step = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127;
    return Math.round((values[at] ?? 0) / step) * step;
  });
  // A scale has eight binary digits: a step is at most 1/128 longer, and by chance numbers lie worse on its multiples.
  assert.ok(ours <= plain * 1.04, `${ours}, plain rounding ${plain}`);
});

function withWeight(value: number): Graph {
  const { graph } = storedNetwork(3);
  const initializers = new Map(graph.initializers);
  const [name, tensor] = [...initializers].find(([, each]) => each.dims.length === 4) ?? [];
  assert.ok(name !== undefined && tensor !== undefined);
  const data = float32Data(tensor).slice();
  data[5] = value;
  initializers.set(name, { ...tensor, bytes: new Uint8Array(data.buffer) });
  return { ...graph, initializers };
}

for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
  test(`a weight of ${value} stays float32, with the reason`, () => {
    const { graph, kept } = storeWeights(withWeight(value), "int8");
    assert.match(kept[0]?.reason ?? "", /not finite/);
    const tensor = kept[0] && graph.initializers.get(kept[0].name);
    assert.equal(tensor?.type, "float32");
  });
}

test("subnormal and huge weights are kept as int8", () => {
  for (const value of [1e-42, 3e38]) {
    const graph = importModel(storeWeights(withWeight(value), "int8").graph);
    for (const tensor of graph.initializers.values())
      if (tensor.type === "float32") assert.ok(float32Data(tensor).every(Number.isFinite));
  }
});

test("a weight of zeros alone takes no bytes, whatever type is asked for", () => {
  const zeros = withWeight(0);
  const { initializers } = zeros;
  const empty = {
    ...zeros,
    initializers: new Map(
      [...initializers].map(([name, tensor]) => [
        name,
        tensor.type === "float32" ? { ...tensor, bytes: new Uint8Array(tensor.bytes.length) } : tensor,
      ]),
    ),
  };
  const bytesOf = (graph: Graph): number => encodeModel(graph, { sparse: true }).length;
  const elements = [...initializers.values()].reduce((sum, { bytes }) => sum + bytes.length / 4, 0);
  assert.ok(elements > 1000);
  for (const type of ["float32", "float16", "int8"] as const)
    assert.ok(bytesOf(storeWeights(empty, type).graph) < elements / 2, type);
});

test("what float16 cannot hold stays float32, with the reason", () => {
  const net = new Network(4, [3, 8, 8], 17, [1, 3, 8, 8]);
  const y = net.op("Conv", ["x", net.parameter("huge", [64, 3, 3, 3], 6e4, 9e4)]);
  const { kept } = storeWeights(net.graph([y]), "float16");
  assert.match(kept[0]?.reason ?? "", /65504/);
});

test("a weight that two layers share is stored once, one that is an output or no weight is left alone", () => {
  const net = new Network(4, [8, 8, 8], 17, [1, 8, 8, 8]);
  const shared = net.parameter("shared", [8, 8, 3, 3]);
  const plain = net.parameter("plain", [1, 8, 1, 200]);
  const [a, b] = ["x", "x"].map((x) => net.op("Conv", [x, shared]));
  assert.ok(a !== undefined && b !== undefined);
  const sum = net.op("Add", [net.op("Add", [a, b]), net.op("ReduceMax", [plain])]);
  const { graph, kept } = storeWeights(net.graph([sum]), "int8");
  assert.equal([...graph.initializers.values()].filter(({ type }) => type === "int8").length, 1);
  assert.deepEqual(
    kept.map(({ reason }) => reason),
    ["it is read as something else than a layer's weight"],
  );
});

test("what shares a scale is told by the operator's definition, in each form of its attributes", () => {
  const scaleDims = (op: string, dims: readonly number[], attributes: Record<string, Attribute> = {}) => {
    const graph = graphOf({
      opsets: new Map([["", 13]]),
      inputs: [{ name: "x", type: undefined }],
      outputs: [{ name: "y", type: undefined }],
      nodes: [nodeOf(op, ["x", "w"], ["y"], attributes)],
      initializers: new Map([["w", filled(...dims)]]),
    });
    const scales = [...storeWeights(graph, "int8").graph.initializers.values()].filter(
      ({ type }) => type === "float32",
    );
    return scales.map((scale) => scale.dims);
  };
  assert.deepEqual(scaleDims("Gemm", [40, 30]), [[30]]);
  // Any number but 0 turns it.
  for (const transB of [1, 2, -1])
    assert.deepEqual(scaleDims("Gemm", [40, 30], { transB: int(transB) }), [[40, 1]]);
  assert.deepEqual(scaleDims("Conv", [40, 8, 3, 3]), [[40, 1, 1, 1]]);
  assert.deepEqual(scaleDims("ConvTranspose", [40, 8, 3, 3]), [[8, 1, 1]]);
  assert.deepEqual(scaleDims("ConvTranspose", [40, 1, 9, 9], { group: int(40) }), [[40, 1, 1, 1]]);
  assert.deepEqual(scaleDims("MatMul", [40, 30]), [[30]]);
  // No weight of a layer.
  assert.deepEqual(scaleDims("Mul", [40, 30]), [[40, 30]]);
});
