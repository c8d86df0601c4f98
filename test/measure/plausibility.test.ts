import assert from "node:assert/strict";
import { before, test } from "node:test";
import {
  allIndices,
  openDataset,
  type PictureOptions,
  pictureFormat,
  type Split,
} from "../../src/data/index.js";
import { readModel } from "../../src/files/model_files.js";
import { float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { pictureWarning } from "../../src/measure/plausibility.js";
import { blueFirst, forScale, pixelwise } from "../../support/picture_variants.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const skip = withoutShared("models/resnet20.onnx") || withoutShared("data/cifar10");
let split: Split;
before(async () => {
  if (skip !== false) return;
  split = await (await openDataset(`cifar10:${sharedPath("data/cifar10")}`)).test();
});

type Model = "resnet20" | "resnet20_folded" | "resnet56";

async function warning(
  model: Model,
  options: PictureOptions = {},
  change: (graph: Graph) => Graph = (graph) => graph,
): Promise<string | undefined> {
  const graph = change(await readModel(sharedPath(`models/${model}.onnx`)));
  const { preprocessing } = pictureFormat(graph, options);
  return pictureWarning(graph, { split, indices: allIndices(split).subarray(100, 164), preprocessing });
}

const fine: readonly Parameters<typeof warning>[] = [
  ["resnet20"],
  ["resnet56"],
  ["resnet20_folded"],
  ["resnet20", {}, pixelwise],
  ["resnet20", { color: "bgr" }, blueFirst],
  ["resnet20", { scale: 255, mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] }],
];

test("no warning where pictures are taken as in training", { skip }, async () => {
  for (const request of fine) assert.equal(await warning(...request), undefined);
});

const wrong: readonly (readonly [...Parameters<typeof warning>, RegExp])[] = [
  [
    "resnet20",
    { scale: 255 },
    (graph) => graph,
    /expects a variance of [\d.]+ .*give \d+.*: --scale 1 --mean 0.485,0.456,0.406 .*fits better/,
  ],
  [
    "resnet20",
    { mean: [0, 0, 0], std: [1, 1, 1] },
    (graph) => graph,
    /--scale 1 --mean 0.485,0.456,0.406 .*fits better/,
  ],
  [
    "resnet56",
    { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    (graph) => graph,
    /--mean 0.485,0.456,0.406 /,
  ],
  ["resnet20", { color: "bgr" }, (graph) => graph, /--color rgb fits better/],
  ["resnet56", {}, blueFirst, /--color bgr fits better/],
  [
    "resnet20",
    {},
    (graph) => pixelwise(forScale(graph, 57)),
    /: --scale 255 --mean 123.675,116.28,103.53 --std 1,1,1 fits better/,
  ],
  [
    "resnet20_folded",
    { scale: 255 },
    (graph) => graph,
    /bias is 0\.0\d+ times .*hardly matters: --scale 1\?$/,
  ],
  [
    "resnet20_folded",
    {},
    (graph) => forScale(graph, 57),
    /bias is \d+ times .*hardly matter: --scale 255\?$/,
  ],
];

for (const [index, [model, options, change, message]] of wrong.entries()) {
  test(`a warning with a suggestion where they are not: ${index} ${model} ${JSON.stringify(options)}`, {
    skip,
  }, async () => {
    assert.match((await warning(model, options, change)) ?? "none", message);
  });
}

test("nothing is said of networks that were never trained", async () => {
  const graph = tinyCnn();
  const untrained = new Map(
    [...graph.initializers].map(([name, tensor]) => {
      const node = graph.nodes.find(
        ({ op, inputs }) => op === "BatchNormalization" && inputs.slice(3).includes(name),
      );
      if (node === undefined) return [name, tensor];
      return [
        name,
        float32Tensor(tensor.dims, new Float32Array(tensor.dims[0] ?? 0).fill(node.inputs.indexOf(name) - 3)),
      ];
    }),
  );
  const images = await (await openDataset("synthetic:20", { imageSize: { width: 16, height: 16 } })).train();
  const { preprocessing } = pictureFormat(graph);
  const request = { split: images, indices: allIndices(images), preprocessing };
  assert.equal(await pictureWarning({ ...graph, initializers: untrained }, request), undefined);
});

/** The network with every value of its first convolution's weight in place of what it was. */
const firstWeight =
  (value: number) =>
  (graph: Graph): Graph => {
    const name = graph.nodes.find(({ op }) => op === "Conv")?.inputs[1] ?? "";
    const { dims = [] } = graph.initializers.get(name) ?? {};
    const size = dims.reduce((product, dim) => product * dim, 1);
    return {
      ...graph,
      initializers: new Map([
        ...graph.initializers,
        [name, float32Tensor(dims, new Float32Array(size).fill(value))],
      ]),
    };
  };

test("a first convolution that makes nothing of the pictures is said to, without figures", {
  skip,
}, async () => {
  for (const model of ["resnet20", "resnet20_folded"] as const) {
    assert.match(
      (await warning(model, {}, firstWeight(0))) ?? "",
      /^what the first (BatchNormalization is given|convolution computes) is the same for all of these pictures: check/,
    );
    assert.match(
      (await warning(model, {}, firstWeight(Number.NaN))) ?? "",
      /for these pictures is not finite: check/,
    );
  }
});
