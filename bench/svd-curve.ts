/**
 * Accuracy of ResNet-20 after replacing every 3x3 kernel by its best rank-d approximation, without training,
 * beside PyTorch's figures in ../shared/golden. Usage: node dist/bench/svd-curve.js [IMAGES]
 */
import { readFileSync } from "node:fs";
import { allIndices, imagenetPreprocessing, openDataset } from "../src/data/index.js";
import { readModel } from "../src/files/model_files.js";
import { evaluate } from "../src/measure/accuracy.js";
import { decompose } from "../src/method/decompose.js";
import { sharedPath } from "../support/shared.js";

interface Golden {
  readonly resnet20: { readonly svd_rank_accuracy: Readonly<Record<string, number>> };
}

const golden = JSON.parse(readFileSync(sharedPath("golden/resnet-cifar10.json"), "utf8")) as Golden;
const model = await readModel(sharedPath("models/resnet20.onnx"));
const dataset = await openDataset(`cifar10:${sharedPath("data/cifar10")}`);
const split = await dataset.test();
const indices = allIndices(split).subarray(0, Number(process.argv[2] ?? split.count));

process.stdout.write("d   Penni    PyTorch (10,000 images)\n");
for (const [rank, reference] of Object.entries(golden.resnet20.svd_rank_accuracy)) {
  const approximate = decompose(model, { basis: Number(rank) });
  const { top1 } = await evaluate(approximate, split, imagenetPreprocessing, { indices });
  process.stdout.write(`${rank}   ${(100 * top1).toFixed(2)} %  ${(100 * reference).toFixed(2)} %\n`);
}
