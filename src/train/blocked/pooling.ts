import { ints } from "../../graph/attributes.js";
import { elementCount } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";
import { STEEP } from "../../ops/clip_gradient.js";
import { compositeInputs } from "../../ops/composite.js";
import { div, mul, sub } from "../../ops/emit.js";
import { poolWindow } from "../../ops/pool.js";
import type { StaticWindow } from "../../ops/window.js";
import { CLIP_01, type Layouts } from "./layouts.js";

/** MaxPool, AveragePool and GlobalAveragePool: the runtime has each of them for blocked images too. */
export function pooling(layouts: Layouts, node: Node): boolean {
  const [x = ""] = node.inputs;
  const [y = "", indices] = node.outputs;
  if (!layouts.isBlocked(x) || (indices !== undefined && indices !== "")) return false;
  const value = layouts.emit(
    node.op,
    [layouts.blocked(x)],
    layouts.blockedDims(y),
    Object.fromEntries(node.attributes),
  );
  layouts.setBlocked(y, value);
  return true;
}

/**
 * MaxPoolGradient where the windows tile the image: each maximum, repeated over its window, is compared with the
 * window's elements; those equal to it share dy.
 */
export function maxPoolGradient(layouts: Layouts, node: Node): boolean {
  const [dy = "", x = "", y = ""] = compositeInputs(node, 3);
  const [dx = ""] = node.outputs;
  if (!layouts.isBlocked(x) || !layouts.isBlocked(y)) return false;
  const dims = layouts.blockedDims(x);
  const [, channels = 1] = dims;
  const window = poolWindow(node, layouts.dims(x));
  const { kernel } = window;
  if (!isTiling(window, dims.slice(2))) return false;
  const { b } = layouts;
  const below = sub(b, layouts.repeat(layouts.blocked(y), kernel), layouts.blocked(x));
  const isMaximum = layouts.scale(below, layouts.fill(channels, -STEEP), {
    bias: layouts.fill(channels, 1),
    activation: CLIP_01,
  });
  const share = layouts.emit("AveragePool", [isMaximum], layouts.blockedDims(y), {
    kernel_shape: ints(kernel),
    strides: ints(kernel),
  });
  const maxima = mul(b, share, b.scalar(elementCount(kernel)));
  const shared = layouts.repeat(div(b, layouts.blocked(dy), maxima), kernel);
  layouts.setBlocked(dx, mul(b, shared, isMaximum));
  return true;
}

/** Whether every element lies in exactly one window. */
function isTiling({ kernel, strides, dilations, pads }: StaticWindow, input: readonly number[]): boolean {
  return (
    kernel.every((size, axis) => strides[axis] === size && (input[axis] ?? 0) % size === 0) &&
    dilations.every((dilation) => dilation === 1) &&
    pads.every((pad) => pad === 0)
  );
}

/** ChannelSum of a blocked image. */
export function channelSum(layouts: Layouts, node: Node): boolean {
  const [x = ""] = compositeInputs(node, 1);
  const [sum = ""] = node.outputs;
  if (!layouts.isBlocked(x)) return false;
  layouts.setPlain(sum, layouts.channelSum(layouts.blocked(x), layouts.dims(x)[1] ?? 1));
  return true;
}
