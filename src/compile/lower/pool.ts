import { at, orDefault } from "../../graph/at.js";
import { intAttribute } from "../../graph/attributes.js";
import { elementCount } from "../../graph/tensor.js";
import { poolWindow } from "../../ops/families/pool.js";
import { windowCounts } from "../../ops/operators/average_pool.js";
import { paddedLayout, padKernel } from "../kernels/pad.js";
import { flattened } from "../kernels/pixel_blocks.js";
import { type Pooling, poolKernel } from "../kernels/pool.js";
import { tapTables } from "../kernels/taps.js";
import type { Location } from "../program.js";
import type { Lower, LoweringContext } from "./definition.js";
import { checkStride, checkTableLength, unsupported } from "./errors.js";

export const lowerMaxPool: Lower = (context) => {
  if (context.node.outputs.length > 1) throw unsupported(context, "one output", "the indices as a second");
  const window = planarWindow(context);
  lowerPool(context, window, Number.NEGATIVE_INFINITY, { kind: "max", scale: 1 });
};

export const lowerAveragePool: Lower = (context) => {
  const window = poolWindow(context.node, context.inputDims(0));
  const includePad = intAttribute(context.node, "count_include_pad") === 1;
  checkTableLength(context, elementCount(window.output));
  const counts = windowCounts(window, context.inputDims(0).slice(2), includePad);
  const first = orDefault(counts[0], 1);
  const isEven = counts.every((count) => count === first);
  const scale = isEven ? 1 / first : "table";
  const table = isEven ? [] : [context.weights(Float32Array.from(counts).map((count) => 1 / count))];
  lowerPool(context, planarWindow(context), 0, { kind: "sum", scale }, table);
};

/** A window over planes; one over rows counts as one over planes of height 1. */
interface PlanarWindow {
  readonly input: readonly [number, number];
  readonly output: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  /** Padding in front; behind, it is whatever the last window reaches. */
  readonly top: number;
  readonly left: number;
}

function planarWindow(context: LoweringContext): PlanarWindow {
  const dims = context.inputDims(0);
  const window = poolWindow(context.node, dims);
  const rank = dims.length - 2;
  if (rank < 1 || rank > 2) throw unsupported(context, "one or two spatial axes", `${rank}`);
  /** @param still what an axis of one element has */
  const pair = (values: readonly number[], still: number): readonly [number, number] => {
    return rank === 1 ? [still, at(values, 0)] : [at(values, 0), at(values, 1)];
  };
  const { kernel, strides, dilations, pads, output } = window;
  const [top, left] = pair(pads.slice(0, rank), 0);
  return {
    input: pair(dims.slice(2), 1),
    output: pair(output, 1),
    kernel: pair(kernel, 1),
    strides: pair(strides, 1),
    dilations: pair(dilations, 1),
    top,
    left,
  };
}

function lowerPool(
  context: LoweringContext,
  window: PlanarWindow,
  filling: number,
  { kind, scale }: Pick<Pooling, "kind" | "scale">,
  table: readonly Location[] = [],
): void {
  const dims = context.inputDims(0);
  const channels = at(dims, 0) * at(dims, 1);
  const [height, width] = window.input;
  const [rows, columns] = window.output;
  const [down, across] = window.strides;
  const { top, left } = window;
  checkTableLength(context, window.kernel[0] * window.kernel[1]);
  checkStride(context, across);
  const reach = (axis: 0 | 1): number =>
    (window.output[axis] - 1) * window.strides[axis] + (window.kernel[axis] - 1) * window.dilations[axis] + 1;
  const bottom = Math.max(0, reach(0) - top - height);
  const right = Math.max(0, reach(1) - left - width);
  const planes = { channels, height, width, top, left, bottom, right, stride: across };
  const layout = paddedLayout(planes);
  const padded = context.scratch(channels * layout.plane);
  context.call(padKernel(planes, filling, context.width), [context.read(0), padded]);
  const taps = Array.from({ length: window.kernel[0] * window.kernel[1] }, (_, tap) => {
    const column = (tap % window.kernel[1]) * window.dilations[1];
    const row = Math.floor(tap / window.kernel[1]) * window.dilations[0];
    return row * layout.row + (column % across) * layout.segment + Math.floor(column / across);
  });
  const pooling: Pooling = {
    kind,
    scale,
    channels,
    taps,
    inputPlane: layout.plane,
    outputPlane: rows * columns,
    grid: flattened({ rows, columns, inputRow: layout.row * down, outputRow: columns }),
  };
  const tables = tapTables(taps).map((positions) => context.weights(positions));
  context.call(poolKernel(pooling, context.width), [padded, ...tables, ...table, context.write()]);
}
