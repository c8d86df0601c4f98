import { dims4 } from "../../graph/at.js";
import { gather, reshape, transpose, zeroPad } from "../../ops/core/emit.js";
import { flipKernels } from "../../ops/families/conv_gradient.js";
import type { Layouts } from "./layouts.js";

/**
 * Arrangements of a weight w [K, C, R, S] for the runtime's blocked convolutions, with K and C padded to
 * whole blocks (b). They are made anew in every step, because the weight changes in every step; a transposition of
 * single numbers is slow in the runtime, so all but one pass here move whole blocks, and that one is ReorderInput or
 * ReorderOutput, which is fast.
 */
export interface FilterShape {
  readonly outputs: number;
  readonly inputs: number;
  readonly kernel: readonly [number, number];
}

/** w padded with zeros to `outputs` and `inputs` channels. */
export function padWeight(layouts: Layouts, weight: string, shape: FilterShape): string {
  const [outputs, inputs] = dims4(layouts.b.dims(weight));
  const missing = [shape.outputs - outputs, shape.inputs - inputs] as const;
  if (missing[0] === 0 && missing[1] === 0) return weight;
  return zeroPad(layouts.b, weight, [0, 0, 0, 0, missing[0], missing[1], 0, 0]);
}

/** For an input of whole blocks: [K/b, C/b, R, S, b of C, b of K]. */
export function blockedFilter(layouts: Layouts, weight: string): string {
  const { b } = layouts;
  const shape = paddedShape(layouts, weight);
  const { outputs, inputs, kernel } = shape;
  const byInput = layouts.emit.toBlocked(padWeight(layouts, weight, shape), [outputs, inputs, ...kernel]);
  const rows = [1, outputs, inputs * kernel[0] * kernel[1], 1];
  return reshape(b, layouts.emit.toBlocked(reshape(b, byInput, rows), rows), [outputs, inputs, ...kernel]);
}

/** For a plain input of fewer channels than a block: [K/b, C, R, S, b of K]. */
export function narrowFilter(layouts: Layouts, weight: string): string {
  const [outputs, inputs, ...kernel] = dims4(layouts.b.dims(weight));
  const padded = layouts.padded(outputs);
  const shape = { outputs: padded, inputs, kernel };
  const dims = [1, padded, inputs, shape.kernel[0] * shape.kernel[1]];
  const arranged = layouts.emit.toBlocked(reshape(layouts.b, padWeight(layouts, weight, shape), dims), dims);
  return reshape(layouts.b, arranged, [padded, inputs, ...shape.kernel]);
}

/** For the gradient to the input: C and K change places and the taps are reversed, from the blocked filter. */
export function blockedInputGradientFilter(layouts: Layouts, weight: string, filter: string): string {
  const { outputs, inputs, kernel } = paddedShape(layouts, weight);
  const swapped = swapChannels(layouts, weight, filter);
  const reversed = gather(layouts.b, swapped, 2, reversedTaps(kernel[0] * kernel[1]));
  return reshape(layouts.b, reversed, [inputs, outputs, ...kernel]);
}

/** A blocked filter with C and K changed, in each group: [groups · C/b, K/b, R·S, b of K · b of C]. */
export function swapChannels(layouts: Layouts, weight: string, filter: string, groups = 1): string {
  const { b, block } = layouts;
  const { outputs, inputs, kernel } = paddedShape(layouts, weight);
  const taps = kernel[0] * kernel[1];
  const [outputBlocks, inputBlocks] = [outputs / groups / block, inputs / block];
  // Each tap's b x b tile is transposed by reordering it as an image of b channels and b positions.
  const tiles = [groups * outputBlocks * inputBlocks * taps, block, block, 1];
  const transposed = layouts.emit.toPlain(reshape(b, filter, tiles), tiles);
  const element = taps * block * block;
  const byInput =
    outputBlocks === 1 || inputBlocks === 1
      ? transposed
      : transpose(b, reshape(b, transposed, [groups, outputBlocks, inputBlocks, element]), [0, 2, 1, 3]);
  return reshape(b, byInput, [groups * inputBlocks, outputBlocks, taps, block * block]);
}

/** For the gradient to the input where the output has fewer channels than a block: [C/b, K, R, S, b of C], reversed. */
export function narrowInputGradientFilter(layouts: Layouts, weight: string): string {
  const [, , height, width] = dims4(layouts.b.dims(weight));
  const swapped = transpose(layouts.b, weight, [1, 0, 2, 3]);
  return narrowFilter(layouts, flipKernels(layouts.b, swapped, [height, width]));
}

export function paddedShape(layouts: Layouts, weight: string): FilterShape {
  const [outputs, inputs, height, width] = dims4(layouts.b.dims(weight));
  return { outputs: layouts.padded(outputs), inputs: layouts.padded(inputs), kernel: [height, width] };
}

/** The indices of so many taps from the last to the first. */
export function reversedTaps(taps: number): number[] {
  return Array.from({ length: taps }, (_, tap) => taps - 1 - tap);
}

/** The filter of one block whose kernels are `value` at `tap` and 0 elsewhere. */
export function oneHot(layouts: Layouts, kernel: readonly [number, number], tap: number, value = 1): string {
  const { b, block } = layouts;
  const taps = kernel[0] * kernel[1];
  return layouts.once(`${value} at ${tap} of ${kernel.join()}`, () => {
    const data = Float32Array.from({ length: taps * block }, (_, index) =>
      Math.floor(index / block) === tap ? value : 0,
    );
    return b.floats("one_hot_tap", [block, 1, ...kernel], data);
  });
}
