/**
 * Largest difference between the exported model of a run and its network before shrinking, on test images:
 * `npm run build && node dist/bench/export-agreement.js RUN [IMAGES]`
 */
import { largestDifference } from "../src/measure/agreement.js";
import { RunDirectory } from "../src/method/run/directory.js";
import { openFittingDataset } from "../src/method/run/pipeline.js";
import { readModel } from "../src/onnx/files.js";

const [root, images = "1000"] = process.argv.slice(2);
if (root === undefined) throw new Error("usage: export-agreement RUN [IMAGES]");
const run = await RunDirectory.open(root);
const unshrunk = await readModel(run.stagePath("fine-tune"));
const exported = await readModel(run.path("model.onnx"));
const split = await (await openFittingDataset(exported, run.config.data)).test();
const indices = Uint32Array.from({ length: Math.min(Number(images), split.count) }, (_, index) => index);
const result = await largestDifference(unshrunk, exported, split, run.config.preprocessing, indices);
console.log(
  `largest difference ${result.difference.toExponential(2)}, same predictions ${result.samePredictions} of ${result.images}`,
);
