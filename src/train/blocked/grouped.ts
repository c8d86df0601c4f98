import { dims4 } from "../../graph/at.js";
import { crop, mul, reduceSum, reshape, transpose, zeroPad } from "../../ops/core/emit.js";
import type { ConvGeometry } from "../../ops/families/conv_gradient.js";
import { type ConvOperands, windowOf } from "./conv_operands.js";
import { blockedFilter, swapChannels } from "./filters.js";
import type { Layouts } from "./layouts.js";
import { gradientByTaps } from "./strided_gradient.js";
import { imagesSummed, paddedColumns, swappedPadding, withoutExcess } from "./swapped_convolution.js";

/**
 * Groups of as many inputs as outputs, on blocks: where a group is narrower than a block, so many of them as fill one
 * are convolved as one pack, with zeros in the kernels between the groups.
 */
interface Packing {
  readonly packs: number;
  /** Channels of a pack, in whole blocks. */
  readonly size: number;
  /** Groups in a pack. */
  readonly groups: number;
  /** Channels of a group. */
  readonly channels: number;
}

/** A pack has as many times the products of its groups as there are groups in it. */
const MOST_PACKED = 4;

function packingOf(layouts: Layouts, geometry: ConvGeometry): Packing | undefined {
  const { block } = layouts;
  const { groups, inputChannels, outputChannels } = geometry;
  const channels = inputChannels / groups;
  const isWhole = channels % block === 0;
  if (inputChannels !== outputChannels || (!isWhole && block % channels !== 0)) return undefined;
  const packed = isWhole ? 1 : block / channels;
  if (packed > MOST_PACKED) return undefined;
  const size = packed * channels;
  return { packs: layouts.padded(inputChannels) / size, size, groups: packed, channels };
}

/** y by the runtime's grouped convolution on blocks; undefined where the groups cannot be packed. */
export function groupedConvolution(
  layouts: Layouts,
  geometry: ConvGeometry,
  { x, weight, bias }: ConvOperands,
): string | undefined {
  const packing = packingOf(layouts, geometry);
  if (packing === undefined) return undefined;
  const { batch, output } = geometry;
  return layouts.emit.conv({
    ...windowOf(geometry),
    x: layouts.blocked(x),
    filter: packedFilter(layouts, packing, weight).filter,
    ...(bias === "" ? {} : { bias: layouts.emit.pad(layouts.plain(bias)) }),
    groups: packing.packs,
    output: [batch, packing.packs * packing.size, ...output],
  });
}

/** dx: in each pack dy with the kernels whose channels are swapped. */
export function groupedInputGradient(
  layouts: Layouts,
  geometry: ConvGeometry,
  { dy, weight }: { readonly dy: string; readonly weight: string },
): string | undefined {
  const packing = packingOf(layouts, geometry);
  if (packing === undefined) return undefined;
  const { b, block } = layouts;
  const { plain, filter } = packedFilter(layouts, packing, weight);
  const swapped = layouts.once(`swapped ${plain}`, () => swapChannels(layouts, plain, filter, packing.packs));
  const kernels = reshape(b, swapped, [-1, geometry.kernel[0] * geometry.kernel[1], block * block]);
  return gradientByTaps(layouts, { dy, geometry, kernels, perGroup: packing.size, groups: packing.packs });
}

interface PackedFilter {
  /** [packs · size, size, R, S]; 0 between channels of different groups. */
  readonly plain: string;
  /** The same for the blocked convolution. */
  readonly filter: string;
}

/** @param weight [C, channels of a group, R, S] */
function packedFilter(layouts: Layouts, packing: Packing, weight: string): PackedFilter {
  const plain = layouts.once(`packed ${weight}`, () => packedWeight(layouts, packing, layouts.plain(weight)));
  return { plain, filter: layouts.once(`filter ${plain}`, () => blockedFilter(layouts, plain)) };
}

function packedWeight(layouts: Layouts, packing: Packing, weight: string): string {
  const { b } = layouts;
  const { packs, size, groups, channels } = packing;
  if (groups === 1) return weight;
  const [outputs, , height, width] = dims4(b.dims(weight));
  const whole =
    outputs === packs * size ? weight : zeroPad(b, weight, [0, 0, 0, 0, packs * size - outputs, 0, 0, 0]);
  const kernels = reshape(b, whole, [packs, groups, channels, 1, channels * height * width]);
  const apart = mul(b, kernels, sameGroup(layouts, packing, [groups, 1, groups, 1]));
  return reshape(b, apart, [packs * size, size, height, width]);
}

/** 1 where a group of outputs meets the group of inputs that it reads, else 0. */
function sameGroup(layouts: Layouts, { groups }: Packing, dims: readonly number[]): string {
  return layouts.once(`same group ${dims.join()}`, () => {
    const data = Float32Array.from({ length: groups * groups }, (_, index) =>
      Math.floor(index / groups) === index % groups ? 1 : 0,
    );
    return layouts.b.floats("same_group", dims, data);
  });
}

/**
 * dw by the swapped convolution (`swapped_convolution.ts`), in which each pack and each few images are a group: its
 * input are the pack's channels of x, its kernels the pack's channels of dy.
 */
export function groupedWeightGradient(
  layouts: Layouts,
  geometry: ConvGeometry,
  { x, dy }: { readonly x: string; readonly dy: string },
): string | undefined {
  const packing = packingOf(layouts, geometry);
  const { b, block } = layouts;
  const { batch, kernel, input, output, strides, dilations } = geometry;
  if (packing === undefined || dilations[1] > 1) return undefined;
  const { packs, size } = packing;
  // The runtime reads x as a plain image of so many channels.
  if ((packs * batch) % block !== 0 && packs * batch > block) return undefined;
  const blocks = size / block;
  const images = imagesSummed(layouts, batch);
  const parts = batch / images;
  const { rows, columns, excess } = swappedPadding(geometry);
  const width = (input[1] + columns[0] + columns[1]) * block;
  const extent = [kernel[0] + excess[0], kernel[1] + excess[1]] as const;

  const byImage = reshape(b, paddedColumns(layouts, x, columns), [batch, packs, blocks, input[0] * width]);
  const channels = reshape(b, transpose(b, byImage, [2, 1, 0, 3]), [blocks, packs * batch, input[0], width]);
  const element = output[0] * output[1] * block;
  const byPart = reshape(b, layouts.blocked(dy), [parts, images, packs, blocks, element]);
  const kernels = reshape(b, transpose(b, byPart, [2, 0, 3, 1, 4]), [
    packs * parts * size,
    images,
    ...output,
  ]);
  const sums = layouts.emit.conv({
    x: channels,
    filter: kernels,
    groups: packs * parts,
    kernel: output,
    strides: dilations,
    dilations: [strides[0], strides[1] * block],
    pads: [rows[0], 0, rows[1], 0],
    output: [blocks, packs * parts * size, extent[0], extent[1] * block],
  });
  const positions = extent[0] * extent[1] * block * block;
  const split = reshape(b, sums, [blocks, packs, parts, blocks * positions]);
  const added = parts === 1 ? split : reduceSum(b, split, [2], false);
  // By block of inputs, pack, block of outputs, row, column, input, output.
  const byTap = withoutExcess(
    layouts,
    reshape(b, added, [blocks * packs * blocks, ...extent, block * block]),
    geometry,
    1,
  );
  const taps = kernel[0] * kernel[1];
  const packed = reshape(b, byTap, [blocks, packs, blocks, taps, block, block]);
  const pairs = reshape(b, transpose(b, packed, [1, 2, 5, 0, 4, 3]), [packs, size, size, taps]);
  return withinGroups(layouts, packing, geometry, pairs);
}

/** [packs, outputs, inputs, R·S] -> the weight's gradient [C, channels of a group, R, S]. */
function withinGroups(
  layouts: Layouts,
  packing: Packing,
  { kernel, outputChannels }: ConvGeometry,
  pairs: string,
): string {
  const { b } = layouts;
  const { packs, size, groups, channels } = packing;
  const dims = [packs * size, channels, ...kernel];
  if (groups === 1) return crop(b, reshape(b, pairs, dims), [{ axis: 0, end: outputChannels }]);
  const element = channels * kernel[0] * kernel[1];
  const byGroup = reshape(b, pairs, [packs, groups, channels, groups, element]);
  const own = mul(b, byGroup, sameGroup(layouts, packing, [groups, 1, groups, 1]));
  const weights = reshape(b, reduceSum(b, own, [3], false), dims);
  return crop(b, weights, [{ axis: 0, end: outputChannels }]);
}
