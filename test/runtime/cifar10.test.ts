import assert from "node:assert/strict";
import { before, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { compileToWasm } from "../../src/compile/index.js";
import { allIndices, batches, planEvaluation } from "../../src/data/batches.js";
import { openDataset } from "../../src/data/open.js";
import { readModel } from "../../src/files/model_files.js";
import { imagenetPreprocessing } from "../../src/graph/image_metadata.js";
import type { Graph } from "../../src/graph/types.js";
import { decompose } from "../../src/method/decompose.js";
import { pruneCoefficients } from "../../src/method/prune.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { load } from "../../src/runtime/index.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { largestDifference, referenceOutput } from "./support.js";

setFlagsFromString("--experimental-wasm-relaxed-simd");

const IMAGES = 1000;
const CLASSES = 10;
/** Absolute, of logits. */
const TOLERANCE = 1e-3;

const model = "models/resnet20.onnx";
const skip = withoutShared(model) || withoutShared("data/cifar10");

let images: Float32Array;
before(async () => {
  if (skip !== false) return;
  const dataset = await openDataset(`cifar10:${sharedPath("data/cifar10")}`);
  const split = await dataset.test();
  const indices = allIndices(split).subarray(0, IMAGES);
  const [batch] = batches(
    planEvaluation(split, indices, { batch: IMAGES, preprocessing: imagenetPreprocessing }),
  );
  assert.ok(batch !== undefined);
  images = batch.images;
});

function predictions(logits: Float32Array): readonly number[] {
  return Array.from({ length: IMAGES }, (_, image) => {
    const scores = logits.subarray(image * CLASSES, (image + 1) * CLASSES);
    return scores.indexOf(Math.max(...scores));
  });
}

interface Network {
  readonly name: string;
  readonly make: (graph: Graph) => Graph;
  /** One build each: the contract suite has every kernel in both. */
  readonly relaxed: boolean;
}

const networks: readonly Network[] = [
  { name: "ResNet-20", make: (graph) => graph, relaxed: false },
  {
    name: "ResNet-20, decomposed and pruned",
    make: (graph) => pruneCoefficients(decompose(simplify(graph), { basis: 6 }), { factor: 0.5 }).graph,
    relaxed: true,
  },
];

for (const { name, make, relaxed } of networks) {
  test(`${name}: ONNX Runtime's logits and predictions on 1,000 test images`, { skip }, async () => {
    const graph = make(await readModel(sharedPath(model)));
    const expected = await referenceOutput(graph, [IMAGES, 3, 32, 32], images);
    const logits = (await load(compileToWasm(graph), { relaxed })).run(images);
    assert.ok(largestDifference(logits, expected) <= TOLERANCE);
    assert.deepEqual(predictions(logits), predictions(expected));
  });
}
