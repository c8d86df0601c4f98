import { at, dims4 } from "../../graph/at.js";
import { crop, reduceSum, reshape } from "../../ops/core/emit.js";
import type { ConvGeometry } from "../../ops/families/conv_gradient.js";
import { type ConvOperands, windowOf } from "./conv_operands.js";
import type { Layouts } from "./layouts.js";
import { gradientByTaps } from "./strided_gradient.js";

/** Whether each channel is convolved with one kernel of its own: weight [C, 1, R, S]. */
export function hasOneKernelPerChannel({ groups, inputChannels, outputChannels }: ConvGeometry): boolean {
  return groups > 1 && groups === inputChannels && groups === outputChannels;
}

/** y by the runtime's depthwise convolution on blocks. */
export function depthwiseConvolution(
  layouts: Layouts,
  geometry: ConvGeometry,
  { x, weight, bias }: ConvOperands,
): string {
  const { batch, inputChannels, kernel, output } = geometry;
  const channels = layouts.padded(inputChannels);
  return layouts.emit.conv({
    ...windowOf(geometry),
    x: layouts.blocked(x),
    filter: reshape(layouts.b, depthwiseFilter(layouts, weight), [channels, 1, ...kernel]),
    ...(bias === "" ? {} : { bias: layouts.emit.pad(layouts.plain(bias)) }),
    groups: channels,
    output: [batch, channels, ...output],
  });
}

/** The kernels of a block's channels side by side: [1, C/b · b, R·S, 1], tap by tap in each block. */
function depthwiseFilter(layouts: Layouts, weight: string): string {
  return layouts.once(`depthwise ${weight}`, () => {
    const [channels, , height, width] = dims4(layouts.dims(weight));
    const image = reshape(layouts.b, layouts.plain(weight), [1, channels, height * width, 1]);
    return layouts.emit.toBlocked(image, [1, layouts.padded(channels), height * width, 1]);
  });
}

/** dx: each channel's dy with its own kernel; undefined where `gradientByTaps` is. */
export function depthwiseInputGradient(
  layouts: Layouts,
  geometry: ConvGeometry,
  { dy, weight }: { readonly dy: string; readonly weight: string },
): string | undefined {
  const { inputChannels, kernel } = geometry;
  const channels = layouts.padded(inputChannels);
  const dims = [channels / layouts.block, kernel[0] * kernel[1], layouts.block];
  const kernels = reshape(layouts.b, depthwiseFilter(layouts, weight), dims);
  return gradientByTaps(layouts, { dy, geometry, kernels, perGroup: 1, groups: channels });
}

/**
 * dw [C, 1, R, S]: every channel of every image is a group of its own, x its input and dy its kernel, whose taps
 * lie a stride apart; then the sum over the images.
 */
export function depthwiseWeightGradient(
  layouts: Layouts,
  geometry: ConvGeometry,
  { x, dy }: { readonly x: string; readonly dy: string },
): string {
  const { b, block } = layouts;
  const { batch, inputChannels, input, kernel, output, strides, dilations, pads } = geometry;
  const channels = layouts.padded(inputChannels);
  const groups = batch * channels;
  // With a stride there may be rows and columns that no tap ever touched.
  const tapsAlong = (axis: 0 | 1): number => {
    const padded = input[axis] + pads[axis] + at(pads, axis + 2);
    return Math.floor((padded - (output[axis] - 1) * strides[axis] - 1) / dilations[axis]) + 1;
  };
  const [rows, columns] = [tapsAlong(0), tapsAlong(1)];
  const perImage = layouts.emit.conv({
    x: reshape(b, layouts.blocked(x), [1, groups, ...input]),
    filter: reshape(b, layouts.blocked(dy), [groups, 1, ...output]),
    kernel: output,
    strides: dilations,
    dilations: strides,
    pads,
    groups,
    output: [1, groups, rows, columns],
  });
  const size = [channels / block, rows, columns, block];
  const summed = reduceSum(b, reshape(b, perImage, [batch, channels * rows * columns]), [0], false);
  const touched = crop(b, reshape(b, summed, size), [
    { axis: 1, end: kernel[0] },
    { axis: 2, end: kernel[1] },
  ]);
  const blocked = reshape(b, touched, [1, channels, ...kernel]);
  return reshape(b, layouts.emit.toPlain(blocked, [1, inputChannels, ...kernel]), [
    inputChannels,
    1,
    ...kernel,
  ]);
}
