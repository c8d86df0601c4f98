import { present } from "../../graph/at.js";
import { broadcast, constant, KernelBuilder, load, multiplyAdd, plus, times } from "../kernel_builder.js";
import type { Index, Kernel, Pointer } from "../loops.js";
import type { DenseBlocking } from "./dense_blocking.js";
import { type Destination, destination, type Epilogue, finish, storeCells } from "./epilogue.js";
import { type Cell, overPixelBlocks, type PixelGrid } from "./pixel_blocks.js";
import { overTaps, tapParameter } from "./taps.js";

/** A convolution over planes that need no padding any more, of one group. */
export interface TapConvolution {
  /** Input planes (C) and output planes (K). */
  readonly inputs: number;
  readonly outputs: number;
  /** Where the kernel's taps lie in a plane, relative to the output position. */
  readonly taps: readonly number[];
  readonly inputPlane: number;
  readonly outputPlane: number;
  readonly grid: PixelGrid;
  readonly epilogue: Epilogue;
}

/** Several convolutions of one shape, or equal parts of one. */
export interface Repetition {
  readonly count: number;
  /** Elements from one's weights, input planes and output planes to the next's. */
  readonly weights: number;
  readonly inputs: number;
  readonly outputs: number;
  /** Whether all have the same bias, or none. */
  readonly bias: boolean;
}

const once: Repetition = { count: 1, weights: 0, inputs: 0, outputs: 0, bias: true };

/** Weights [K, C, taps] in the order in which the kernel reads them: by block of outputs, [C, taps, block]. */
export function packDenseWeights(
  weights: Float32Array,
  { inputs, outputs, taps }: Pick<TapConvolution, "inputs" | "outputs" | "taps">,
  { outputs: block }: DenseBlocking,
): Float32Array {
  const perOutput = inputs * taps.length;
  const packed = new Float32Array(weights.length);
  let to = 0;
  for (let first = 0; first < outputs; first += block) {
    const last = Math.min(first + block, outputs);
    for (let i = 0; i < perOutput; i++) {
      for (let output = first; output < last; output++)
        packed[to++] = present(weights[output * perOutput + i]);
    }
  }
  return packed;
}

/**
 * Every kernel weight times every position: sums of a block of output channels and positions stay in registers.
 * Parameters: input planes, packed weights, (taps,) (bias [K],) the epilogue's sides, output planes.
 */
export function denseConvKernel(
  conv: TapConvolution,
  blocking: DenseBlocking,
  width: number,
  repetition: Repetition = once,
): Kernel {
  const { shape, roomyShape = shape } = blocking;
  const kernel = kernelInBlocks(conv, blocking, width, repetition);
  if (roomyShape.rows === shape.rows && roomyShape.vectors === shape.vectors) return kernel;
  const roomy = { outputs: blocking.outputs, shape: roomyShape };
  return { ...kernel, roomyBody: kernelInBlocks(conv, roomy, width, repetition).body };
}

function kernelInBlocks(
  conv: TapConvolution,
  blocking: Pick<DenseBlocking, "outputs" | "shape">,
  width: number,
  repetition: Repetition,
): Kernel {
  const { inputs, outputs, taps, grid, outputPlane, epilogue } = conv;
  const k = new KernelBuilder(
    `dense_conv_${inputs}_to_${outputs}${epilogue.name}`,
    `Convolution of ${inputs} planes to ${outputs} planes of ${grid.rows} x ${grid.columns}, ${taps.length} taps.`,
  );
  const input = k.input("input");
  const weights = k.input("weights");
  const tapTable = tapParameter(k, taps);
  const bias = repetition.bias ? k.input("bias") : undefined;
  const ending = destination(k, epilogue);
  const parameters = { input, weights, bias, ending, tapTable };
  const whole = outputs - (outputs % blocking.outputs);
  k.loop("repetition", 0, repetition.count, 1, (number) => {
    const start = {
      input: times(number, repetition.inputs),
      weights: times(number, repetition.weights),
      output: times(number, repetition.outputs),
    };
    const outputBlock = (first: Index, channels: number): void => {
      overPixelBlocks(k, grid, width, blocking.shape, (from, to, cells) =>
        sumBlock(k, conv, parameters, {
          first,
          channels,
          from: plus(start.input, from),
          weights: plus(start.weights, times(first, inputs * taps.length)),
          to: plus(start.output, to),
          cells,
        }),
      );
      const planes = { count: channels, distance: outputPlane, grid };
      finish(k, ending, plus(start.output, times(first, outputPlane)), planes, width);
    };
    k.loop("output_channel", 0, whole, blocking.outputs, (first) => outputBlock(first, blocking.outputs));
    if (whole < outputs) outputBlock(whole, outputs - whole);
  });
  return k.build();
}

interface DenseParameters {
  readonly input: Pointer;
  readonly weights: Pointer;
  readonly bias: Pointer | undefined;
  readonly ending: Destination;
  readonly tapTable: Pointer | undefined;
}

interface OutputBlock {
  readonly first: Index;
  readonly channels: number;
  readonly from: Index;
  readonly weights: Index;
  readonly to: Index;
  readonly cells: readonly Cell[];
}

/** So many weights of a pointwise convolution come from memory far away, each used but once for all positions of a block. */
const PREFETCHED_WEIGHTS = 2 ** 14;

/** They are asked for so many elements before they are used: processors look ahead only to the end of a page. */
const AHEAD = 512;

function sumBlock(
  k: KernelBuilder,
  { inputs, outputs, taps, inputPlane, outputPlane }: TapConvolution,
  { input, weights, bias, ending, tapTable }: DenseParameters,
  { first, channels, from, weights: firstWeight, to, cells }: OutputBlock,
): void {
  const sums = Array.from({ length: channels }, (_, channel) => {
    const initial = bias === undefined ? constant(0) : broadcast(bias, plus(first, channel));
    return cells.map(() => k.value("sum", "vector", initial));
  });
  const weightsHere = k.index("w", firstWeight).read;
  const isLarge = taps.length === 1 && inputs * outputs >= PREFETCHED_WEIGHTS;
  k.loop("input_channel", 0, inputs, 1, (channel) => {
    const plane = k.index("p", plus(from, times(channel, inputPlane))).read;
    const kernel = k.index("v", plus(weightsHere, times(channel, taps.length * channels))).read;
    if (isLarge) k.prefetch(weights, plus(kernel, AHEAD));
    overTaps(k, taps, tapTable, 0, (tap, position) => {
      const loaded = cells.map(
        (cell) => k.value("x", "vector", load(input, plus(plane, position, cell.input))).read,
      );
      const place = plus(kernel, times(tap, channels));
      sums.forEach((row, output) => {
        const weight = k.value("weight", "vector", broadcast(weights, plus(place, output))).read;
        row.forEach((sum, cell) => {
          const x = loaded[cell];
          if (x !== undefined) sum.set(multiplyAdd(x, weight, sum.read));
        });
      });
    });
  });
  // One position that all others are at constant distances from: with one for each plane GCC ran out of registers and
  // kept what the sums are made of on the stack.
  const place = k.index("to", plus(times(first, outputPlane), to)).read;
  sums.forEach((row, channel) => {
    storeCells(
      k,
      ending,
      plus(place, channel * outputPlane),
      cells,
      row.map((sum) => sum.read),
    );
  });
}
