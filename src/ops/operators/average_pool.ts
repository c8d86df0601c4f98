import { at } from "../../graph/at.js";
import { int, intAttribute, ints } from "../../graph/attributes.js";
import { elementCount } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";
import { averagePoolChannels } from "../channels/pooling.js";
import { checkConstantSize } from "../core/arguments.js";
import { emitCompositeValue } from "../core/composite.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { mul } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import type { StaticWindow } from "../core/window.js";
import { unaryGradient } from "../families/elementwise.js";
import { pooledType, poolWindow } from "../families/pool.js";
import { spreadMean } from "../families/reduce.js";

/**
 * y = mean of x [N, C, spatial...] over windows (ONNX AveragePool, opset 7 and later): of the elements inside
 * the input, or inside the padded input with `count_include_pad`.
 * dx = Σ over the windows that hold x of dy / count, a transposed convolution of dy / count with ones.
 */
export const AveragePool: OpDefinition = {
  type: "AveragePool",
  cost: noProducts,
  onBlocks: true,
  elements: "averaged",
  shape: (context) => [pooledType(context)],
  channels: averagePoolChannels,
  gradient: unaryGradient(({ b, node, x, dy }) => {
    const dims = b.dims(x);
    const window = poolWindow(node, dims);
    if (isWholeImage(window, dims.slice(2))) return spreadMean(b, dy, elementCount(dims.slice(2)), dims);
    checkConstantSize(node, at(dims, 1) * elementCount(window.kernel));
    const scaled = mul(b, dy, inverseCounts(b, node, window, dims.slice(2)));
    return sumWindows(b, scaled, window, dims);
  }),
};

/** Whether the only window is the input itself. */
function isWholeImage({ kernel, output, pads, dilations }: StaticWindow, input: readonly number[]): boolean {
  const isOne = output.every((size) => size === 1) && pads.every((pad) => pad === 0);
  return isOne && kernel.every((size, axis) => size === input[axis] && dilations[axis] === 1);
}

/** How many elements each window along one axis averages. */
function countsAlongAxis(
  window: StaticWindow,
  axis: number,
  input: number,
  includePad: boolean,
): readonly number[] {
  const rank = window.output.length;
  const begin = at(window.pads, axis);
  const first = includePad ? -begin : 0;
  const last = includePad ? input + at(window.pads, rank + axis) : input;
  const taps = at(window.kernel, axis);
  return Array.from({ length: at(window.output, axis) }, (_, index) => {
    const start = index * at(window.strides, axis) - begin;
    // The first tap at or behind a position.
    const tapAt = (position: number): number =>
      Math.min(Math.max(Math.ceil((position - start) / at(window.dilations, axis)), 0), taps);
    return tapAt(last) - tapAt(first);
  });
}

/** How many elements each window averages, window by window. @param input spatial dimensions */
export function windowCounts(
  window: StaticWindow,
  input: readonly number[],
  includePad: boolean,
): Float32Array {
  return input
    .map((size, axis) => countsAlongAxis(window, axis, size, includePad))
    .reduce(outerProduct, Float32Array.of(1));
}

function outerProduct(outer: Float32Array, inner: readonly number[]): Float32Array {
  const product = new Float32Array(outer.length * inner.length);
  outer.forEach((a, row) => {
    inner.forEach((b, column) => {
      product[row * inner.length + column] = a * b;
    });
  });
  return product;
}

/** 1 / count for every window, as a constant that broadcasts to y; a scalar where all counts are equal. */
function inverseCounts(b: Emitter, node: Node, window: StaticWindow, input: readonly number[]): string {
  const includePad = intAttribute(node, "count_include_pad") === 1;
  checkConstantSize(node, elementCount(window.output));
  const counts = windowCounts(window, input, includePad);
  const first = at(counts, 0);
  if (counts.every((count) => count === first)) return b.scalar(1 / first);
  return b.floats(
    "window_counts",
    [1, 1, ...window.output],
    counts.map((count) => 1 / count),
  );
}

/** Adds each element of dy to all elements of its window: the input's gradient of a depthwise convolution with ones. */
function sumWindows(b: Emitter, dy: string, window: StaticWindow, dims: readonly number[]): string {
  const channels = at(dims, 1);
  const input = dims.slice(2);
  const { kernel, strides, dilations, output, pads } = window;
  const rank = input.length;
  const begins = pads.slice(0, rank);
  // How far the windows reach beyond the end of the input; negative where they leave elements unread.
  const overhang = input.map(
    (size, axis) =>
      (at(output, axis) - 1) * at(strides, axis) +
      (at(kernel, axis) - 1) * at(dilations, axis) +
      1 -
      at(begins, axis) -
      size,
  );
  const weightDims = [channels, 1, ...kernel];
  const ones = b.floats("ones", weightDims, new Float32Array(elementCount(weightDims)).fill(1));
  const attributes = {
    group: int(channels),
    kernel_shape: ints(kernel),
    strides: ints(strides),
    dilations: ints(dilations),
    pads: ints([...begins, ...overhang.map((reach) => Math.max(reach, 0))]),
  };
  if (rank === 2) {
    const shaped = { ...attributes, gradient_shape: ints(dims) };
    return emitCompositeValue(b, "ConvInputGradient", [dy, ones], shaped);
  }
  return b.emit("ConvTranspose", [dy, ones], {
    attributes: { ...attributes, output_padding: ints(overhang.map((reach) => Math.max(-reach, 0))) },
  });
}
