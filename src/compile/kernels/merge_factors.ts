import {
  binary,
  constant,
  entry,
  fromIndex,
  KernelBuilder,
  load,
  multiplyAdd,
  plus,
  times,
} from "../kernel_builder.js";
import type { Index, Kernel, PointerType, Value } from "../loops.js";
import { blockParts, overBlocks, toldNumber } from "./output_blocks.js";

/** A layer's kernels [K, C, taps], sums of d kernels. */
export interface MergedKernels {
  readonly inputs: number;
  readonly outputs: number;
  readonly d: number;
  readonly taps: number;
  /** Outputs in a block. */
  readonly block: number;
  /** From one tap of all kernels to the next, in elements; undefined where kernels are to lie as `packDenseWeights` has them. */
  readonly distance: number | undefined;
}

/** Numbers up to here, and halves of them, are exact in float32, so that a quotient has the right whole part. */
export const MOST_COEFFICIENTS = 2 ** 21;

/** Elements of what is made. */
export const mergedSize = ({ inputs, outputs, taps, distance }: Omit<MergedKernels, "d" | "block">): number =>
  taps * (distance ?? inputs * outputs);

/** The numbers that `mergeFactorsKernel` is told, so that layers of all sizes share it. */
export function mergedShape(kernels: MergedKernels): Int32Array {
  const { inputs, outputs, d, taps, block, distance } = kernels;
  const each = distance === undefined ? taps : 1;
  // A tap lies behind the one before by a distance, or by the width of the block.
  const [fixed, widths] = distance === undefined ? [0, 1] : [distance, 0];
  return Int32Array.of(inputs, d, mergedSize(kernels), each, fixed, widths, ...blockParts(outputs, block));
}

const BLOCKS = 6;

/** Of larger kernels the taps are looped over. */
const MOST_WRITTEN_OUT = 9;

/**
 * Multiplies coefficients that are not zero with a basis. Parameters: a shape as `mergedShape` makes it; counts, steps and
 * values of the coefficients [K, C * d] as `findNonZeros` gives them for planes of one element; the basis [d, taps]; the
 * kernels.
 */
export function mergeFactorsKernel(
  taps: number,
  tables: { readonly counts: PointerType; readonly steps: PointerType },
): Kernel {
  const k = new KernelBuilder("merge_factors", `Kernels of ${taps} taps out of coefficients and a basis.`);
  const shape = k.input("shape", "i32");
  const counts = k.input("counts", tables.counts);
  const steps = k.input("steps", tables.steps);
  const values = k.input("values");
  const basis = k.input("basis");
  const kernels = k.output("kernels");
  const told = (place: number): Index => toldNumber(k, shape, place);
  const [inputs, maps, size, each, fixed, widths] = [told(0), told(1), told(2), told(3), told(4), told(5)];
  k.loop("i", 0, size, 1, (i) => k.store("scalar", kernels, i, constant(0)));
  const next = k.index("next", 0);
  overBlocks(k, shape, BLOCKS, (first, width) => {
    const start = k.index("start", times(times(first, inputs), each)).read;
    const distance = k.index("distance", plus(fixed, times(width, widths))).read;
    k.loop("output", 0, width, 1, (output) => {
      const position = k.index("position", 0);
      const end = k.index("end", plus(next.read, entry(counts, plus(first, output)))).read;
      k.loop("i", next.read, end, 1, (i) => {
        position.set(plus(position.read, entry(steps, i)));
        const input = k.index("input", quotient(position.read, maps, inputs)).read;
        const map = k.index("map", cut(plus(position.read, times(times(input, maps), -1)), maps)).read;
        const row = k.index("row", times(map, taps)).read;
        const kernel = k.index("kernel", plus(start, output, times(times(input, width), each))).read;
        const value = k.value("value", "scalar", load(values, i)).read;
        const add = (tap: Index): void => {
          const place = k.index("place", plus(kernel, times(tap, distance))).read;
          const sum = multiplyAdd(value, load(basis, plus(row, tap)), load(kernels, place));
          k.store("scalar", kernels, place, sum);
        };
        if (taps > MOST_WRITTEN_OUT) k.loop("tap", 0, taps, 1, add);
        else for (let tap = 0; tap < taps; tap++) add(tap);
      });
      next.set(end);
    });
  });
  return k.build();
}

/** An integer, cut to 0 up to below a limit. */
function cut(index: Index, limit: Index): Index {
  return cutValue(fromIndex(index), limit);
}

/** The whole part of a quotient of integers, likewise. */
function quotient(index: Index, divisor: Index, limit: Index): Index {
  // Halfway to the next integer, rounding does not reach another quotient.
  const halfway = binary("add", fromIndex(index), constant(0.5));
  return cutValue(binary("divide", halfway, fromIndex(divisor)), limit);
}

function cutValue(value: Value, limit: Index): Index {
  const notNegative = binary("pseudoMax", constant(0), value);
  return { kind: "fromValue", value: binary("pseudoMin", notNegative, fromIndex(plus(limit, -1))) };
}
