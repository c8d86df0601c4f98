import type { Node } from "../../graph/types.js";
import { compositeInputs } from "../../ops/composite.js";
import { type ConvGeometry, unstridedPads } from "../../ops/conv_gradient.js";
import { inputGradientGeometry } from "../../ops/conv_input_gradient.js";
import { reshape, transpose } from "../../ops/emit.js";
import { isWorthwhile, sharedFilter } from "./convolution.js";
import {
  blockedInputGradientFilter,
  narrowInputGradientFilter,
  stridedInputGradientFilter,
} from "./filters.js";
import type { Layouts } from "./layouts.js";

/** ConvInputGradient of a convolution with one group. */
export function convolutionInputGradient(layouts: Layouts, node: Node): boolean {
  const [, weight = ""] = compositeInputs(node, 2);
  const geometry = inputGradientGeometry(node, layouts.dims(weight));
  const { inputChannels, outputChannels, groups, strides } = geometry;
  if (groups > 1 || !isWorthwhile(layouts, outputChannels, inputChannels)) return false;
  if (strides.every((stride) => stride === 1)) return unstrided(layouts, node, geometry);
  return strided(layouts, node, geometry);
}

/** dx for stride 1: dy convolved with the kernels whose channels are swapped and whose taps are reversed. */
function unstrided(layouts: Layouts, node: Node, geometry: ConvGeometry): boolean {
  const [dy = "", weight = ""] = compositeInputs(node, 2);
  const [dx = ""] = node.outputs;
  const { kernel, dilations } = geometry;
  const pads = unstridedPads(geometry);
  if (pads.some((pad) => pad < 0)) return false;
  const isNarrow = geometry.outputChannels < layouts.block;
  const value = layouts.conv({
    x: isNarrow ? layouts.plain(dy) : layouts.blocked(dy),
    filter: isNarrow
      ? narrowInputGradientFilter(layouts, layouts.plain(weight))
      : blockedInputGradientFilter(layouts, layouts.plain(weight), sharedFilter(layouts, weight)),
    kernel,
    dilations,
    pads,
    output: layouts.blockedDims(dx),
  });
  layouts.setBlocked(dx, value);
  return true;
}

/**
 * dx for strides s: elements of x that lie alike within their stride meet the same taps of the kernel, so dx is
 * s[0]·s[1] small convolutions of dy, computed as one with so many times the channels, whose results are
 * then interleaved.
 */
function strided(layouts: Layouts, node: Node, geometry: ConvGeometry): boolean {
  const [dy = "", weight = ""] = compositeInputs(node, 2);
  const [dx = ""] = node.outputs;
  const { batch, input, output, strides, outputChannels } = geometry;
  const isWhole = input.every((size, axis) => size % (strides[axis] ?? 1) === 0);
  if (!isWhole || outputChannels < layouts.block) return false;
  const [rows, columns] = [axisWindows(geometry, 0), axisWindows(geometry, 1)];
  const windows = rows.windows.flatMap((row) =>
    columns.windows.map((column) => row.flatMap((r) => column.map((s) => tapAt(geometry, r, s)))),
  );
  const [height, width] = [input[0] / strides[0], input[1] / strides[1]];
  const pads = [
    -rows.first,
    -columns.first,
    height - output[0] + rows.first + rows.size - 1,
    width - output[1] + columns.first + columns.size - 1,
  ];
  // Padding beyond the reach of the kernel: the last outputs meet nothing of x.
  if (pads.some((pad) => pad < 0)) return false;
  const { b, block } = layouts;
  const [, channels = 1] = layouts.blockedDims(dx);
  const kernel = [rows.size, columns.size] as const;
  const positions = windows.length;
  const filter = stridedInputGradientFilter(
    layouts,
    layouts.plain(weight),
    sharedFilter(layouts, weight),
    windows,
  );
  const value = layouts.conv({
    x: layouts.blocked(dy),
    filter: reshape(b, filter, [positions * channels, layouts.padded(outputChannels), ...kernel]),
    kernel,
    pads,
    output: [batch, positions * channels, height, width],
  });
  const apart = reshape(b, value, [batch, strides[0], strides[1], channels / block, height, width, block]);
  const interleaved = transpose(b, apart, [0, 3, 4, 1, 5, 2, 6]);
  layouts.setBlocked(dx, reshape(b, interleaved, layouts.blockedDims(dx)));
  return true;
}

interface AxisWindows {
  /** Smallest offset in dy, 0 or negative. */
  readonly first: number;
  readonly size: number;
  /** By position within the stride: the tap that meets each offset, if there is one. */
  readonly windows: readonly (readonly (number | undefined)[])[];
}

/** x[i·s + a] meets tap r at dy[i + (a + pad - r·dilation) / s] wherever that is whole. */
function axisWindows({ strides, kernel, dilations, pads }: ConvGeometry, axis: 0 | 1): AxisWindows {
  const stride = strides[axis];
  const offsets = Array.from({ length: stride }, (_, position) =>
    Array.from(
      { length: kernel[axis] },
      (_, tap) => (position + pads[axis] - tap * dilations[axis]) / stride,
    ),
  );
  const whole = offsets.flat().filter(Number.isInteger);
  const first = Math.min(0, ...whole);
  const size = Math.max(0, ...whole) - first + 1;
  const windows = offsets.map((byTap) =>
    Array.from({ length: size }, (_, place) => {
      const tap = byTap.indexOf(first + place);
      return tap < 0 ? undefined : tap;
    }),
  );
  return { first, size, windows };
}

function tapAt(
  { kernel }: ConvGeometry,
  row: number | undefined,
  column: number | undefined,
): number | undefined {
  return row === undefined || column === undefined ? undefined : row * kernel[1] + column;
}
