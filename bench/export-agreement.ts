/**
 * Largest difference between the exported model of a run and its network before shrinking, on test images, and
 * between onnxruntime-web and onnxruntime-node on the exported file:
 * `npm run build && node dist/bench/export-agreement.js RUN [IMAGES]`
 */
import { readFile } from "node:fs/promises";
import * as web from "onnxruntime-web";
import { batches, planEvaluation } from "../src/data/index.js";
import { imageDims } from "../src/data/preprocessing.js";
import { openSession } from "../src/execute/node.js";
import { readModel } from "../src/files/model_files.js";
import { classifierInterface } from "../src/measure/accuracy.js";
import { largestDifference } from "../src/measure/difference.js";
import { RunDirectory } from "../src/run/directory.js";
import { openFittingDataset } from "../src/run/pipeline.js";

const WEB_IMAGES = 100;
const [root, images = "1000"] = process.argv.slice(2);
if (root === undefined) throw new Error("usage: export-agreement RUN [IMAGES]");
const run = await RunDirectory.open(root);
const { preprocessing } = run.config;
const exported = await readModel(run.path("model.onnx"));
const split = await (await openFittingDataset(exported, run.config.data, preprocessing)).test();
const indices = Uint32Array.from({ length: Math.min(Number(images), split.count) }, (_, index) => index);

const unshrunk = await readModel(run.stagePath("fine-tune"));
const result = await largestDifference(unshrunk, exported, split, preprocessing, indices);
console.log(
  `exported against unshrunk: largest difference ${result.difference.toExponential(2)}, ` +
    `same predictions ${result.samePredictions} of ${result.images}`,
);

const bytes = await readFile(run.path("model.onnx"));
const { input, output } = classifierInterface(exported, split, preprocessing);
const node = await openSession(bytes);
web.env.wasm.numThreads = 1;
const browser = await web.InferenceSession.create(new Uint8Array(bytes));
let difference = 0;
for (const batch of batches(
  planEvaluation(split, indices.slice(0, WEB_IMAGES), { batch: 1, preprocessing }),
)) {
  const dims = [1, ...imageDims(split, preprocessing)];
  const left = await node.run({ [input]: new web.Tensor("float32", batch.images, dims) }, [output]);
  const right = await browser.run({ [input]: new web.Tensor("float32", batch.images, dims) });
  const [a, b] = [left, right].map((results) => results[output]?.data as Float32Array | undefined);
  a?.forEach((score, k) => {
    difference = Math.max(difference, Math.abs(score - (b?.[k] ?? NaN)));
  });
}
console.log(`onnxruntime-web against onnxruntime-node: largest difference ${difference.toExponential(2)}`);
