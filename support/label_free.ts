import { mkdirSync } from "node:fs";
import path from "node:path";
import sharp from "sharp";
import { imagePixels, openDataset } from "../src/data/index.js";
import { floats, int, ints, text } from "../src/graph/attributes.js";
import type { Attribute, Graph } from "../src/graph/types.js";
import { Network } from "./network.js";

/** Height and width of the images that these networks take. */
export const SIZE = 16;

function named(
  net: Network,
  op: string,
  inputs: readonly string[],
  name: string,
  attributes: Readonly<Record<string, Attribute>> = {},
): string {
  return net.b.emit(op, inputs, { attributes, outputs: [name] });
}

function backbone(net: Network): string {
  const stem = net.relu(net.conv("x", 8, { pad: 1, bias: true }));
  return net.relu(net.conv(stem, 12, { pad: 1, stride: 2, bias: true }));
}

/** [N, boxes · size, 8, 8] as [N, boxes · 64, size], as heads of single-shot detectors do. */
function perBox(net: Network, x: string, size: number): string {
  const last = net.b.emit("Transpose", [x], { attributes: { perm: ints([0, 2, 3, 1]) } });
  return net.b.emit("Reshape", [last, net.b.axes([0, -1, size])]);
}

/**
 * A single-shot detector with two boxes of three classes at each of 8x8 places: "boxes" [N, 128, 4], "scores"
 * [N, 128, 3] out of a softmax, and "best" int64 [N, 128].
 */
export function tinyDetector(seed = 1): Graph {
  const net = new Network(seed, [3, SIZE, SIZE]);
  const features = backbone(net);
  const boxes = perBox(net, net.conv(features, 8, { pad: 1, bias: true }), 4);
  const scores = perBox(net, net.conv(features, 6, { pad: 1, bias: true }), 3);
  // Large numbers, as coordinates in pixels are.
  named(net, "Mul", [boxes, net.b.scalar(50)], "boxes");
  named(net, "Softmax", [scores], "scores", { axis: int(-1) });
  named(net, "ArgMax", ["scores"], "best", { axis: int(2), keepdims: int(0) });
  return net.graph(["boxes", "scores", "best"]);
}

/**
 * What `tinyDetector` finds in one tensor, as YOLO since version 8 gives it: "found" [N, 4 + 3, 128], coordinates in pixels
 * and scores out of a sigmoid.
 */
export function tinyMixedDetector(seed = 1): Graph {
  const net = new Network(seed, [3, SIZE, SIZE]);
  const features = backbone(net);
  const boxes = perBox(net, net.conv(features, 8, { pad: 1, bias: true }), 4);
  const scores = perBox(net, net.conv(features, 6, { pad: 1, bias: true }), 3);
  const pixels = net.op("Mul", [boxes, net.b.scalar(300)]);
  const rows = net.op("Concat", [pixels, net.op("Sigmoid", [scores])], { axis: int(2) });
  named(net, "Transpose", [rows], "found", { perm: ints([0, 2, 1]) });
  return net.graph(["found"]);
}

/** A U-Net of two levels with a transposed convolution: "mask_logits" [N, 3, 16, 16]. */
export function tinyUNet(seed = 2): Graph {
  const net = new Network(seed, [3, SIZE, SIZE]);
  const fine = net.relu(net.conv("x", 8, { pad: 1, bias: true }));
  const coarse = net.relu(net.conv(fine, 12, { pad: 1, stride: 2, bias: true }));
  const weight = net.parameter("up", [12, 8, 2, 2], -0.2, 0.2);
  const up = net.op("ConvTranspose", [coarse, weight], { strides: ints([2, 2]) });
  const joined = net.op("Concat", [up, fine], { axis: int(1) });
  const mixed = net.relu(net.conv(joined, 8, { pad: 1, bias: true }));
  named(net, "Conv", [mixed, net.parameter("head", [3, 8, 1, 1])], "mask_logits");
  return net.graph(["mask_logits"]);
}

/** The same with a nearest-neighbour Resize, and a map of probabilities out of a sigmoid: "mask" [N, 1, 16, 16]. */
export function tinyMatting(seed = 3): Graph {
  const net = new Network(seed, [3, SIZE, SIZE]);
  const coarse = backbone(net);
  const scales = net.b.floats("scales", [4], [1, 1, 2, 2]);
  const resized = net.op("Resize", [coarse, "", scales], {
    mode: text("nearest"),
    coordinate_transformation_mode: text("asymmetric"),
    nearest_mode: text("floor"),
  });
  named(net, "Sigmoid", [net.conv(resized, 1, { pad: 1, bias: true })], "mask");
  return net.graph(["mask"]);
}

/** Four numbers per image, "position" [N, 4], and a constant beside them, "anchors" [2, 2]. */
export function tinyRegressor(seed = 4): Graph {
  const net = new Network(seed, [3, SIZE, SIZE]);
  const pooled = net.op("Flatten", [net.op("GlobalAveragePool", [backbone(net)])], { axis: int(1) });
  const weight = net.parameter("matrix", [12, 4]);
  named(net, "MatMul", [pooled, weight], "position");
  named(net, "Constant", [], "anchors", { value_floats: floats([1, 2, 3, 4]) });
  return net.graph(["position", "anchors"]);
}

/** Writes so many synthetic images as PNG files, without class folders. */
export async function writeImages(folder: string, count: number): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const dataset = await openDataset(`synthetic:${count}`, { imageSize: { width: SIZE, height: SIZE } });
  const split = await dataset.train();
  for (let index = 0; index < count; index++) {
    const planar = imagePixels(split, index);
    const plane = SIZE * SIZE;
    const interleaved = Uint8Array.from(
      planar,
      (_, at) => planar[(at % 3) * plane + Math.floor(at / 3)] ?? 0,
    );
    const raw = { width: SIZE, height: SIZE, channels: 3 } as const;
    await sharp(interleaved, { raw })
      .png()
      .toFile(path.join(folder, `${index}.png`));
  }
}

/**
 * A detector as those of faces are: at each of three strides probabilities out of a sigmoid, boxes and five landmarks,
 * with all anchors in rows: nine outputs, "score_8" [64, 1], "box_8" [64, 4], "marks_8" [64, 10], and so on. The
 * probabilities of nearly all anchors are small.
 */
export function nineOutputDetector(seed = 6): Graph {
  const net = new Network(seed, [3, SIZE, SIZE], 17, [1, 3, SIZE, SIZE]);
  let x = net.relu(net.conv("x", 8, { pad: 1, bias: true }));
  const outputs: string[] = [];
  for (const stride of [8, 16, 32]) {
    x = net.relu(net.conv(x, 12, { pad: 1, stride: 2, bias: true }));
    const head = (size: number): string => {
      const last = net.op("Transpose", [net.conv(x, size, { pad: 1, bias: true })], {
        perm: ints([0, 2, 3, 1]),
      });
      return net.op("Reshape", [last, net.b.axes([-1, size])]);
    };
    const logits = net.op("Sub", [head(1), net.b.scalar(2)]);
    named(net, "Sigmoid", [logits], `score_${stride}`);
    named(net, "Mul", [head(4), net.b.scalar(stride)], `box_${stride}`);
    named(net, "Mul", [head(10), net.b.scalar(stride)], `marks_${stride}`);
    outputs.push(...["score", "box", "marks"].map((name) => `${name}_${stride}`));
  }
  return net.graph(outputs);
}

/** Twice as many pixels per side, by sub-pixel convolution: "image" [N, 3, 32, 32]. */
export function tinySuperResolver(seed = 7): Graph {
  const net = new Network(seed, [3, SIZE, SIZE]);
  const features = net.relu(net.conv(net.relu(net.conv("x", 12, { pad: 1, bias: true })), 12, { pad: 1 }));
  named(net, "DepthToSpace", [net.conv(features, 12, { pad: 1, bias: true })], "image", {
    blocksize: int(2),
  });
  return net.graph(["image"]);
}
