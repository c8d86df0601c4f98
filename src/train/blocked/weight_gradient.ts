import { int } from "../../graph/attributes.js";
import type { Node } from "../../graph/types.js";
import { compositeInputs } from "../../ops/composite.js";
import type { ConvGeometry } from "../../ops/conv_gradient.js";
import { weightGradientGeometry } from "../../ops/conv_weight_gradient.js";
import { reduceSum, reshape, slice, transpose, zeroPad } from "../../ops/emit.js";
import { MOST_WASTE, waste, windowOf } from "./convolution.js";
import type { Layouts } from "./layouts.js";

/** dw [K, C, R, S] (plain) from x and dy. */
type WeightGradientForm = (layouts: Layouts, geometry: ConvGeometry, x: string, dy: string) => string;

export type BlockedWeightGradient = "swap" | "product";

/** The forms of the weight gradient on blocked values; which is faster depends on the shape. */
export const blockedWeightGradients: Readonly<Record<BlockedWeightGradient, WeightGradientForm>> = {
  swap: bySwapping,
  product: byProduct,
};

/** ConvWeightGradient of a convolution with one group, in the form that is faster for its shape. */
export function convolutionWeightGradient(layouts: Layouts, node: Node): boolean {
  const [x = "", dy = ""] = compositeInputs(node, 2);
  const [dw = ""] = node.outputs;
  const geometry = weightGradientGeometry(node, layouts.dims(x));
  if (geometry.groups > 1 || waste(layouts, geometry.outputChannels) > MOST_WASTE) return false;
  const form = chooseForm(layouts, geometry, x);
  if (form === undefined) return false;
  layouts.setPlain(dw, blockedWeightGradients[form](layouts, geometry, x, dy));
  return true;
}

/** The form that is faster for a shape; undefined where neither applies. */
export function chooseForm(
  layouts: Layouts,
  geometry: ConvGeometry,
  x: string,
): BlockedWeightGradient | undefined {
  const { batch } = geometry;
  // In the swapped convolution the batch is the channels, of which the runtime wants whole blocks.
  const isSwappable = batch < layouts.block || batch % layouts.block === 0;
  if (layouts.isBlocked(x) && (isSmallMap(geometry) || !isSwappable)) return "product";
  return isSwappable ? "swap" : undefined;
}

/** Up to so many positions the loops of the swapped convolution are too short (`bench/weight-gradient.ts`). */
const SMALL_MAP = 16;

/** Kernels of one tap are matrix products already, whatever the map. */
function isSmallMap({ output, kernel, strides }: ConvGeometry): boolean {
  const isPointwise = kernel[0] * kernel[1] === 1 && strides.every((stride) => stride === 1);
  return isPointwise || output[0] * output[1] <= SMALL_MAP;
}

/** dw as one matrix product: each tap's share of the patches is a depthwise convolution with a kernel that is 1 there. */
function byProduct(layouts: Layouts, geometry: ConvGeometry, x: string, dy: string): string {
  const { kernel, strides, pads, inputChannels, outputChannels } = geometry;
  const taps = kernel[0] * kernel[1];
  const isInput = taps === 1 && pads.every((pad) => pad === 0) && strides.every((stride) => stride === 1);
  const filters = isInput
    ? [undefined]
    : Array.from({ length: taps }, (_, tap) => oneHot(layouts, kernel, tap));
  return reshape(layouts.b, productWithMaps(layouts, geometry, { x, dy, filters }), [
    outputChannels,
    inputChannels,
    ...kernel,
  ]);
}

/** The filter of one block whose kernels are 1 at `tap` and 0 elsewhere. */
function oneHot(layouts: Layouts, kernel: readonly [number, number], tap: number): string {
  const { b, block } = layouts;
  const taps = kernel[0] * kernel[1];
  return layouts.once(`tap ${tap} of ${kernel.join()}`, () => {
    const data = Float32Array.from({ length: taps * block }, (_, index) =>
      Math.floor(index / block) === tap ? 1 : 0,
    );
    return b.floats("one_hot_tap", [block, 1, ...kernel], data);
  });
}

interface MapProduct {
  readonly x: string;
  readonly dy: string;
  /** Of one block, the same for all channels of x: see `Layouts.sameKernel`. Undefined: x itself. */
  readonly filters: readonly (string | undefined)[];
}

/**
 * Products of dy with the maps of x under n filters, Σ over batch and space, as one matrix product:
 * dy [K, N·P·Q] with the maps [C/b·n·b, N·P·Q] transposed. Result: [K, C, n].
 */
export function productWithMaps(
  layouts: Layouts,
  geometry: ConvGeometry,
  { x, dy, filters }: MapProduct,
): string {
  const { b, block } = layouts;
  const { batch, inputChannels, outputChannels, output } = geometry;
  const blocks = layouts.padded(inputChannels) / block;
  const positions = batch * output[0] * output[1];
  const input = reshape(b, blocksFirst(layouts, x), [blocks * batch, block, ...geometry.input]);
  const maps = filters.map((filter) => {
    const map =
      filter === undefined ? input : layouts.sameKernel(input, filter, { ...windowOf(geometry), output });
    return reshape(b, map, [blocks, 1, positions * block]);
  });
  const [first = ""] = maps;
  const joined = maps.length === 1 ? first : b.emit("Concat", maps, { attributes: { axis: int(1) } });
  const rows = [blocks * maps.length, block, positions, 1];
  const columns = reshape(b, layouts.toPlain(reshape(b, joined, rows), rows), [
    blocks * maps.length * block,
    positions,
  ]);
  const paddedOutputs = layouts.padded(outputChannels);
  const dyRows = [paddedOutputs / block, block, positions, 1];
  const gradients = layouts.toPlain(reshape(b, blocksFirst(layouts, dy), dyRows), dyRows);
  const dyMatrix = reshape(b, gradients, [paddedOutputs, positions]);
  const product = b.emit("Gemm", [dyMatrix, columns], { attributes: { transB: int(1) } });
  const byBlock = reshape(b, product, [paddedOutputs, blocks * block, maps.length, 1]);
  const plain = layouts.toPlain(byBlock, [paddedOutputs, inputChannels, maps.length, 1]);
  const whole = reshape(b, plain, [paddedOutputs, inputChannels, maps.length]);
  if (paddedOutputs === outputChannels) return whole;
  return slice(b, whole, [{ axis: 0, start: 0, end: outputChannels }]);
}

/** A blocked value [N, C/b, ...] with its blocks first: [C/b, N, ...]. */
function blocksFirst(layouts: Layouts, name: string): string {
  const { block } = layouts;
  const [batch = 1, channels = 1, height = 1, width = 1] = layouts.blockedDims(name);
  return swapBlocks(layouts, layouts.blocked(name), [batch, channels / block, height * width * block]);
}

function swapBlocks(layouts: Layouts, x: string, dims: readonly [number, number, number]): string {
  const [batch, blocks] = dims;
  if (blocks === 1 || batch === 1) return x;
  return transpose(layouts.b, reshape(layouts.b, x, dims), [1, 0, 2]);
}

/** Images that are summed inside one convolution; fewer than a block, so that x is read in the plain layout. */
const MOST_IMAGES = 8;

/**
 * dw[k, c, r, s] = Σ over n, p, q of dy[n, k, p, q] · x[n, c, p·stride + r·dilation, q·stride + s·dilation] as
 * a convolution in which batch and channels of x change places: input xᵀ [C, N, H, W], kernels dy, stride and
 * dilation swapped. The batch is cut into groups of a few images: so the kernels are dy's own blocks, in place,
 * and x is read plain. Columns are padded beforehand, because the runtime computes padded columns one at a time.
 */
function bySwapping(layouts: Layouts, geometry: ConvGeometry, x: string, dy: string): string {
  const { inputChannels, outputChannels, kernel } = geometry;
  return arrange(layouts, swappedConvolution(layouts, geometry, x, dy), [
    outputChannels,
    inputChannels,
    ...kernel,
  ]);
}

/** The sums [C, K/b, R, S, b]. */
function swappedConvolution(layouts: Layouts, geometry: ConvGeometry, x: string, dy: string): string {
  const { b, block } = layouts;
  const { batch, output, kernel, strides, dilations } = geometry;
  const images = largestDivisor(batch, Math.min(MOST_IMAGES, block - 1));
  const padding = swappedPadding(geometry);
  const input = channelsFirst(layouts, x, padding.columns);
  const [channels = 1] = b.dims(input);
  const groups = batch / images;
  const outputs = layouts.padded(geometry.outputChannels);
  const positions = output[0] * output[1];
  const byImage = reshape(b, layouts.blocked(dy), [groups, images, outputs / block, positions * block]);
  const filter = outputs === block ? byImage : transpose(b, byImage, [0, 2, 1, 3]);
  const extent = [kernel[0] + padding.excess[0], kernel[1] + padding.excess[1]] as const;
  const value = layouts.conv({
    x: input,
    filter: reshape(b, filter, [groups * outputs, images, ...output]),
    groups,
    kernel: output,
    strides: dilations,
    dilations: strides,
    pads: [padding.rows[0], 0, padding.rows[1], 0],
    output: [channels, groups * outputs, ...extent],
  });
  const blocks = reshape(b, value, [channels, groups, (outputs / block) * extent[0], extent[1], block]);
  const summed = reduceSum(b, blocks, [1], false);
  const byRow = reshape(b, summed, [channels, outputs / block, extent[0], extent[1], block]);
  if (padding.excess[0] === 0 && padding.excess[1] === 0) return byRow;
  return slice(b, byRow, [
    { axis: 2, start: 0, end: kernel[0] },
    { axis: 3, start: 0, end: kernel[1] },
  ]);
}

export interface SwappedPadding {
  /** Zeros above and below. */
  readonly rows: readonly [number, number];
  /** Zeros to the left and right. */
  readonly columns: readonly [number, number];
  /** Rows and columns of the result that no tap of the kernel stands for: strides may leave a rest. */
  readonly excess: readonly [number, number];
}

/** The padding of x [.., H, W] for its convolution with dy as the kernel, strides and dilations swapped. */
export function swappedPadding({
  input,
  kernel,
  output,
  strides,
  dilations,
  pads,
}: ConvGeometry): SwappedPadding {
  const along = (axis: 0 | 1): { readonly zeros: readonly [number, number]; readonly excess: number } => {
    const reach = (kernel[axis] - 1) * dilations[axis] + (output[axis] - 1) * strides[axis] + 1;
    const missing = reach - input[axis] - pads[axis];
    const excess = missing < 0 ? Math.floor(-missing / dilations[axis]) : 0;
    return { zeros: [pads[axis], Math.max(0, missing)], excess };
  };
  const [rows, columns] = [along(0), along(1)];
  return { rows: rows.zeros, columns: columns.zeros, excess: [rows.excess, columns.excess] };
}

/** x as [C, N, H, W] with zero columns on both sides; C padded to whole blocks if x comes blocked. */
function channelsFirst(layouts: Layouts, x: string, [left, right]: readonly [number, number]): string {
  const { b, block } = layouts;
  if (!layouts.isBlocked(x)) {
    const plain = layouts.plain(x);
    const padded = left + right === 0 ? plain : zeroPad(b, plain, [0, 0, 0, left, 0, 0, 0, right]);
    return transpose(b, padded, [1, 0, 2, 3]);
  }
  const [batch = 1, channels = 1, height = 1, width = 1] = layouts.blockedDims(x);
  const columns = width + left + right;
  const blocked = layouts.blocked(x);
  const padded =
    columns === width
      ? blocked
      : layouts.scale(blocked, layouts.fill(channels, 1), { pads: [0, left, 0, right] });
  const blocks = channels / block;
  const byBlock = swapBlocks(layouts, padded, [batch, blocks, height * columns * block]);
  const dims = [blocks, block, batch * height, columns];
  return reshape(b, layouts.toPlain(reshape(b, byBlock, dims), dims), [channels, batch, height, columns]);
}

/** [C, K/b, R, S, b] -> [K, C, R, S] without the padding. */
function arrange(layouts: Layouts, sums: string, dims: readonly number[]): string {
  const { b, block } = layouts;
  const [outputs = 1, inputs = 1, height = 1, width = 1] = dims;
  const [channels = 1, blocks = 1] = b.dims(sums);
  const taps = height * width;
  const byOutput = swapBlocks(layouts, sums, [channels, blocks, taps * block]);
  const reordered = layouts.toPlain(reshape(b, byOutput, [1, blocks * block, channels, taps]), [
    1,
    outputs,
    channels,
    taps,
  ]);
  const padded = reshape(b, reordered, [outputs, channels, height, width]);
  return channels === inputs ? padded : slice(b, padded, [{ axis: 1, start: 0, end: inputs }]);
}

function largestDivisor(value: number, most: number): number {
  let divisor = Math.min(value, most);
  while (value % divisor !== 0) divisor--;
  return divisor;
}
