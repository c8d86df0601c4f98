import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as web from "onnxruntime-web";
import { runGraph } from "../../src/execute/node.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { bits, matMulGraph, randomFeeds, randomSource } from "./models.js";

const zoo = ["mobilenet_v2_w025", "squeezenet1_1", "shufflenet_v2_x0_5", "densenet_tiny"];
const models = ["resnet20", "resnet20_folded", "resnet56", ...zoo.map((name) => `zoo/${name}`)];

/** The graph with three quarters of every weight set to +0.0 and a few to -0.0. */
function withZeros(graph: Graph): Graph {
  const initializers = new Map(
    [...graph.initializers].map(([name, tensor]) => {
      if (tensor.type !== "float32" || tensor.dims.length < 2) return [name, tensor];
      const zeroed = float32Data(tensor).map((value, index) => {
        if (index % 32 === 0) return -0;
        return index % 4 === 1 ? value : 0;
      });
      return [name, float32Tensor(tensor.dims, zeroed)];
    }),
  );
  return { ...graph, initializers };
}

/** All outputs of a model in onnxruntime-web (WebAssembly, one thread), as comparable data. */
async function runOnWeb(bytes: Uint8Array, graph: Graph, seed: number): Promise<unknown> {
  web.env.logLevel = "fatal";
  web.env.wasm.numThreads = 1;
  const session = await web.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  const feeds = [...randomFeeds(graph, seed)].map(([name, tensor]) => [
    name,
    new web.Tensor("float32", float32Data(tensor), tensor.dims),
  ]);
  const outputs = await session.run(Object.fromEntries(feeds));
  await session.release();
  return Object.entries(outputs).map(([name, { data }]) => {
    assert.ok(data instanceof Float32Array);
    return [name, Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex")];
  });
}

for (const model of models) {
  const relative = `models/${model}.onnx`;
  test(`${model} survives reading and writing`, { skip: withoutShared(relative) }, async () => {
    const original = readFileSync(sharedPath(relative));
    const graph = decodeModel(original, { file: relative });
    const written = encodeModel(graph);
    assert.ok(
      written.byteLength <= original.byteLength + 256,
      `${written.byteLength} from ${original.byteLength}`,
    );
    assert.deepEqual(decodeModel(written), graph);
    const feeds = randomFeeds(graph, 1);
    const before = await runGraph(original, feeds);
    assert.deepEqual(bits(await runGraph(written, feeds)), bits(before));
  });

  test(`${model} with zeros survives sparse writing`, { skip: withoutShared(relative) }, async () => {
    const graph = withZeros(decodeModel(readFileSync(sharedPath(relative))));
    const dense = encodeModel(graph);
    const sparse = encodeModel(graph, { sparse: true });
    assert.ok(sparse.byteLength < 0.6 * dense.byteLength, `${sparse.byteLength} of ${dense.byteLength}`);
    const again = decodeModel(sparse);
    for (const [name, tensor] of graph.initializers) {
      assert.deepEqual(again.initializers.get(name)?.bytes, new Uint8Array(tensor.bytes), name);
    }
    const feeds = randomFeeds(graph, 2);
    assert.deepEqual(bits(await runGraph(sparse, feeds)), bits(await runGraph(dense, feeds)));
  });
}

for (const name of zoo) {
  const relative = `models/zoo/${name}.onnx`;
  test(`${name} computes what PyTorch computed`, { skip: withoutShared(relative) }, async () => {
    const floats = (suffix: string): Float32Array => {
      const bytes = new Uint8Array(readFileSync(sharedPath(`models/zoo/${name}.${suffix}.f32`)));
      return new Float32Array(bytes.buffer, 0, bytes.byteLength / 4);
    };
    const graph = decodeModel(readFileSync(sharedPath(relative)));
    const [input] = graph.inputs;
    const [output] = graph.outputs;
    assert.ok(input?.type?.shape !== undefined && output !== undefined);
    const [, channels, height, width] = input.type.shape;
    const dims = [2, Number(channels), Number(height), Number(width)];
    const outputs = await runGraph(graph, new Map([[input.name, float32Tensor(dims, floats("input"))]]));
    const result = outputs.get(output.name);
    assert.ok(result !== undefined);
    const expected = floats("output");
    const found = float32Data(result);
    assert.equal(found.length, expected.length);
    const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - (found[i] ?? 0))), 0);
    assert.ok(worst <= 1e-4, `largest difference ${worst}`);
  });
}

test("onnxruntime-web computes the same from a sparse file as from a dense one", async () => {
  const random = randomSource(3);
  const weights = Float32Array.from({ length: 64 * 576 }, () => (random() > 0.9 ? random() : 0));
  weights[5] = -0;
  const graph = matMulGraph(64, 576, weights);
  const dense = encodeModel(graph);
  const sparse = encodeModel(graph, { sparse: true });
  assert.deepEqual(await runOnWeb(sparse, graph, 4), await runOnWeb(dense, graph, 4));
  const nonzeros = weights.reduce((count, value) => (Object.is(value, 0) ? count : count + 1), 0);
  // Four bytes of value, at most three of index, and the rest of the model.
  assert.ok(sparse.byteLength < 7 * nonzeros + 200, `${sparse.byteLength} for ${nonzeros} non-zeros`);
});

test("onnxruntime-web loads a convolutional network with sparse weights", {
  skip: withoutShared("models/resnet20.onnx"),
}, async () => {
  const graph = withZeros(decodeModel(readFileSync(sharedPath("models/resnet20.onnx"))));
  const sparse = await runOnWeb(encodeModel(graph, { sparse: true }), graph, 5);
  assert.deepEqual(sparse, await runOnWeb(encodeModel(graph), graph, 5));
});

test("a tensor of zeros only becomes an empty sparse tensor", async () => {
  const graph = matMulGraph(64, 64, new Float32Array(64 * 64));
  const sparse = encodeModel(graph, { sparse: true });
  assert.ok(sparse.byteLength < 200, `${sparse.byteLength} bytes`);
  const feeds = randomFeeds(graph, 6);
  assert.deepEqual(bits(await runGraph(sparse, feeds)), bits(await runGraph(graph, feeds)));
  assert.deepEqual(await runOnWeb(sparse, graph, 6), await runOnWeb(encodeModel(graph), graph, 6));
});

test("a tensor without zeros stays dense", () => {
  const graph = matMulGraph(
    8,
    8,
    Float32Array.from({ length: 64 }, (_, index) => index + 1),
  );
  assert.deepEqual(encodeModel(graph, { sparse: true }), encodeModel(graph));
});
