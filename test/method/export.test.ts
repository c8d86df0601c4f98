import assert from "node:assert/strict";
import { test } from "node:test";
import * as web from "onnxruntime-web";
import {
  imagenetPreprocessing,
  type Preprocessing,
  readClassNames,
  readPreprocessing,
} from "../../src/data/preprocessing.js";
import { runGraph } from "../../src/execute/node.js";
import { readModel } from "../../src/files/model_files.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { formWriters, type LayerForm, replaceLayers } from "../../src/layers/forms.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { countGraph } from "../../src/measure/count.js";
import { COMPRESSION_KEY } from "../../src/method/compression_record.js";
import { decompose } from "../../src/method/decompose.js";
import { exportModel } from "../../src/method/export.js";
import { pruneCoefficients } from "../../src/method/prune.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { verifyTypes } from "../../src/ops/inference/verify.js";
import { foldNormalization } from "../../src/ops/passes/fold_normalization.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { conv, node, randomTensor, smallGraph, smallNetwork } from "../../support/small_models.js";

const pruned = (batch: number | string = 1): Graph =>
  pruneCoefficients(decompose(smallNetwork(batch), { basis: 3 }), { factor: 1 }).graph;

async function onNode(graph: Graph | Uint8Array, feeds: ReadonlyMap<string, Tensor>): Promise<Float32Array> {
  const [y] = (await runGraph(graph, feeds)).values();
  assert(y !== undefined);
  return float32Data(y);
}

/** The first output in onnxruntime-web (WebAssembly, one thread). */
async function onWeb(bytes: Uint8Array, feeds: ReadonlyMap<string, Tensor>): Promise<Float32Array> {
  web.env.logLevel = "fatal";
  web.env.wasm.numThreads = 1;
  const session = await web.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  const tensors = [...feeds].map(([name, x]) => [name, new web.Tensor("float32", float32Data(x), x.dims)]);
  const outputs = await session.run(Object.fromEntries(tensors));
  await session.release();
  return outputs[session.outputNames[0] ?? ""]?.data as Float32Array;
}

function assertClose(actual: Float32Array, expected: Float32Array, tolerance: number): void {
  assert.equal(actual.length, expected.length);
  const differences = actual.map((value, index) => Math.abs(value - (expected[index] ?? NaN)));
  const worst = differences.reduce((most, difference) => Math.max(most, difference), 0);
  assert(worst <= tolerance && !differences.some(Number.isNaN), `off by ${worst}`);
}

test("BatchNormalization folds into coefficients exactly (1e-5); zeros and basis stay", async () => {
  const graph = pruned();
  const folded = foldNormalization(graph);
  verifyTypes(folded);
  assert(!folded.nodes.some((each) => each.op === "BatchNormalization"));
  const [before, after] = [graph, folded].map((each) => countGraph(each).layers[0]?.sparse?.nonZeros);
  assert.equal(after, before);
  assert.deepEqual(folded.initializers.get("w1.basis"), graph.initializers.get("w1.basis"));
  const feeds = new Map([["x", randomTensor([1, 2, 8, 8], 21)]]);
  assertClose(await onNode(folded, feeds), await onNode(graph, feeds), 1e-5);
});

test("BatchNormalization after a shared decomposed weight stays", () => {
  const statistics = { g: randomTensor([3], 1), b: randomTensor([3], 2), m: randomTensor([3], 3) };
  const graph = decompose(
    smallGraph(
      [1, 3, 6, 6],
      [
        conv({ name: "a", input: "x", weight: "w", kernel: 3 }),
        node("BatchNormalization", ["a", "g", "b", "m", "v"], "n"),
        conv({ name: "y", input: "n", weight: "w", kernel: 3 }),
      ],
      { w: randomTensor([3, 3, 3, 3], 4), ...statistics, v: statistics.g },
    ),
    { basis: 2 },
  );
  const folded = foldNormalization(graph);
  verifyTypes(folded);
  assert.equal(folded.nodes.length, graph.nodes.length);
});

for (const form of ["merged", "dense", "factored"] satisfies LayerForm[]) {
  test(`the ${form} form computes the same (1e-5), with stride and borders`, async () => {
    const strided = conv({ name: "y", input: "x", weight: "w", bias: "b", kernel: 3, stride: 2 });
    const graph = decompose(
      smallGraph([2, 3, 9, 7], [strided], { w: randomTensor([5, 3, 3, 3], 1), b: randomTensor([5], 2) }),
      { basis: 4 },
    );
    const layers = findDecompositions(graph);
    const replaced = replaceLayers(
      graph,
      new Map(layers.map((layer) => [layer.conv, formWriters[form](graph, layer)])),
    );
    verifyTypes(replaced);
    assert.equal(findDecompositions(replaced).length, form === "merged" ? 1 : 0);
    const feeds = new Map([["x", randomTensor([2, 3, 9, 7], 3)]]);
    assertClose(await onNode(replaced, feeds), await onNode(graph, feeds), 1e-5);
  });
}

/** One decomposed convolution from `channels` to as many, by default with half of its coefficients pruned. */
function oneLayer(channels: number, basis = 5, factor = 0.7): Graph {
  const layer = conv({ name: "y", input: "x", weight: "w", kernel: 3 });
  const graph = smallGraph(["N", channels, 8, 8], [layer], {
    w: randomTensor([channels, channels, 3, 3], 1),
  });
  return pruneCoefficients(decompose(graph, { basis }), { factor }).graph;
}

test("without measuring, the smaller of the two forms that run as a dense kernel is taken", async () => {
  for (const [start, expected] of [
    [oneLayer(9, 8, 0), "dense"],
    [oneLayer(16), "merged"],
  ] as const) {
    const { graph, layers } = await exportModel(start);
    const [layer] = layers;
    assert(layer !== undefined);
    assert.equal(layer.form, expected);
    assert.equal(layer.bytes.merged < layer.bytes.dense, expected === "merged");
    assert.equal(layer.milliseconds, undefined);
    assert.equal(findDecompositions(graph).length, expected === "merged" ? 1 : 0);
  }
});

test("the factored form is taken where it is measured to be clearly faster, and only there", async () => {
  const decide = async (dense: number, factored: number): Promise<string | undefined> =>
    (await exportModel(oneLayer(16), { measure: async () => [dense, factored] })).layers[0]?.form;
  assert.equal(await decide(1, 0.5), "factored");
  assert.equal(await decide(1, 0.99), "merged");
  assert.equal(await decide(1, 2), "merged");
});

test("within a limit on what is executed, layers are factored although that is not faster, as many as it takes", async () => {
  const layers = ["a", "y"].map((name, index) =>
    conv({ name, input: index === 0 ? "x" : "a", weight: `w${index}`, kernel: 3 }),
  );
  // The second layer is smaller, as the first has cut off the borders.
  const graph = smallGraph(["N", 16, 12, 12], layers, {
    w0: randomTensor([16, 16, 3, 3], 1),
    w1: randomTensor([16, 16, 3, 3], 2),
  });
  const start = decompose(graph, { basis: 3 });
  const executed = (made: Graph): number => countGraph(fixBatch(made, 1)).executedMacs;
  const forms = async (executedLimit?: number): Promise<string[]> => {
    const limit = executedLimit === undefined ? {} : { executedLimit };
    const made = await exportModel(start, { measure: async () => [1, 2], ...limit });
    if (executedLimit !== undefined && executedLimit > 0) assert.ok(executed(made.graph) <= executedLimit);
    return made.layers.map(({ form }) => (form === "factored" ? "factored" : "as a dense kernel"));
  };
  const most = executed(start);
  assert.deepEqual(await forms(), ["as a dense kernel", "as a dense kernel"]);
  assert.deepEqual(await forms(most), ["as a dense kernel", "as a dense kernel"]);
  assert.deepEqual(await forms(most - 1), ["factored", "as a dense kernel"]);
  assert.deepEqual(await forms(0), ["factored", "factored"]);
});

test("each graph that is measured runs alone on fixed inputs", async () => {
  const shapes: (readonly unknown[] | undefined)[] = [];
  await exportModel(pruned("N"), {
    measure: async (graphs) => {
      for (const graph of graphs) {
        verifyTypes(graph);
        shapes.push(graph.inputs[0]?.type?.shape);
        await onNode(graph, new Map([["x", randomTensor([1, 2, 8, 8], 5)]]));
      }
      return graphs.map(() => 1);
    },
  });
  assert.deepEqual(shapes, [
    [1, 2, 8, 8],
    [1, 2, 8, 8],
  ]);
});

test("preprocessing, class names and record travel with the file", async () => {
  const preprocessing: Preprocessing = { ...imagenetPreprocessing, mean: [0.1, 0.2], std: [1, 2] };
  const { graph } = await exportModel(pruned(), {
    preprocessing,
    classNames: [..."abcde"],
    record: { basis: 3 },
  });
  const read = decodeModel(encodeModel(graph, { sparse: true }));
  assert.deepEqual(readPreprocessing(read.metadata), preprocessing);
  assert.deepEqual(readClassNames(read.metadata), [..."abcde"]);
  assert.equal(read.metadata.get(COMPRESSION_KEY), '{"basis":3}');
});

test("class names of another number than the outputs are not written", async () => {
  for (const classNames of [[], ["cat", "dog"], [..."abcdef"]]) {
    const message = new RegExp(`expected 5 names for output "y" \\[1, 5\\], found ${classNames.length}: `);
    await assert.rejects(exportModel(pruned(), { classNames }), { code: "bad-option", message });
  }
});

test("the exported file computes the same logits in onnxruntime-node and onnxruntime-web (1e-4)", {
  skip: withoutShared("models"),
}, async () => {
  const original = simplify(await readModel(sharedPath("models/resnet20.onnx")));
  const compressed = pruneCoefficients(decompose(original, { basis: 7 }), { factor: 0.5 }).graph;
  const bytes = encodeModel((await exportModel(compressed)).graph, { sparse: true });
  const feeds = new Map([["input", randomTensor([2, 3, 32, 32], 7)]]);
  const expected = await onNode(compressed, feeds);
  assertClose(await onNode(bytes, feeds), expected, 1e-4);
  assertClose(await onWeb(bytes, feeds), expected, 1e-4);
});
