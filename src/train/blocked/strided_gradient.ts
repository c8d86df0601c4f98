import { int } from "../../graph/attributes.js";
import { elementCount, int64Tensor } from "../../graph/tensor.js";
import type { TypedBuilder } from "../../ops/builder.js";
import type { ConvGeometry } from "../../ops/conv_gradient.js";
import { reshape } from "../../ops/emit.js";
import type { Layouts } from "./layouts.js";

interface StridedGradient {
  readonly dy: string;
  /** Dimensions of dx, its channels whole blocks. */
  readonly dims: readonly number[];
  readonly geometry: ConvGeometry;
  /** Of the blocked convolutions. */
  readonly groups: number;
  /** The filter for dx of these taps of the weight, by index; one beyond the last stands for zeros. */
  readonly filterOf: (taps: readonly number[], size: readonly number[]) => string;
}

/**
 * dx for strides s: elements of x that lie alike within their stride meet the same taps of the kernel, so dx is
 * s[0]·s[1] small convolutions of dy, one for each position within the stride, whose results are interleaved.
 * Undefined where that is not possible.
 */
export function stridedInputGradient(layouts: Layouts, gradient: StridedGradient): string | undefined {
  const { dims, geometry } = gradient;
  const { input, strides } = geometry;
  if (input.some((size, axis) => size % (strides[axis] ?? 1) !== 0)) return undefined;
  const [rows, columns] = [axisWindows(geometry, 0), axisWindows(geometry, 1)];
  // Padding beyond the reach of the kernel: the last outputs meet nothing of x.
  if ([...rows, ...columns].some(({ pads: [, end] }) => end < 0)) return undefined;
  const { b, block } = layouts;
  const width = input[1] * block;
  const byRow = rows.map((row) =>
    inTurns(
      b,
      columns.map((column) => positionGradient(layouts, gradient, row, column)),
      block,
    ),
  );
  return reshape(b, inTurns(b, byRow, width), dims);
}

/** Chunks of so many numbers from each value in turn, [.., values · chunk]. */
function inTurns(b: TypedBuilder, values: readonly string[], chunk: number): string {
  const chunks = values.map((value) => reshape(b, value, [-1, chunk]));
  const [first = ""] = chunks;
  return chunks.length === 1 ? first : b.emit("Concat", chunks, { attributes: { axis: int(1) } });
}

/** What the elements at one position within the stride get. */
function positionGradient(
  layouts: Layouts,
  { dy, dims, geometry, groups, filterOf }: StridedGradient,
  row: AxisWindow,
  column: AxisWindow,
): string {
  const [batch = 1, channels = 1] = dims;
  const { input, strides, kernel } = geometry;
  const output = [batch, channels, input[0] / strides[0], input[1] / strides[1]];
  const none = kernel[0] * kernel[1];
  const taps = row.taps.flatMap((r) =>
    column.taps.map((s) => (r === undefined || s === undefined ? none : r * kernel[1] + s)),
  );
  if (taps.every((tap) => tap === none)) return zeros(layouts, output);
  const size = [row.taps.length, column.taps.length];
  return layouts.conv({
    x: layouts.blocked(dy),
    filter: filterOf(taps, size),
    groups,
    kernel: size,
    pads: [row.pads[0], column.pads[0], row.pads[1], column.pads[1]],
    output,
  });
}

function zeros(layouts: Layouts, dims: readonly number[]): string {
  const { b } = layouts;
  return layouts.once(`zeros ${elementCount(dims)}`, () =>
    b.emit("ConstantOfShape", [b.constant("dims", int64Tensor([dims.length], dims))]),
  );
}

/** Where the elements of x at one position within the stride meet dy, along one axis. */
interface AxisWindow {
  /** The tap at each place of the window (undefined: none); empty where no tap ever meets these elements. */
  readonly taps: readonly (number | undefined)[];
  readonly pads: readonly [begin: number, end: number];
}

/** By position within the stride. x[i·s + a] meets tap r at dy[i + (a + pad - r·dilation) / s] wherever that is whole. */
function axisWindows(
  { strides, kernel, dilations, pads, input, output }: ConvGeometry,
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
    return { taps, pads: [-first, input[axis] / stride - output[axis] + first + taps.length - 1] };
  });
}
