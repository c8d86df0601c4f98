import { at } from "../../graph/at.js";
import { int } from "../../graph/attributes.js";
import { elementCount, int64Tensor } from "../../graph/tensor.js";
import { gather, reshape, zeroPad } from "../../ops/core/emit.js";
import type { ConvGeometry } from "../../ops/families/conv_gradient.js";
import type { TypedBuilder } from "../../ops/inference/builder.js";
import type { BatchDims, Layouts } from "./layouts.js";

/** What the gradient of a convolution to its input is made of. */
interface GradientByTaps {
  readonly dy: string;
  readonly geometry: ConvGeometry;
  /** The kernels [.., R·S, ..] that take dy to dx: dx's channels in whole blocks first, then `perGroup` of dy's. */
  readonly kernels: string;
  readonly perGroup: number;
  readonly groups: number;
}

/**
 * dx for strides s: elements of x that lie alike within their stride meet the same taps of the kernel, so dx is
 * s[0]·s[1] small convolutions of dy, one for each position within the stride, whose results are interleaved.
 * Undefined where that is not possible.
 */
export function gradientByTaps(
  layouts: Layouts,
  { dy, geometry, kernels, perGroup, groups }: GradientByTaps,
): string | undefined {
  const { b } = layouts;
  const { batch, inputChannels, input, kernel } = geometry;
  const channels = layouts.padded(inputChannels);
  const none = kernel[0] * kernel[1];
  return interleaved(layouts, geometry, [batch, channels, ...input], ({ rows, columns, output }) => {
    const taps = rows.taps.flatMap((r) =>
      columns.taps.map((s) => (r === undefined || s === undefined ? none : r * kernel[1] + s)),
    );
    if (taps.every((tap) => tap === none)) return undefined;
    const size = [rows.taps.length, columns.taps.length];
    const source = taps.includes(none) ? withZeroTap(layouts, kernels) : kernels;
    return layouts.emit.conv({
      x: layouts.blocked(dy),
      filter: reshape(b, gather(b, source, 1, taps), [channels, perGroup, ...size]),
      groups,
      kernel: size,
      pads: windowPads(rows, columns),
      output,
    });
  });
}

/** [A, R·S, B] with one more tap, of zeros. */
function withZeroTap(layouts: Layouts, kernels: string): string {
  return layouts.once(`${kernels} and zero`, () => zeroPad(layouts.b, kernels, [0, 0, 0, 0, 1, 0]));
}

/** The elements of x at one position within the stride, and where they meet dy. */
export interface StridePosition {
  readonly rows: AxisWindow;
  readonly columns: AxisWindow;
  /** Dimensions of these elements. */
  readonly output: readonly number[];
}

/** How windows lie over an image. */
export type StridedWindow = Pick<
  ConvGeometry,
  "input" | "output" | "kernel" | "strides" | "dilations" | "pads"
>;

/**
 * An image of the given dimensions whose elements at each position within the stride are what `make` says; undefined
 * stands for zeros. Undefined where some of them would lie before the first or behind the last element of dy.
 */
export function interleaved(
  layouts: Layouts,
  window: StridedWindow,
  [batch, channels, height, width]: BatchDims,
  make: (position: StridePosition) => string | undefined,
): string | undefined {
  const { strides } = window;
  const [rows, columns] = [axisWindows(window, 0), axisWindows(window, 1)];
  // Padding beyond the reach of the kernel: the last outputs meet nothing of x.
  if ([...rows, ...columns].some(({ pads: [, end] }) => end < 0)) return undefined;
  const { b, block } = layouts;
  // Where the last stride is cut off, it is made whole, and cut off at the end.
  const counts = [Math.ceil(height / strides[0]), Math.ceil(width / strides[1])] as const;
  const output = [batch, channels, ...counts];
  const byRow = rows.map((row) =>
    inTurns(
      b,
      columns.map((column) => make({ rows: row, columns: column, output }) ?? zeros(layouts, output)),
      block,
    ),
  );
  const whole = [counts[0] * strides[0], counts[1] * strides[1]] as const;
  const all = reshape(b, inTurns(b, byRow, whole[1] * block), [batch, channels, ...whole]);
  return layouts.emit.withoutEdges(all, [0, 0, whole[0] - height, whole[1] - width]);
}

/** The pads of a convolution over such windows. */
export function windowPads(
  { pads: rows }: Pick<AxisWindow, "pads">,
  { pads: columns }: Pick<AxisWindow, "pads">,
): readonly number[] {
  return [rows[0], columns[0], rows[1], columns[1]];
}

/** Chunks of so many numbers from each value in turn, [.., values · chunk]. */
function inTurns(b: TypedBuilder, values: readonly string[], chunk: number): string {
  const chunks = values.map((value) => reshape(b, value, [-1, chunk]));
  return chunks.length === 1 ? at(chunks, 0) : b.emit("Concat", chunks, { attributes: { axis: int(1) } });
}

function zeros(layouts: Layouts, dims: readonly number[]): string {
  const { b } = layouts;
  return layouts.once(`zeros ${elementCount(dims)}`, () =>
    b.emit("ConstantOfShape", [b.constant("dims", int64Tensor([dims.length], dims))]),
  );
}

/** Where the elements of x at one position within the stride meet dy, along one axis. */
export interface AxisWindow {
  /** The tap at each place of the window (undefined: none); empty where no tap ever meets these elements. */
  readonly taps: readonly (number | undefined)[];
  readonly pads: readonly [begin: number, end: number];
}

/** By position within the stride. x[i·s + a] meets tap r at dy[i + (a + pad - r·dilation) / s] wherever that is whole. */
function axisWindows(
  { strides, kernel, dilations, pads, input, output }: StridedWindow,
  axis: 0 | 1,
): readonly AxisWindow[] {
  const stride = strides[axis];
  return Array.from({ length: stride }, (_, position) => {
    const offsets = Array.from(
      { length: kernel[axis] },
      (_, tap) => (position + pads[axis] - tap * dilations[axis]) / stride,
    );
    const whole = offsets.filter(Number.isInteger);
    if (whole.length === 0) return { taps: [], pads: [0, 0] };
    const first = Math.min(0, ...whole);
    const taps = Array.from({ length: Math.max(...whole) - first + 1 }, (_, place) => {
      const tap = offsets.indexOf(first + place);
      return tap < 0 ? undefined : tap;
    });
    return { taps, pads: [-first, Math.ceil(input[axis] / stride) - output[axis] + first + taps.length - 1] };
  });
}
