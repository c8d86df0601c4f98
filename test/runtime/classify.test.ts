import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runGraph } from "../../src/execute/node.js";
import { int } from "../../src/graph/attributes.js";
import { CLASS_NAMES_KEY, imagenetPreprocessing, PREPROCESSING_KEY } from "../../src/graph/image_metadata.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { type ImageLike, imageLevels, load, type Model } from "../../src/runtime/index.js";
import { node, smallGraph } from "../../support/small_models.js";
import { implementations } from "./implementations.js";
import { largestDifference, randomData, twoInputsAndOutputs } from "./support.js";

const preprocessing = { ...imagenetPreprocessing, mean: [0.1, 0.2, 0.3], std: [0.5, 0.6, 0.7] };

/** Its scores are its input's elements: [1, channels, 2, 3] to as many classes. */
function flattening(channels: number, metadata: Readonly<Record<string, unknown>> = {}): Graph {
  const entries = Object.entries({ [PREPROCESSING_KEY]: preprocessing, ...metadata });
  const graph = smallGraph([1, channels, 2, 3], [node("Flatten", ["x"], "y", { axis: int(1) })], {});
  return { ...graph, metadata: new Map(entries.map(([key, value]) => [key, JSON.stringify(value)])) };
}

function image(width: number, height: number): ImageLike {
  const data = Uint8ClampedArray.from(randomData(4 * width * height, width), (x) => 127.5 * (x + 1));
  return { width, height, data };
}

/** Softmax of an image's levels at the model's size, preprocessed, by ONNX Runtime. */
async function reference(picture: ImageLike): Promise<Float32Array> {
  const graph: Graph = {
    ...smallGraph(
      [1, 3, 2, 3],
      [
        node("Mul", ["x", "scale"], "scaled"),
        node("Sub", ["scaled", "mean"], "centred"),
        node("Div", ["centred", "std"], "normalized"),
        node("Flatten", ["normalized"], "flat", { axis: int(1) }),
        node("Softmax", ["flat"], "y", { axis: int(1) }),
      ],
      {
        scale: float32Tensor([1], [preprocessing.scale]),
        mean: float32Tensor([3, 1, 1], preprocessing.mean),
        std: float32Tensor([3, 1, 1], preprocessing.std),
      },
    ),
    outputs: [{ name: "y", type: { elementType: "float32", shape: [1, 18] } }],
  };
  const levels = float32Tensor([1, 3, 2, 3], [...imageLevels(picture, [3, 2, 3])]);
  const [probabilities] = (await runGraph(graph, new Map([["x", levels]]))).values();
  assert.ok(probabilities !== undefined);
  return float32Data(probabilities);
}

for (const { name, skip, source } of implementations) {
  describe(name, { skip }, () => {
    test("images of any size: resized, preprocessed and through a softmax as in ONNX Runtime", async () => {
      const model = await load(await source(flattening(3)));
      for (const picture of [image(3, 2), image(7, 5), image(2, 9), image(1, 1), image(64, 48)]) {
        const scores = model.classify(picture);
        const probabilities = scores
          .toSorted((a, b) => a.index - b.index)
          .map(({ probability }) => probability);
        assert.ok(largestDifference(probabilities, await reference(picture)) < 1e-6);
      }
    });

    test("the channels' order, the layout and the proportions are those of the metadata", async () => {
      const pixels = [10, 20, 30, 40].flatMap((red) => [red, red + 100, red + 200, 255]);
      const picture: ImageLike = { width: 4, height: 1, data: Uint8Array.from(pixels) };
      const model = async (dims: readonly number[], stated: object): Promise<Model> => {
        const metadata = { ...preprocessing, mean: [0, 0, 0], std: [1, 1, 1], scale: 1, ...stated };
        return load(
          await source({
            ...smallGraph(dims, [node("Flatten", ["x"], "y", { axis: int(1) })], {}),
            metadata: new Map([[PREPROCESSING_KEY, JSON.stringify(metadata)]]),
          }),
        );
      };
      const planes = await model([1, 3, 1, 2], {});
      assert.deepEqual([...planes.prepare(picture)], [20, 30, 120, 130, 220, 230]);
      const pixelwise = await model([1, 1, 2, 3], { layout: "NHWC" });
      assert.deepEqual([...pixelwise.prepare(picture)], [20, 120, 220, 30, 130, 230]);
      const blueFirst = await model([1, 1, 2, 3], { layout: "NHWC", colour: "bgr", mean: [200, 0, 0] });
      assert.deepEqual([...blueFirst.prepare(picture)], [20, 120, 20, 30, 130, 30]);
      // Weights at 1/4 and 3/4 of the cubic's reach, and at 5/4 (times 256: 222, 58, -18).
      const stretched = await model([1, 3, 1, 2], { resize: "stretch" });
      assert.deepEqual([...stretched.prepare(picture)].slice(0, 2), [
        Math.round((222 * 10 + 222 * 20 + 58 * 30 - 18 * 40) / (2 * 222 + 58 - 18)),
        Math.round((222 * 40 + 222 * 30 + 58 * 20 - 18 * 10) / (2 * 222 + 58 - 18)),
      ]);
      await assert.rejects(
        async () => (await model([1, 1, 2, 3], {})).prepare(picture),
        /expected a model of one image.*found \[1, 1, 2, 3\]|expected a preprocessing of 1 channels.*found 3/,
      );
    });

    test("classes come most probable first, with their names or numbers", async () => {
      const names = Array.from({ length: 18 }, (_, index) => `class ${index}`);
      const named = await load(await source(flattening(3, { [CLASS_NAMES_KEY]: names })));
      assert.deepEqual(named.classNames, names);
      const scores = named.classify(image(5, 5));
      assert.deepEqual(
        scores.map(({ probability }) => probability),
        scores.map(({ probability }) => probability).toSorted((a, b) => b - a),
      );
      for (const { index, name } of scores) assert.equal(name, names[index]);
      const unnamed = await load(await source(flattening(3)));
      for (const { index, name } of unnamed.classify(image(5, 5))) assert.equal(name, `${index}`);
    });

    test("a model of one channel sees grey", async () => {
      const grey = { ...preprocessing, mean: [0], std: [1] };
      const model = await load(await source(flattening(1, { [PREPROCESSING_KEY]: grey })));
      const pixel = (r: number, g: number, b: number) => [r, g, b, 255];
      const data = Uint8ClampedArray.of(
        ...[...pixel(255, 0, 0), ...pixel(0, 255, 0), ...pixel(0, 0, 255)],
        ...[...pixel(255, 255, 255), ...pixel(0, 0, 0), ...pixel(50, 50, 50)],
      );
      const levels = [76, 150, 29, 255, 0, 50].map((level) => level / 255);
      const total = levels.reduce((sum, level) => sum + Math.exp(level), 0);
      for (const { index, probability } of model.classify({ width: 3, height: 2, data })) {
        assert.ok(Math.abs(probability - Math.exp(levels[index] ?? 0) / total) < 1e-6);
      }
    });

    test("scores that are probabilities already stay as they are", async () => {
      const plain = { ...preprocessing, mean: [0], std: [1] };
      const model = await load(await source(flattening(1, { [PREPROCESSING_KEY]: plain })));
      const data = new Uint8ClampedArray(24);
      for (const [index, level] of [51, 153, 0, 51, 0, 0].entries())
        data.set([level, level, level, 255], 4 * index);
      const [first, second] = model.classify({ width: 3, height: 2, data });
      assert.deepEqual([first?.index, second?.index], [1, 0]);
      assert.ok(Math.abs((first?.probability ?? 0) - 0.6) < 1e-6);
    });

    test("no classifier, no preprocessing, no image: said so", async () => {
      const picture = image(3, 2);
      const two = await load<Record<string, Float32Array>>(await source(twoInputsAndOutputs()));
      assert.throws(() => two.classify(picture), {
        name: "TypeError",
        message: /^classify: expected a model with one row of scores, found \[1, 4\], \[1, 4\]$/,
      });
      const map = await load(await source(smallGraph([1, 3, 4, 4], [node("Relu", ["x"], "y")], {})));
      assert.throws(() => map.classify(picture), /one row of scores, found \[1, 3, 4, 4\]$/);
      assert.throws(() => two.prepare(picture), {
        name: "TypeError",
        message: /^expected a model of one image, \[1, 3 or 1, height, width\], found \[1, 4\], \[1, 4\]$/,
      });
      const unstated = await load(await source({ ...flattening(3), metadata: new Map() }));
      assert.throws(() => unstated.classify(picture), /expected a preprocessing of 3 channels.*found none$/);
      const model = await load(await source(flattening(3)));
      for (const wrong of [
        { ...picture, width: 4 },
        { width: 0, height: 0, data: new Uint8ClampedArray(0) },
        { ...picture, data: new Float32Array(24) },
        { ...picture, data: undefined },
      ]) {
        assert.throws(
          () => model.classify(wrong as ImageLike),
          /expected 4 bytes per pixel \(RGBA\), found /,
        );
      }
    });
  });
}
