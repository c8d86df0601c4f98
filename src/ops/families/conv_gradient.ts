import { int, ints } from "../../graph/attributes.js";
import { matMul, reduceSum, reshape, slice, transpose, zeroPad } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";

/** A two-dimensional convolution as its gradients see it: x [N, C, H, W] * w [K, C/G, R, S] -> y [N, K, P, Q]. */
export interface ConvGeometry {
  readonly batch: number;
  readonly inputChannels: number;
  readonly outputChannels: number;
  readonly groups: number;
  readonly input: readonly [height: number, width: number];
  readonly kernel: readonly [height: number, width: number];
  readonly output: readonly [height: number, width: number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  /** top, left, bottom, right */
  readonly pads: readonly [number, number, number, number];
}

export function convAttributes(geometry: ConvGeometry) {
  return {
    kernel_shape: ints(geometry.kernel),
    strides: ints(geometry.strides),
    dilations: ints(geometry.dilations),
    pads: ints(geometry.pads),
    group: int(geometry.groups),
  };
}

/**
 * dx = dy convolved with the transposed, flipped kernels where that is again a plain convolution (stride 1,
 * one group, padding no larger than the kernel's reach), else the transposed convolution of dy.
 */
export function inputGradient(b: Emitter, geometry: ConvGeometry, dy: string, weight: string): string {
  if (geometry.groups > 1 || !isUnstrided(geometry)) return transposedConvolution(b, geometry, dy, weight);
  return b.emit("Conv", [dy, flipKernels(b, transpose(b, weight, [1, 0, 2, 3]), geometry.kernel)], {
    attributes: { ...convAttributes(geometry), pads: ints(unstridedPads(geometry)) },
    hint: "conv_dx",
  });
}

/** Whether dx is a plain convolution of dy: stride 1, and padding no larger than the kernel's reach. */
export function isUnstrided(geometry: ConvGeometry): boolean {
  const hasStride = geometry.strides.some((stride) => stride > 1);
  return !hasStride && unstridedPads(geometry).every((pad) => pad >= 0);
}

/** Pads of the convolution of dy that is dx for stride 1; negative ones where x is padded beyond the reach. */
export function unstridedPads({ dilations, kernel, pads }: ConvGeometry): readonly number[] {
  return pads.map((pad, index) => at(dilations, index % 2) * (at(kernel, index % 2) - 1) - pad);
}

/** w with the order of its taps reversed. */
export function flipKernels(b: Emitter, weight: string, kernel: readonly [number, number]): string {
  const flipped = [0, 1].filter((axis) => at(kernel, axis) > 1);
  if (flipped.length === 0) return weight;
  return slice(
    b,
    weight,
    flipped.map((axis) => ({ axis: axis + 2, start: -1, end: -Infinity, step: -1 })),
  );
}

function transposedConvolution(b: Emitter, geometry: ConvGeometry, dy: string, weight: string): string {
  const outputPadding = [0, 1].map((axis) => {
    const reach = at(geometry.dilations, axis) * (at(geometry.kernel, axis) - 1) + 1;
    const covered = (at(geometry.output, axis) - 1) * at(geometry.strides, axis) + reach;
    return at(geometry.input, axis) + at(geometry.pads, axis) + at(geometry.pads, axis + 2) - covered;
  });
  return b.emit("ConvTranspose", [dy, weight], {
    attributes: { ...convAttributes(geometry), output_padding: ints(outputPadding) },
    hint: "conv_dx",
  });
}

/** One way to compute dw[k, c, r, s] = Σ over n, p, q of dy[n, k, p, q] · x[n, c, p·stride + r·dilation, ...]. */
type WeightGradient = (b: Emitter, geometry: ConvGeometry, x: string, dy: string) => string;

export type WeightGradientFormulation = "patches" | "swap" | "shifts";

/** The formulations of the weight gradient; no single one wins on all shapes (docs/decisions.md). */
export const weightGradients: Readonly<Record<WeightGradientFormulation, WeightGradient>> = {
  patches: gradientFromPatches,
  swap: gradientBySwapping,
  shifts: gradientFromShifts,
};

/** dw in the formulation that was fastest for such shapes in `bench/weight-gradient.ts`. */
export function weightGradient(b: Emitter, geometry: ConvGeometry, x: string, dy: string): string {
  return weightGradients[chooseFormulation(geometry)](b, geometry, x, dy);
}

/** Elements of the constant that `weightGradient` writes for such shapes. */
export function weightGradientConstant(geometry: ConvGeometry): number {
  const taps = geometry.kernel[0] * geometry.kernel[1];
  return chooseFormulation(geometry) === "patches" ? geometry.inputChannels * taps * taps : 0;
}

/** Measured with `bench/weight-gradient.ts`: patches win until the channels are many and the map is small. */
function chooseFormulation(geometry: ConvGeometry): WeightGradientFormulation {
  const { groups, inputChannels, output, strides } = geometry;
  if (groups > 1 || inputChannels < 256) return "patches";
  if (output[0] * output[1] <= 16) return "swap";
  return strides.every((stride) => stride === 1) ? "shifts" : "patches";
}

/**
 * im2col by a depthwise convolution with one-hot kernels, then one product per sample:
 * dw[k] = Σ_n patches[n] · dy[n]ᵀ. Works for every stride, dilation, padding and number of groups.
 */
function gradientFromPatches(b: Emitter, geometry: ConvGeometry, x: string, dy: string): string {
  const { batch, groups, inputChannels, outputChannels, kernel, output } = geometry;
  const perGroup = inputChannels / groups;
  const taps = kernel[0] * kernel[1];
  const positions = output[0] * output[1];
  const patches = reshape(b, extractPatches(b, geometry, x), [batch, groups, perGroup * taps, positions]);
  const dyColumns = reshape(b, dy, [batch, groups, outputChannels / groups, positions]);
  const perSample = matMul(b, patches, transpose(b, dyColumns, [0, 1, 3, 2]));
  const summed = reduceSum(b, perSample, [0], false);
  return reshape(b, transpose(b, summed, [0, 2, 1]), [outputChannels, perGroup, kernel[0], kernel[1]]);
}

/** im2col: x [N, C, H, W] -> [N, C*R*S, P, Q], channel by channel, each with its taps in order. */
export function extractPatches(b: Emitter, geometry: ConvGeometry, x: string): string {
  const { inputChannels, kernel } = geometry;
  const taps = kernel[0] * kernel[1];
  const untouched = taps === 1 && geometry.strides.every((stride) => stride === 1);
  if (untouched && geometry.pads.every((pad) => pad === 0)) return x;
  const oneHot = new Float32Array(inputChannels * taps * taps);
  for (let row = 0; row < inputChannels * taps; row++) oneHot[row * taps + (row % taps)] = 1;
  const weight = b.floats("one_hot_kernels", [inputChannels * taps, 1, ...kernel], oneHot);
  return b.emit("Conv", [x, weight], {
    attributes: { ...convAttributes(geometry), group: int(inputChannels) },
    hint: "patches",
  });
}

/** Batch and channels change places: the convolution of xᵀ [C, N, H, W] with the kernels dyᵀ [K, N, P, Q]. */
function gradientBySwapping(b: Emitter, geometry: ConvGeometry, x: string, dy: string): string {
  const swapped = b.emit("Conv", [transpose(b, x, [1, 0, 2, 3]), transpose(b, dy, [1, 0, 2, 3])], {
    attributes: {
      kernel_shape: ints(geometry.output),
      strides: ints(geometry.dilations),
      dilations: ints(geometry.strides),
      pads: ints(geometry.pads),
    },
    hint: "swapped",
  });
  const [, , height, width] = b.dims(swapped);
  const exact = height === geometry.kernel[0] && width === geometry.kernel[1];
  // With a stride the swapped convolution may see rows and columns that no kernel tap ever touched.
  const cropped = exact
    ? swapped
    : slice(b, swapped, [
        { axis: 2, start: 0, end: geometry.kernel[0] },
        { axis: 3, start: 0, end: geometry.kernel[1] },
      ]);
  return transpose(b, cropped, [1, 0, 2, 3]);
}

/**
 * Stride 1: over the padded map laid out [C, N·H·W], a kernel tap is a shift by a constant, so im2col is the
 * concatenation of R·S shifted slices, and the whole gradient is one product with dy on the same grid.
 */
function gradientFromShifts(b: Emitter, geometry: ConvGeometry, x: string, dy: string): string {
  const { batch, inputChannels, outputChannels, kernel, output, dilations, pads } = geometry;
  const height = geometry.input[0] + pads[0] + pads[2];
  const width = geometry.input[1] + pads[1] + pads[3];
  const grid = batch * height * width;
  const padded = zeroPad(b, transpose(b, x, [1, 0, 2, 3]), [0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]]);
  const flat = reshape(b, padded, [inputChannels, grid]);
  const onGrid = zeroPad(b, transpose(b, dy, [1, 0, 2, 3]), [
    0,
    0,
    0,
    0,
    0,
    0,
    height - output[0],
    width - output[1],
  ]);
  const offsets = Array.from(
    { length: kernel[0] * kernel[1] },
    (_, tap) => Math.floor(tap / kernel[1]) * dilations[0] * width + (tap % kernel[1]) * dilations[1],
  );
  const span = grid - Math.max(...offsets);
  const shifted = offsets.map((offset) => slice(b, flat, [{ axis: 1, start: offset, end: offset + span }]));
  const patches = b.emit("Concat", shifted, { attributes: { axis: int(0) }, hint: "patches" });
  const dyFlat = slice(b, reshape(b, onGrid, [outputChannels, grid]), [{ axis: 1, start: 0, end: span }]);
  const product = b.emit("Gemm", [dyFlat, patches], { attributes: { transB: int(1) }, hint: "conv_dw" });
  const byTap = reshape(b, product, [outputChannels, kernel[0] * kernel[1], inputChannels]);
  return reshape(b, transpose(b, byTap, [0, 2, 1]), [outputChannels, inputChannels, ...kernel]);
}

function at(values: readonly number[], index: number): number {
  const value = values[index];
  if (value === undefined) throw new RangeError(`no element ${index}`);
  return value;
}
