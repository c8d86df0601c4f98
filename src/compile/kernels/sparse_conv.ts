import { at, present } from "../../graph/at.js";
import { largestDivisor } from "../../ops/core/dims.js";
import { broadcast, entry, KernelBuilder, load, multiplyAdd, plus, times } from "../kernel_builder.js";
import type { Index, Kernel } from "../loops.js";
import type { Target } from "../target.js";
import type { TapConvolution } from "./dense_conv.js";
import { destination, finish, noEpilogue, storeCells } from "./epilogue.js";
import { type BlockShape, blockShape, overPixelBlocks, type PixelGrid } from "./pixel_blocks.js";

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
export const POSITIONS_AT_ONCE = 7;
/** The same with twice as many registers: half as many steps through the tables. */
const MORE_POSITIONS_AT_ONCE = 14;

/** Elements of input that stay in the nearest cache while the weights of all outputs go by. */
const NEAR_ELEMENTS = 2 ** 12;

/** Parts that are smaller cost more than the nearer memory saves. */
const LEAST_SHARE = 0.25;

const CACHE_LINE = 16;

/**
 * Equal parts of a sparse convolution's inputs: what a block of positions reads of one stays in the nearest cache for all
 * outputs. Otherwise each weight takes its vectors from the second one, at half the speed. One part where rows are
 * narrower than a vector: sums are kept in the output between parts, which has no room for the vector's other lanes.
 */
export function sparseParts(
  { inputs, taps, grid }: Pick<TapConvolution, "inputs" | "taps" | "grid">,
  maps: number,
  width: number,
): number {
  if (grid.columns < width) return 1;
  const each = linesOf(taps, grid, blockShape(grid, width, POSITIONS_AT_ONCE), width) * CACHE_LINE;
  const most = Math.floor(NEAR_ELEMENTS / (each * maps));
  const channels = inputs / maps;
  const part = largestDivisor(channels, Math.max(1, most));
  return part < LEAST_SHARE * most ? 1 : channels / part;
}

/** Cache lines of a plane that a block of positions reads, about. */
function linesOf(
  taps: readonly number[],
  { inputRow }: PixelGrid,
  { rows, vectors }: BlockShape,
  width: number,
): number {
  const lines = new Set<number>();
  for (const tap of taps) {
    for (let row = 0; row < rows; row++) {
      const start = tap + row * inputRow;
      for (let line = Math.floor(start / CACHE_LINE); line * CACHE_LINE < start + vectors * width; line++)
        lines.add(line);
    }
  }
  return lines.size;
}

/** Weights [K, C, taps] as [parts, K, C / parts, taps]. */
export function inParts(
  weights: Float32Array,
  { inputs, outputs, taps }: Pick<TapConvolution, "inputs" | "outputs" | "taps">,
  parts: number,
): Float32Array {
  if (parts === 1) return weights;
  const size = (inputs / parts) * taps.length;
  const ordered = new Float32Array(weights.length);
  for (let part = 0; part < parts; part++) {
    for (let output = 0; output < outputs; output++) {
      const from = (output * parts + part) * size;
      ordered.set(weights.subarray(from, from + size), (part * outputs + output) * size);
    }
  }
  return ordered;
}

/**
 * Only weights that are not zero are multiplied. Parameters: input planes, counts, steps, values, bias [K], the epilogue's
 * sides, output planes.
 * @param nonZeros of all outputs and the inputs of the first part, then of the second, ...
 */
export function sparseConvKernel(
  conv: TapConvolution,
  nonZeros: NonZeros,
  parts: number,
  { width, isNative }: Pick<Target, "width" | "isNative">,
): Kernel {
  const shape = blockShape(conv.grid, width, POSITIONS_AT_ONCE);
  const kernel = kernelInBlocks(conv, nonZeros, parts, width, shape);
  if (isNative === undefined) return kernel;
  const roomy = blockShape(conv.grid, width, MORE_POSITIONS_AT_ONCE);
  if (roomy.rows === shape.rows && roomy.vectors === shape.vectors) return kernel;
  return { ...kernel, roomyBody: kernelInBlocks(conv, nonZeros, parts, width, roomy).body };
}

function kernelInBlocks(
  conv: TapConvolution,
  nonZeros: NonZeros,
  parts: number,
  width: number,
  shape: BlockShape,
): Kernel {
  const { inputs, outputs, inputPlane, outputPlane, grid, epilogue } = conv;
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
  const planesOfPart = (inputs / parts) * inputPlane;
  overPixelBlocks(k, grid, width, shape, (from, to, cells) => {
    const next = k.index("next", 0);
    const addPart = (part: Index): void => {
      const start = plus(from, times(part, planesOfPart));
      k.loop("output_channel", 0, outputs, 1, (output) => {
        const plane = plus(times(output, outputPlane), to);
        const sums = cells.map((cell) => {
          const before = part === 0 ? broadcast(bias, output) : load(ending.output, plus(plane, cell.output));
          return k.value("sum", "vector", before);
        });
        const position = k.index("position", start);
        const end = k.index("end", plus(next.read, entry(counts, plus(times(part, outputs), output))));
        k.loop("i", next.read, end.read, 1, (i) => {
          position.set(plus(position.read, entry(steps, i)));
          const weight = k.value("weight", "vector", broadcast(values, i)).read;
          cells.forEach((cell, index) => {
            const sum = at(sums, index);
            sum.set(multiplyAdd(load(input, plus(position.read, cell.input)), weight, sum.read));
          });
        });
        next.set(end.read);
        const read = sums.map((sum) => sum.read);
        if (part === parts - 1) storeCells(k, ending, plane, cells, read);
        else storeCells(k, { ...ending, epilogue: noEpilogue }, plane, cells, read);
      });
    };
    addPart(0);
    k.loop("part", 1, parts - 1, 1, addPart);
    if (parts > 1) addPart(parts - 1);
  });
  finish(k, ending, 0, { count: outputs, distance: outputPlane, grid }, width);
  return k.build();
}

/** What a parameter that gets a table points at. */
export function tableType(table: Uint16Array | Int32Array): "u16" | "i32" {
  return table instanceof Uint16Array ? "u16" : "i32";
}
