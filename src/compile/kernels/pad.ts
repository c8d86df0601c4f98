import { constant, KernelBuilder, load, plus, times } from "../kernel_builder.js";
import type { Index, Kernel } from "../loops.js";

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
  return { segment, row, plane: (top + height + bottom) * row };
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
    `Copies ${channels} planes of ${height} x ${width} into planes of ${layout.plane / layout.row} x ${layout.row}` +
      `${stride === 1 ? "" : `, each row dealt to ${stride} segments`}.`,
  );
  const input = k.input("input");
  const output = k.output("output");
  const fillRange = (from: Index, count: number): void =>
    k.overElements(count, lanes, (form, i) => k.store(form, output, plus(from, i), constant(fill)));
  k.loop("channel", 0, channels, 1, (channel) => {
    const plane = times(channel, layout.plane);
    fillRange(plane, top * layout.row);
    k.loop("row", 0, height, 1, (row) => {
      const to = plus(plane, times(plus(row, top), layout.row));
      const from = times(plus(times(channel, height), row), width);
      for (const part of rowParts(planes, layout.segment)) {
        fillRange(plus(to, part.begin), part.before);
        const first = plus(to, part.begin, part.before);
        if (stride === 1) {
          k.overElements(part.count, lanes, (form, i) => {
            k.store(form, output, plus(first, i), load(input, plus(from, part.source, i)));
          });
        } else {
          k.loop("i", 0, part.count, 1, (i) => {
            k.store("scalar", output, plus(first, i), load(input, plus(from, part.source, times(i, stride))));
          });
        }
        fillRange(plus(first, part.count), layout.segment - part.before - part.count);
      }
    });
    const below = layout.plane - (top + height) * layout.row;
    fillRange(plus(plane, (top + height) * layout.row), below);
  });
  return k.build();
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
