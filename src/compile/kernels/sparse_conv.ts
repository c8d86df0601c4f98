import { present } from "../../graph/at.js";
import { broadcast, entry, KernelBuilder, load, multiplyAdd, plus, times } from "../kernel_builder.js";
import type { Kernel } from "../loops.js";
import type { TapConvolution } from "./dense_conv.js";
import { destination, finish, storeCells } from "./epilogue.js";
import { blockShape, overPixelBlocks } from "./pixel_blocks.js";

/** The weights of a convolution that are not zero, output by output in the order of their positions. */
export interface NonZeros {
  /** How many each output has. */
  readonly counts: Uint16Array | Int32Array;
  /** Distance in the input from the previous one's position; from 0 for the first of an output. */
  readonly steps: Uint16Array | Int32Array;
  readonly values: Float32Array;
}

/** Weights [K, C, taps]. */
export function findNonZeros(
  weights: Float32Array,
  { inputs, outputs, taps, inputPlane }: Pick<TapConvolution, "inputs" | "outputs" | "taps" | "inputPlane">,
): NonZeros {
  const counts = new Int32Array(outputs);
  const steps: number[] = [];
  const values: number[] = [];
  for (let output = 0; output < outputs; output++) {
    const found: { readonly position: number; readonly value: number }[] = [];
    for (let channel = 0; channel < inputs; channel++) {
      for (const [tap, offset] of taps.entries()) {
        const value = present(weights[(output * inputs + channel) * taps.length + tap]);
        if (value !== 0) found.push({ position: channel * inputPlane + offset, value });
      }
    }
    found.sort((a, b) => a.position - b.position);
    counts[output] = found.length;
    found.forEach(({ position, value }, index) => {
      steps.push(position - (index === 0 ? 0 : present(found[index - 1]).position));
      values.push(value);
    });
  }
  return { counts: smallIntegers(counts), steps: smallIntegers(steps), values: Float32Array.from(values) };
}

/** 16 bits where all fit. */
function smallIntegers(values: ArrayLike<number>): Uint16Array | Int32Array {
  const list = Array.from(values);
  return list.every((value) => value <= 0xffff) ? Uint16Array.from(list) : Int32Array.from(list);
}

/** Vectors of positions whose sums stay in registers while the weights of an output go by. */
const POSITIONS_AT_ONCE = 7;

/**
 * Only weights that are not zero are multiplied. Parameters: input planes, counts, steps, values, bias [K], the epilogue's
 * sides, output planes.
 */
export function sparseConvKernel(conv: TapConvolution, nonZeros: NonZeros, width: number): Kernel {
  const { inputs, outputs, outputPlane, grid, epilogue } = conv;
  const k = new KernelBuilder(
    `sparse_conv_${inputs}_to_${outputs}${epilogue.name}`,
    `Sparse convolution of ${inputs} planes to ${outputs} planes of ${grid.rows} x ${grid.columns}.`,
  );
  const input = k.input("input");
  const counts = k.input("counts", tableType(nonZeros.counts));
  const steps = k.input("steps", tableType(nonZeros.steps));
  const values = k.input("values");
  const bias = k.input("bias");
  const ending = destination(k, epilogue);
  overPixelBlocks(k, grid, width, blockShape(grid, width, POSITIONS_AT_ONCE), (from, to, cells) => {
    const next = k.index("next", 0);
    k.loop("output_channel", 0, outputs, 1, (output) => {
      const initial = k.value("initial", "vector", broadcast(bias, output)).read;
      const sums = cells.map(() => k.value("sum", "vector", initial));
      const position = k.index("position", from);
      const end = k.index("end", plus(next.read, entry(counts, output)));
      k.loop("i", next.read, end.read, 1, (i) => {
        position.set(plus(position.read, entry(steps, i)));
        const weight = k.value("weight", "vector", broadcast(values, i)).read;
        cells.forEach((cell, index) => {
          const sum = sums[index];
          sum?.set(multiplyAdd(load(input, plus(position.read, cell.input)), weight, sum.read));
        });
      });
      next.set(end.read);
      const plane = plus(times(output, outputPlane), to);
      storeCells(
        k,
        ending,
        plane,
        cells,
        sums.map((sum) => sum.read),
      );
    });
  });
  finish(k, ending, 0, { count: outputs, distance: outputPlane, grid }, width);
  return k.build();
}

/** What a parameter that gets a table points at. */
export function tableType(table: Uint16Array | Int32Array): "u16" | "i32" {
  return table instanceof Uint16Array ? "u16" : "i32";
}
