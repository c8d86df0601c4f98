import { at, dims4, last, orDefault, present } from "../../graph/at.js";
import { attributes, int, ints } from "../../graph/attributes.js";
import { elementCount } from "../../graph/tensor.js";
import { groupCount } from "../../layers/groups.js";
import { stridesOf } from "../../ops/core/dims.js";
import { type TransposedAxis, transposedAxes } from "../../ops/operators/conv_transpose.js";
import { noEpilogue } from "../kernels/epilogue.js";
import type { Location } from "../program.js";
import { lowerConv } from "./conv.js";
import type { Lower, LoweringContext } from "./definition.js";
import { checkPhases, notConstant, unsupported } from "./errors.js";
import { copyStrided, viewOf } from "./movement.js";

/**
 * One axis of those output elements whose positions leave the same remainder when divided by the stride: an ordinary
 * convolution with some of the taps.
 */
interface Phase {
  /** First output element and how many there are, each a stride further on. */
  readonly first: number;
  readonly count: number;
  /** The taps in the order of an ordinary convolution. */
  readonly taps: readonly number[];
  readonly dilation: number;
  readonly padBegin: number;
  readonly padEnd: number;
  /** Outputs of the ordinary convolution that are not wanted, at the beginning. */
  readonly skip: number;
}

/**
 * Transposed convolution over one or two axes with a constant weight: each of the stride's phases is an ordinary
 * convolution, whose outputs are dealt to their places.
 */
export const lowerConvTranspose: Lower = (context) => {
  const [input, kernel, output] = [context.inputDims(0), context.inputDims(1), context.outputDims()];
  const rank = input.length - 2;
  if (rank < 1 || rank > 2) throw unsupported(context, "one or two spatial axes", `${rank}`);
  const weights = context.constantData(1);
  const bias = context.hasInput(2) ? context.constantData(2) : new Float32Array(at(output, 1));
  if (weights === undefined || bias === undefined) throw notConstant(context, "weight and bias");
  const axes = transposedAxes(context.node, input.slice(2), kernel.slice(2));
  checkPhases(
    context,
    axes.reduce((count, { stride }, axis) => count * Math.min(stride, at(output, axis + 2)), 1),
  );
  const phases = axes.map((axis, index) =>
    phasesOf(axis, at(input, index + 2), at(kernel, index + 2), at(output, index + 2)),
  );
  const rows = rank === 1 ? [wholeAxis] : at(phases, 0);
  const columns = last(phases);
  const to = context.write();
  for (const row of rows) {
    for (const column of columns) {
      lowerPhase(context, { row, column, weights, bias, strides: axes.map((axis) => axis.stride) }, to);
    }
  }
};

/** The axis that rows have beside their own, as planes of height 1. */
const wholeAxis: Phase = { first: 0, count: 1, taps: [0], dilation: 1, padBegin: 0, padEnd: 0, skip: 0 };

function phasesOf(
  { stride, dilation, cut }: TransposedAxis,
  size: number,
  taps: number,
  output: number,
): readonly Phase[] {
  const begin = orDefault(cut?.[0], 0);
  return Array.from({ length: Math.min(stride, output) }, (_, first): Phase => {
    // Element `first` stands at position m of what x and w make; q counts the elements of its phase from position 0.
    const m = first + begin;
    const remainder = ((m % stride) + stride) % stride;
    const q = (m - remainder) / stride;
    const count = Math.ceil((output - first) / stride);
    const mine = Array.from({ length: taps }, (_tap, tap) => tap).filter(
      (tap) => (tap * dilation) % stride === remainder,
    );
    const offsets = mine.map((tap) => (tap * dilation - remainder) / stride);
    // A phase that no tap reaches is filled with the bias: distances do not matter.
    const nearest = orDefault(offsets[0], 0);
    const next = orDefault(offsets[1], nearest + 1);
    const furthest = orDefault(offsets.at(-1), 0);
    const padBegin = Math.max(0, furthest - q);
    const skip = padBegin - furthest + q;
    const reach = furthest - nearest;
    const padEnd = Math.max(0, skip + count + reach - size - padBegin);
    return { first, count, taps: mine.toReversed(), dilation: next - nearest, padBegin, padEnd, skip };
  });
}

interface PlanarPhase {
  readonly row: Phase;
  readonly column: Phase;
  readonly weights: Float32Array;
  readonly bias: Float32Array;
  readonly strides: readonly number[];
}

function lowerPhase(context: LoweringContext, phase: PlanarPhase, to: Location): void {
  const { row, column, bias, strides } = phase;
  const whole = planar(context.outputDims());
  const [batch, outputs] = whole;
  const [down, across] = strides.length === 1 ? [1, at(strides, 0)] : [at(strides, 0), at(strides, 1)];
  const [image, map, line, element] = dims4(stridesOf(whole));
  const target = {
    location: viewOf(to, whole, [0, 0, row.first, column.first]).location,
    strides: [image, map, line * down, element * across],
  };
  const dims = [batch, outputs, row.count, column.count];
  if (row.taps.length === 0 || column.taps.length === 0) {
    const shift = { location: context.weights(bias), strides: [0, 1, 0, 0] };
    copyStrided(context, dims, shift, target);
    return;
  }
  const made = [batch, outputs, convolvedSize(context, row, 0), convolvedSize(context, column, 1)];
  const planes = context.scratch(elementCount(made));
  lowerConv(convolutionContext(context, phase, made, planes));
  copyStrided(context, dims, viewOf(planes, made, [0, 0, row.skip, column.skip]), target);
}

/** Spatial dimensions [height, width] of the input. */
function planeOf(context: LoweringContext): readonly [number, number] {
  const [, , height, width] = planar(context.inputDims(0));
  return [height, width];
}

/** Dimensions [N, C, H, W] of planes, or of rows as planes of height 1. */
function planar(dims: readonly number[]): ReturnType<typeof dims4> {
  return dims4(dims.length === 3 ? dims.toSpliced(2, 0, 1) : dims);
}

function convolvedSize(context: LoweringContext, phase: Phase, axis: 0 | 1): number {
  const { padBegin, padEnd, taps, dilation } = phase;
  return planeOf(context)[axis] + padBegin + padEnd - (taps.length - 1) * dilation;
}

/** The ordinary convolution of a phase, as an operation of its own. */
function convolutionContext(
  context: LoweringContext,
  phase: PlanarPhase,
  made: readonly number[],
  planes: Location,
): LoweringContext {
  const { row, column, bias } = phase;
  const groups = groupCount(context.node);
  const [batch, inputs] = planar(context.inputDims(0));
  const outputs = at(made, 1);
  const kernel = [row.taps.length, column.taps.length];
  const weightDims = [outputs, inputs / groups, ...kernel];
  const inputDims = [[batch, inputs, ...planeOf(context)], weightDims, [outputs]];
  const data = [undefined, phaseWeights(context, phase, weightDims), bias];
  return {
    ...context,
    node: {
      ...context.node,
      attributes: attributes({
        kernel_shape: ints(kernel),
        dilations: ints([row.dilation, column.dilation]),
        pads: ints([row.padBegin, column.padBegin, row.padEnd, column.padEnd]),
        group: int(groups),
      }),
    },
    epilogue: noEpilogue,
    sides: [],
    convFactors: undefined,
    inputDims: (index) => at(inputDims, index),
    outputDims: () => made,
    constantData: (index) => data[index],
    hasInput: () => true,
    write: () => planes,
  };
}

/** Weights [C, K/groups, R, S] of the transposed convolution as those of the phase's, [K, C/groups, taps, taps]. */
function phaseWeights(
  context: LoweringContext,
  { row, column, weights }: PlanarPhase,
  dims: readonly number[],
): Float32Array {
  const [outputs, perGroup, height, width] = dims4(dims);
  const [, made, rows, columns] = planar(context.inputDims(1));
  const groups = outputs / made;
  const result = new Float32Array(elementCount(dims));
  let to = 0;
  for (let output = 0; output < outputs; output++) {
    const group = Math.floor((output * groups) / outputs);
    for (let channel = 0; channel < perGroup; channel++) {
      const from = ((group * perGroup + channel) * made + (output % made)) * rows * columns;
      for (let tap = 0; tap < height * width; tap++) {
        const r = present(row.taps[Math.floor(tap / width)]);
        const s = present(column.taps[tap % width]);
        result[to++] = present(weights[from + r * columns + s]);
      }
    }
  }
  return result;
}
