import { at } from "../../graph/at.js";
import { binary, constant, KernelBuilder, load, plus, times } from "../kernel_builder.js";
import type { Index, Kernel, Value } from "../loops.js";
import { blockShape, overPixelBlocks, type PixelGrid } from "./pixel_blocks.js";
import { overTaps, tapParameter } from "./taps.js";

/** A maximum or weighted sum over windows, plane by plane. */
export interface Pooling {
  readonly kind: "max" | "sum";
  readonly channels: number;
  readonly taps: readonly number[];
  readonly inputPlane: number;
  readonly outputPlane: number;
  readonly grid: PixelGrid;
  /** Sums are multiplied by this, or by a table over the output plane. */
  readonly scale: number | "table";
}

const ACCUMULATORS = 8;

/** Parameters: padded planes, (taps,) (scales of the output plane's positions,) output planes. */
export function poolKernel(pooling: Pooling, width: number): Kernel {
  const { kind, channels, taps, inputPlane, outputPlane, grid, scale } = pooling;
  const k = new KernelBuilder(
    `${kind}_pool_${channels}x${grid.rows}x${grid.columns}`,
    `${kind === "max" ? "Maximum" : "Scaled sum"} of ${taps.length} elements, ${channels} planes.`,
  );
  const input = k.input("input");
  const tapTable = tapParameter(k, taps);
  const table = scale === "table" ? k.input("scales") : undefined;
  const output = k.output("output");
  k.loop("channel", 0, channels, 1, (channel) => {
    overPixelBlocks(k, grid, width, blockShape(grid, width, ACCUMULATORS), (from, to, cells) => {
      const plane = k.index("plane", plus(from, times(channel, inputPlane))).read;
      const element = (cell: number, tap: Index): Value => load(input, plus(plane, tap, cell));
      const results = cells.map((cell) => k.value("result", "vector", element(cell.input, at(taps, 0))));
      overTaps(k, taps, tapTable, 1, (_, offset) => {
        results.forEach((result, index) => {
          const x = element(at(cells, index).input, offset);
          result.set(kind === "max" ? maximum(k, result.read, x) : binary("add", result.read, x));
        });
      });
      cells.forEach((cell, index) => {
        const result = at(results, index).read;
        const factor =
          table === undefined
            ? constant(typeof scale === "number" ? scale : 1)
            : load(table, plus(to, cell.output));
        const value = kind === "max" ? result : binary("multiply", result, factor);
        k.store("vector", output, plus(times(channel, outputPlane), to, cell.output), value, cell.count);
      });
    });
  });
  return k.build();
}

/** NaN where either is NaN. */
function maximum(k: KernelBuilder, left: Value, right: Value): Value {
  const x = k.value("x", "vector", right).read;
  const larger = binary("pseudoMax", left, x);
  return { kind: "select", comparison: "equal", left: x, right: x, chosen: larger, other: x };
}
