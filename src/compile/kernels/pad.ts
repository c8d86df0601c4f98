import { constant, KernelBuilder, load, plus, times } from "../kernel_builder.js";
import type { Index, Kernel, Pointer } from "../loops.js";

/** Planes with room around them, whose columns are dealt to `stride` segments of each row. */
export interface PaddedPlanes {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Rows above and below, columns left and right. */
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
  /** Column x of the padded row lies in segment x mod stride, at x div stride. */
  readonly stride: number;
}

/** Distances in the padded planes, in elements. */
export interface PaddedLayout {
  readonly segment: number;
  readonly row: number;
  readonly plane: number;
}

export function paddedLayout({
  height,
  width,
  top,
  bottom,
  left,
  right,
  stride,
}: PaddedPlanes): PaddedLayout {
  const segment = Math.ceil((left + width + right) / stride);
  const row = segment * stride;
  return { segment, row, plane: spreadOverCache((top + height + bottom) * row) };
}

/** Elements of float32 in a cache line. */
const CACHE_LINE = 16;

/** Smaller planes are left as they are: there the gaps would cost more memory than they save. */
const SMALLEST_SPREAD = 256;

/**
 * The distance between planes of `size` elements at which the same position of many planes falls into different sets
 * of a cache: an odd number of lines.
 */
export function spreadOverCache(size: number): number {
  if (size < SMALLEST_SPREAD) return size;
  const lines = Math.ceil(size / CACHE_LINE);
  return (lines % 2 === 0 ? lines + 1 : lines) * CACHE_LINE;
}

/** Whether the same position of all planes of `size` elements falls into the same set of a cache of 4 KiB a way. */
export function sharesCacheSet(size: number): boolean {
  return size % 1024 === 0;
}

/**
 * Copies planes [channels, height, width] into padded ones.
 * @param fill what stands around them
 * @param lanes elements of a vector
 */
export function padKernel(planes: PaddedPlanes, fill: number, lanes: number): Kernel {
  const { channels, height, width, top, stride } = planes;
  const layout = paddedLayout(planes);
  const k = new KernelBuilder(
    `pad_${channels}x${height}x${width}`,
    `Copies ${channels} planes of ${height} x ${width} into planes of ${top + height + planes.bottom} x ${layout.row}` +
      `${stride === 1 ? "" : `, each row dealt to ${stride} segments`}.`,
  );
  const input = k.input("input");
  const output = k.output("output");
  k.loop("channel", 0, channels, 1, (channel) => {
    const plane = times(channel, layout.plane);
    fillRange(k, lanes, output, plane, top * layout.row, fill);
    copyRows(
      k,
      planes,
      lanes,
      { input, from: times(channel, height * planes.width), output, to: plane },
      fill,
    );
    fillRange(k, lanes, output, plus(plane, (top + height) * layout.row), planes.bottom * layout.row, fill);
  });
  return k.build();
}

/** Sets consecutive elements. */
export function fillRange(
  k: KernelBuilder,
  lanes: number,
  output: Pointer,
  from: Index,
  count: number,
  fill: number,
): void {
  k.overElements(count, lanes, (form, i) => k.store(form, output, plus(from, i), constant(fill)));
}

/** Where a plane is copied from and to, in elements. */
export interface PlaneCopy {
  readonly input: Pointer;
  readonly from: Index;
  readonly output: Pointer;
  readonly to: Index;
}

/**
 * Copies the rows of one plane into a padded one.
 * @param fill what is written beside them; undefined where it stands there already
 */
export function copyRows(
  k: KernelBuilder,
  planes: PaddedPlanes,
  lanes: number,
  { input, from, output, to }: PlaneCopy,
  fill: number | undefined,
): void {
  const { height, width, top, stride } = planes;
  const layout = paddedLayout(planes);
  const beside = (position: Index, count: number): void => {
    if (fill !== undefined) fillRange(k, lanes, output, position, count, fill);
  };
  k.loop("row", 0, height, 1, (row) => {
    const rowTo = plus(to, times(plus(row, top), layout.row));
    const rowFrom = plus(from, times(row, width));
    for (const part of rowParts(planes, layout.segment)) {
      beside(plus(rowTo, part.begin), part.before);
      const first = plus(rowTo, part.begin, part.before);
      if (stride === 1) {
        k.overElements(part.count, lanes, (form, i) => {
          k.store(form, output, plus(first, i), load(input, plus(rowFrom, part.source, i)));
        });
      } else {
        k.loop("i", 0, part.count, 1, (i) => {
          k.store(
            "scalar",
            output,
            plus(first, i),
            load(input, plus(rowFrom, part.source, times(i, stride))),
          );
        });
      }
      beside(plus(first, part.count), layout.segment - part.before - part.count);
    }
  });
}

/** What one segment of a padded row holds: `before` fillings, `count` columns from `source` on, fillings. */
interface RowPart {
  readonly begin: number;
  readonly before: number;
  readonly count: number;
  readonly source: number;
}

function rowParts({ width, left, stride }: PaddedPlanes, segment: number): readonly RowPart[] {
  return Array.from({ length: stride }, (_, phase) => {
    // Column x of the row stands at index (x + left - phase) / stride, where that is an integer.
    const before = Math.max(0, Math.ceil((left - phase) / stride));
    const source = before * stride + phase - left;
    const count = Math.max(0, Math.min(segment - before, Math.ceil((width - source) / stride)));
    return { begin: phase * segment, before, count, source };
  });
}
