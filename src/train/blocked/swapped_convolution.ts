import { at, dims4 } from "../../graph/at.js";
import { int } from "../../graph/attributes.js";
import { firstOf } from "../../graph/operands.js";
import { largestDivisor } from "../../ops/core/dims.js";
import { crop, reduceSum, reshape, transpose, zeroPad } from "../../ops/core/emit.js";
import type { ConvGeometry } from "../../ops/families/conv_gradient.js";
import type { Layouts } from "./layouts.js";

/** Images that are summed inside one convolution; fewer than a block, so that the runtime reads x as a plain image. */
const MOST_IMAGES = 8;

/** From so many weights on, the sums of all groups are too large to be kept before they are added. */
const MANY_WEIGHTS = 128 * 128;

/** x with batch and channels in each other's place. */
interface SwappedInput {
  /** [C', N, H, columns · lanes]: C' groups of channels, those of a group side by side in every column. */
  readonly dims: readonly [number, number, number, number];
  /** [N, C', H, columns · lanes] */
  readonly value: string;
  readonly lanes: number;
}

/**
 * dw[k, c, r, s] = Σ over n, p, q of dy[n, k, p, q] · x[n, c, p·stride + r·dilation, q·stride + s·dilation] as
 * a convolution in which batch and channels of x change places: input xᵀ [C, N, H, W], kernels dy, stride and
 * dilation swapped. The batch is cut into groups of a few images: so the kernels are dy's own blocks, in place,
 * and x is read plain. The channels of a block of x stay where they are, as so many columns to each of its columns:
 * with the kernels spread out as far, each row of the result has a block of channels for every tap, which reads the
 * (large) kernels once for all of them. Columns are padded beforehand, because the runtime computes padded columns
 * one at a time.
 */
export function bySwapping(layouts: Layouts, geometry: ConvGeometry, x: string, dy: string): string {
  const input = swappedInput(layouts, geometry, x);
  const sums = swappedConvolutions(layouts, geometry, input, dy);
  return arrange(layouts, sums, input.lanes, geometry);
}

function swappedInput(layouts: Layouts, geometry: ConvGeometry, x: string): SwappedInput {
  const { b, block } = layouts;
  const [left, right] = swappedPadding(geometry).columns;
  // The taps of a dilated kernel would be further apart than the channels of a block.
  if (!layouts.isBlocked(x) || geometry.dilations[1] > 1) {
    const plain = layouts.plain(x);
    const value = left + right === 0 ? plain : zeroPad(b, plain, [0, 0, 0, left, 0, 0, 0, right]);
    const [batch, channels, height, width] = dims4(b.dims(value));
    return { dims: [channels, batch, height, width], value, lanes: 1 };
  }
  const value = paddedColumns(layouts, x, [left, right]);
  const [batch, channels, height, width] = dims4(b.dims(value));
  return { dims: [channels / block, batch, height, width * block], value, lanes: block };
}

/**
 * The sums [C', K/b, R, S, lanes · b]: of narrow layers from one convolution, whose groups work side by side and are
 * added afterwards; of wide ones from a convolution for each group, which adds to the one before.
 */
function swappedConvolutions(
  layouts: Layouts,
  geometry: ConvGeometry,
  input: SwappedInput,
  dy: string,
): string {
  const { b, block } = layouts;
  const { batch, output, kernel, strides, dilations, inputChannels, outputChannels } = geometry;
  const [channels, , height, width] = input.dims;
  const images = imagesSummed(layouts, batch);
  const parts = inputChannels * outputChannels < MANY_WEIGHTS ? 1 : batch / images;
  const groups = batch / images / parts;
  const outputs = layouts.padded(outputChannels);
  const padding = swappedPadding(geometry);
  const extent = [kernel[0] + padding.excess[0], kernel[1] + padding.excess[1]] as const;
  const filters = split(layouts, kernelParts(layouts, dy, [parts, groups, images]), [
    groups * outputs,
    images,
    ...output,
  ]);
  const inputs = split(layouts, imageParts(layouts, input, parts), [channels, batch / parts, height, width]);
  let sums = "";
  for (const [part, x] of inputs.entries()) {
    sums = layouts.emit.conv({
      x,
      filter: at(filters, part),
      ...(part === 0 ? {} : { sum: sums }),
      groups,
      kernel: output,
      strides: dilations,
      dilations: [strides[0], strides[1] * input.lanes],
      pads: [padding.rows[0], 0, padding.rows[1], 0],
      output: [channels, groups * outputs, extent[0], extent[1] * input.lanes],
    });
  }
  const element = input.lanes * block;
  const size = (outputs / block) * extent[0] * extent[1] * element;
  const added = groups === 1 ? sums : reduceSum(b, reshape(b, sums, [channels, groups, size]), [1], false);
  const byRow = reshape(b, added, [channels, outputs / block, extent[0], extent[1], element]);
  return withoutExcess(layouts, byRow, geometry, 2);
}

/** How many images of a batch one group of a swapped convolution sums. */
export function imagesSummed({ block }: Layouts, batch: number): number {
  return largestDivisor(batch, Math.min(MOST_IMAGES, block - 1));
}

/** The result of a convolution with dy as the kernel, without the excess of its padding: rows and columns from `axis`. */
export function withoutExcess({ b }: Layouts, sums: string, { kernel }: ConvGeometry, axis: number): string {
  return crop(b, sums, [
    { axis, end: kernel[0] },
    { axis: axis + 1, end: kernel[1] },
  ]);
}

/** dy as kernels, [parts, groups · K/b · images, ...]. */
function kernelParts(
  layouts: Layouts,
  dy: string,
  [parts, groups, images]: readonly [number, number, number],
): string {
  const [, outputs, height, width] = layouts.blockedDims(dy);
  const blocks = outputs / layouts.block;
  const size = height * width * layouts.block;
  const byImage = reshape(layouts.b, layouts.blocked(dy), [parts * groups, images, blocks, size]);
  const kernels = blocks === 1 ? byImage : transpose(layouts.b, byImage, [0, 2, 1, 3]);
  return reshape(layouts.b, kernels, [parts, groups * blocks * images * size]);
}

/** x by parts of the batch, each with its channels first: [parts, C' · N / parts · ...]. */
function imageParts({ b }: Layouts, { value, dims }: SwappedInput, parts: number): string {
  const [channels, batch, height, width] = dims;
  const byImage = reshape(b, value, [parts, batch / parts, channels, height * width]);
  const byChannel = channels === 1 || batch === parts ? byImage : transpose(b, byImage, [0, 2, 1, 3]);
  return reshape(b, byChannel, [parts, (batch / parts) * channels * height * width]);
}

/** The rows of a matrix, each with the given dimensions. */
function split({ b }: Layouts, matrix: string, dims: readonly number[]): readonly string[] {
  const parts = at(b.dims(matrix), 0);
  if (parts === 1) return [reshape(b, matrix, dims)];
  const outputs = Array.from({ length: parts }, () => b.freshName("part"));
  b.emit("Split", [matrix, b.axes(outputs.map(() => 1))], { outputs, attributes: { axis: int(0) } });
  return outputs.map((name) => reshape(b, name, dims));
}

/** [C', K/b, R, S, lanes · b] -> [K, C, R, S] without the padding. */
function arrange(
  layouts: Layouts,
  sums: string,
  lanes: number,
  { outputChannels, inputChannels, kernel }: ConvGeometry,
): string {
  const { b, block } = layouts;
  const [channels, blocks, height, width] = firstOf(b.dims(sums), 4);
  const columns = channels * height * width * lanes;
  const byOutput = layouts.emit.swapBlocks(sums, [channels, blocks, (columns / channels) * block]);
  const rows = [1, outputChannels, columns, 1];
  const byChannels = layouts.emit.toPlain(reshape(b, byOutput, [1, blocks * block, columns, 1]), rows);
  const dims = [outputChannels, channels * lanes, ...kernel];
  const perBlock = reshape(b, byChannels, dims);
  return lanes === 1 ? perBlock : layouts.emit.toPlain(perBlock, [outputChannels, inputChannels, ...kernel]);
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

/** A blocked value with zero columns on both sides: the runtime computes padded columns one at a time. */
export function paddedColumns(layouts: Layouts, x: string, [left, right]: readonly [number, number]): string {
  if (left + right === 0) return layouts.blocked(x);
  return layouts.once(`columns ${x} ${left} ${right}`, () => {
    const [, channels] = layouts.blockedDims(x);
    return layouts.emit.scale(layouts.blocked(x), layouts.fill(channels, 1), { pads: [0, left, 0, right] });
  });
}
