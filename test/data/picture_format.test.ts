import assert from "node:assert/strict";
import { test } from "node:test";
import { describePictureFormat, type PictureOptions, pictureFormat } from "../../src/data/index.js";
import { int, ints } from "../../src/graph/attributes.js";
import {
  imagenetPreprocessing,
  PREPROCESSING_KEY,
  readPreprocessing,
} from "../../src/graph/image_metadata.js";
import type { ElementType, Graph, Node, Shape } from "../../src/graph/types.js";
import { node, smallGraph } from "../../support/small_models.js";

function taking(
  shape: Shape | undefined,
  {
    elementType = "float32",
    nodes = [],
    metadata,
  }: {
    readonly elementType?: ElementType;
    readonly nodes?: readonly Node[];
    readonly metadata?: object;
  } = {},
): Graph {
  const entries = metadata === undefined ? [] : [[PREPROCESSING_KEY, JSON.stringify(metadata)] as const];
  return {
    ...smallGraph([1], nodes.length > 0 ? nodes : [node("Relu", ["x"], "y")], {}),
    inputs: [{ name: "x", type: { elementType, shape } }],
    metadata: new Map(entries),
  };
}

const { mean, std } = imagenetPreprocessing;

test("the layout is what the shape, else the first reader shows", () => {
  const transpose = node("Transpose", ["x"], "y", { perm: ints([0, 3, 1, 2]) });
  const behindCast = [
    node("Cast", ["x"], "f", { to: int(1) }),
    node("Transpose", ["f"], "y", { perm: ints([0, 3, 1, 2]) }),
  ];
  const cases: readonly (readonly [Graph, string, string])[] = [
    [taking(["N", 3, 224, 224]), "NCHW", "input"],
    [taking(["N", 224, 224, 3]), "NHWC", "input"],
    [taking([1, undefined, undefined, 3]), "NHWC", "input"],
    [taking(["N", 3, "H", "W"]), "NCHW", "input"],
    [taking(["N", 28, 28, 1]), "NHWC", "input"],
    [taking(["N", 3, 3, 3]), "NCHW", "default"],
    [taking(["N", 3, 8, 3], { nodes: [transpose] }), "NHWC", "input"],
    [taking(["N", undefined, undefined, undefined], { nodes: [transpose] }), "NHWC", "input"],
    [taking(["N", 3, 8, 3], { nodes: behindCast }), "NHWC", "input"],
    [taking(undefined), "NCHW", "default"],
    [taking(["N", 3, 3, 3], { metadata: { ...imagenetPreprocessing, layout: "NHWC" } }), "NHWC", "metadata"],
  ];
  for (const [model, layout, origin] of cases) {
    const { preprocessing, origins } = pictureFormat(model);
    assert.deepEqual([preprocessing.layout, origins.layout], [layout, origin]);
  }
  assert.equal(pictureFormat(taking(["N", 3, 3, 3]), { layout: "NHWC" }).preprocessing.layout, "NHWC");
});

test("options, then metadata, then the input, then what is usual", () => {
  const colour = taking([1, 3, 8, 8]);
  const stated = { ...imagenetPreprocessing, mean: [0.1, 0.2, 0.3], std: [0.5, 0.6, 0.7] };
  const of = (model: Graph, options: PictureOptions = {}) => {
    const { preprocessing, origins } = pictureFormat(model, options);
    return { ...preprocessing, from: origins };
  };
  assert.deepEqual(pictureFormat(colour).preprocessing, imagenetPreprocessing);
  assert.equal(of(colour).from.mean, "default");
  const own = of(taking([1, 3, 8, 8], { metadata: stated }), { std: [1, 2, 3] });
  assert.deepEqual([own.mean, own.std], [stated.mean, [1, 2, 3]]);
  assert.deepEqual([own.from.mean, own.from.std, own.from.scale], ["metadata", "option", "metadata"]);
  // Mean and deviation belong to a scale ...
  const levels = of(colour, { scale: 255 });
  assert.deepEqual([levels.scale, levels.mean, levels.std], [1, [0, 0, 0], [1, 1, 1]]);
  const caffe = of(colour, { scale: 255, mean: [104, 117, 123], color: "bgr" });
  assert.deepEqual([caffe.mean, caffe.std, caffe.colour], [[104, 117, 123], [1, 1, 1], "bgr"]);
  assert.deepEqual(of(colour, { scale: 1 }).mean, mean);
  // ... and to colours.
  assert.deepEqual(of(colour, { color: "bgr" }).mean, mean.toReversed());
  assert.deepEqual(of(colour, { color: "bgr", mean: [1, 2, 3] }).mean, [1, 2, 3]);
  assert.deepEqual(of(colour, { color: "bgr" }).std, std.toReversed());
  assert.equal(of(taking([1, 1, 8, 8])).mean.length, 1);
});

test("uint8 takes levels as they are, and nothing else", () => {
  const model = taking([1, 8, 8, 3], { elementType: "uint8" });
  const { preprocessing, origins } = pictureFormat(model);
  assert.deepEqual([preprocessing.scale, preprocessing.mean, preprocessing.std], [1, [0, 0, 0], [1, 1, 1]]);
  assert.deepEqual([origins.scale, origins.layout], ["input", "input"]);
  assert.equal(pictureFormat(model, { color: "bgr" }).preprocessing.colour, "bgr");
  for (const options of [{ scale: 1 }, { mean: [1, 1, 1] }, { std: [2, 2, 2] }])
    assert.throws(() => pictureFormat(model, options), {
      code: "bad-option",
      message: /expected uint8: scale 255/,
    });
  assert.throws(() => pictureFormat(taking([1, 3, 8, 8]), { mean: [1, 2] }), { code: "bad-option" });
});

test("a line for people says everything, and who says so", () => {
  const model = taking([1, 8, 8, 3], { metadata: { ...imagenetPreprocessing, mean: [0.5, 0.5, 0.5] } });
  assert.equal(
    describePictureFormat(pictureFormat(model, { color: "bgr", resize: "stretch" })),
    "stretched, bicubic, BGR (option); NHWC (the model's input); " +
      "0 to 1, mean 0.5 0.5 0.5, std 0.225 0.224 0.229 (the model's metadata)",
  );
});

test("metadata from before resize and filter were stated are cut to proportion; unknown words are refused", () => {
  const { resize: _, filter: __, ...old } = imagenetPreprocessing;
  const read = (value: object) => readPreprocessing(new Map([[PREPROCESSING_KEY, JSON.stringify(value)]]));
  assert.deepEqual(read(old), imagenetPreprocessing);
  for (const wrong of [{ resize: "contain" }, { filter: "lanczos" }, { layout: "HWC" }, { colour: "hsv" }])
    assert.throws(() => read({ ...old, ...wrong }), {
      code: "bad-model",
      message: /penni\.preprocessing.*expected/,
    });
});

test("crop and frame: from options and metadata, as far as they go with the way pictures are resized", () => {
  const fitOf = (metadata: object, options: PictureOptions = {}) => {
    const model = taking([1, 3, 8, 8], { metadata: { ...imagenetPreprocessing, ...metadata } });
    const { resize, crop, pad } = pictureFormat(model, options).preprocessing;
    return [resize, crop, pad];
  };
  assert.deepEqual(fitOf({}), ["cover", undefined, undefined]);
  assert.deepEqual(fitOf({ crop: 0.875 }), ["cover", 0.875, undefined]);
  assert.deepEqual(fitOf({ crop: 0.875 }, { crop: 1 }), ["cover", undefined, undefined]);
  assert.deepEqual(fitOf({ crop: 0.875 }, { resize: "stretch" }), ["stretch", 0.875, undefined]);
  assert.deepEqual(fitOf({ crop: 0.875 }, { resize: "letterbox" }), [
    "letterbox",
    undefined,
    [114, 114, 114],
  ]);
  const framed = { resize: "letterbox", pad: [0, 1, 255] };
  assert.deepEqual(fitOf(framed), ["letterbox", undefined, [0, 1, 255]]);
  assert.deepEqual(fitOf(framed, { padColor: [9, 9, 9] }), ["letterbox", undefined, [9, 9, 9]]);
  assert.deepEqual(fitOf(framed, { resize: "cover" }), ["cover", undefined, undefined]);
  for (const wrong of [
    { resize: "letterbox" },
    { resize: "letterbox", pad: [1, 2] },
    { resize: "letterbox", pad: [1, 2, 256] },
    { ...framed, crop: 0.5 },
    { pad: [1, 2, 3] },
    { crop: 0 },
    { crop: 1.5 },
    { crop: 0.87512 },
    { crop: "0.5" },
  ])
    assert.throws(() => fitOf(wrong), {
      code: "bad-model",
      message: /penni\.preprocessing.*crop: thousandths/,
    });
  for (const wrong of [
    { padColor: [1, 2, 3] },
    { resize: "letterbox", padColor: [1, 2, 300] },
    { resize: "letterbox", padColor: [1] },
    { resize: "letterbox", crop: 0.5 },
    { crop: 0.12345 },
  ] satisfies PictureOptions[])
    assert.throws(() => fitOf({}, wrong), { code: "bad-option", message: /--resize (cover|letterbox)/ });
});

test("the line for people says what is cut off or added", () => {
  const line = (options: PictureOptions): string =>
    describePictureFormat(pictureFormat(taking([1, 3, 8, 8]), options));
  assert.match(line({ crop: 0.875 }), /^cut to proportion, bicubic, RGB, .*; the middle 87\.5 % \(option\)/);
  assert.match(
    line({ resize: "letterbox" }),
    /^kept whole, bicubic \(option\); a frame of 114 114 114, .*\(default\)/,
  );
  assert.match(line({ resize: "letterbox", padColor: [0, 0, 0] }), /a frame of 0 0 0 \(option\)/);
});

test("numbers that float32 lacks are refused, from metadata and from options", () => {
  const cases: readonly Partial<Record<"mean" | "std" | "scale", number[] | number>>[] = [
    { mean: [0.5, 1e39, 0.5] },
    { mean: [-1e39, 0, 0] },
    { std: [1, 1, 1e-46] },
    { std: [1e-39, 1, 1] },
    { scale: 1e37 },
    { mean: [3e38, 0, 0], std: [0.5, 1, 1] },
  ];
  for (const values of cases) {
    const metadata = { ...imagenetPreprocessing, mean: [0, 0, 0], std: [1, 1, 1], ...values };
    assert.throws(() => pictureFormat(taking(["N", 3, 8, 8], { metadata })), {
      code: "bad-model",
      message: /expected scale, mean and std that make every level a finite float32 number/,
    });
    const options = { mean: [0, 0, 0], std: [1, 1, 1], ...values } as PictureOptions;
    const { scale } = options;
    const wanted = scale === undefined ? options : { ...options, scale: 255 * scale };
    assert.throws(() => pictureFormat(taking(["N", 3, 8, 8]), wanted), {
      code: "bad-option",
      message: /Check --scale, --mean and --std/,
    });
  }
  const largest = { ...imagenetPreprocessing, mean: [-1e38, 1e38, 0], std: [1, 1, 1e-36] };
  assert.equal(pictureFormat(taking(["N", 3, 8, 8], { metadata: largest })).origins.mean, "metadata");
});
