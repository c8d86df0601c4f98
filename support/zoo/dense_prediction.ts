import { int, ints, text } from "../../src/graph/attributes.js";
import { int64Tensor } from "../../src/graph/tensor.js";
import type { Attribute } from "../../src/graph/types.js";
import { finished, Layers, type ZooNetwork } from "./layers.js";

/** How a decoder enlarges: ConvTranspose, Resize by scales, or Resize to the size of another value. */
export type Enlargement = "transpose" | "nearest" | "bilinear";

const bilinear: Readonly<Record<string, Attribute>> = {
  mode: text("linear"),
  coordinate_transformation_mode: text("align_corners"),
  nearest_mode: text("floor"),
};

/** Resize to the height and width of `like`, as `F.interpolate(x, size=like.shape[-2:])` is exported. */
function resizeLike(net: Layers, x: string, like: string): string {
  const range = (name: string, start: number, end: number): string =>
    net.op("Slice", [net.op("Shape", [name]), net.b.axes([start]), net.b.axes([end]), net.b.axes([0])]);
  const sizes = net.op("Concat", [range(x, 0, 2), range(like, 2, 4)], { axis: int(0) });
  return net.op("Resize", [x, "", "", sizes], bilinear);
}

/** U-Net (Ronneberger et al. 2015): encoder and decoder with skip connections that are concatenated. */
export function unet(enlargement: Enlargement): ZooNetwork {
  const net = new Layers(51, [3, 16, 16]);
  const twice = (x: string, width: number): string => net.unit(net.unit(x, width), width);
  const pool = (x: string): string => net.maxPool(x, { kernel: 2, stride: 2 });
  const enlarge = (x: string, like: string, width: number): string => {
    if (enlargement === "transpose") return transposedConvolution(net, x, width);
    if (enlargement === "bilinear") return net.unit(resizeLike(net, x, like), width);
    const scales = net.b.floats("scales", [4], [1, 1, 2, 2]);
    const attributes = {
      mode: text("nearest"),
      coordinate_transformation_mode: text("asymmetric"),
      nearest_mode: text("floor"),
    };
    return net.unit(net.op("Resize", [x, "", scales], attributes), width);
  };
  const first = twice("x", 8);
  const second = twice(pool(first), 12);
  const bottom = twice(pool(second), 16);
  const upper = twice(net.concat([second, enlarge(bottom, second, 12)]), 12);
  const top = twice(net.concat([first, enlarge(upper, first, 8)]), 8);
  return finished(net, net.layer(top, 2, { kernel: 1, bias: true }));
}

function transposedConvolution(net: Layers, x: string, width: number): string {
  const weight = net.parameter("up.weight", [net.channels(x), width, 2, 2], -0.5, 0.5);
  return net.op("ConvTranspose", [x, weight, net.parameter("up.bias", [width], -0.2, 0.2)], {
    kernel_shape: ints([2, 2]),
    strides: ints([2, 2]),
    pads: ints([0, 0, 0, 0]),
    dilations: ints([1, 1]),
    group: int(1),
  });
}

/**
 * DeepLab v3 (Chen et al. 2017): dilated convolutions side by side, a branch of one pixel that is enlarged again, and the
 * result enlarged to the size of the input, all by its Shape.
 */
export function deeplab(): ZooNetwork {
  const net = new Layers(52, [3, 19, 17]);
  let x = net.unit(net.unit("x", 12, { stride: 2 }), 16, { stride: 2 });
  x = net.relu(net.add(x, net.normalized(net.unit(x, 16, { dilation: 2 }), 16, { dilation: 2 })));
  const pooled = resizeLike(net, net.unit(net.globalPool(x), 8, { kernel: 1 }), x);
  const branches = [1, 2, 3].map((dilation) => net.unit(x, 8, { dilation }));
  const all = net.concat([net.unit(x, 8, { kernel: 1 }), ...branches, pooled]);
  const head = net.unit(net.op("Dropout", [net.unit(all, 12, { kernel: 1 })]), 12);
  return finished(net, resizeLike(net, net.layer(head, 3, { kernel: 1, bias: true }), "x"));
}

/**
 * Single-shot detector (Liu et al. 2016): heads of classes and boxes on several maps, channels last and flattened, joined
 * over the maps; class scores through Softmax, boxes decoded from offsets to anchors.
 */
export function detector(): ZooNetwork {
  const net = new Layers(53, [3, 24, 24]);
  const [classes, anchors] = [3, 2];
  const head = (x: string, values: number): string => {
    const map = net.layer(net.unit(x, net.channels(x), { group: net.channels(x) }), anchors * values, {
      kernel: 1,
      bias: true,
    });
    return net.view(net.transpose(map, [0, 2, 3, 1]), [-1, values]);
  };
  const first = net.unit(net.unit("x", 12, { stride: 2 }), 16, { stride: 2 });
  const second = net.unit(net.unit(first, 8, { kernel: 1 }), 16, { stride: 2 });
  const third = net.unit(net.unit(second, 8, { kernel: 1 }), 16, { pad: 0 });
  const maps = [first, second, third];
  const scores = net.concat(maps.map((map) => head(map, classes)));
  const offsets = net.concat(maps.map((map) => head(map, 4)));
  return finished(net, net.op("Softmax", [scores], { axis: int(-1) }), decodedBoxes(net, offsets));
}

/** [centre, size] offsets to corners: centre · 0.1 · size of the anchor + its centre, exp of the sizes. */
function decodedBoxes(net: Layers, offsets: string): string {
  const count = net.channels(offsets);
  const anchor = (stem: string, low: number): string => net.parameter(stem, [count, 1], low, 1);
  const [sizes, centres] = [anchor("sizes", 0.2), anchor("centres", 0)];
  const column = (index: number): string => {
    const position = net.b.constant("column", int64Tensor([1], [index]));
    return net.op("Gather", [offsets, position], { axis: int(2) });
  };
  const corners = [0, 1].map((axis) => {
    const centre = net.add(net.mul(net.mul(column(axis), net.scalar(0.1)), sizes), centres);
    const half = net.mul(net.mul(net.op("Exp", [column(axis + 2)]), sizes), net.scalar(0.5));
    return [net.op("Sub", [centre, half]), net.add(centre, half)];
  });
  return net.concat(
    [0, 1].flatMap((side) => corners.map((corner) => corner[side] ?? "")),
    2,
  );
}
