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
  const bias = context.hasInput(2) ? context.constantData(2) : new Float32Array(output[1] ?? 1);
  if (weights === undefined || bias === undefined) throw notConstant(context, "weight and bias");
  const axes = transposedAxes(context.node, input.slice(2), kernel.slice(2));
  checkPhases(
    context,
    axes.reduce((count, { stride }, at) => count * Math.min(stride, output[at + 2] ?? 1), 1),
  );
  const phases = axes.map((axis, at) =>
    phasesOf(axis, input[at + 2] ?? 1, kernel[at + 2] ?? 1, output[at + 2] ?? 1),
  );
  const [rows, columns] = rank === 1 ? [[wholeAxis], phases[0]] : [phases[0], phases[1]];
  const to = context.write();
  for (const row of rows ?? []) {
    for (const column of columns ?? []) {
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
  const begin = cut?.[0] ?? 0;
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
    const [nearest = 0, next = nearest + 1] = offsets;
    const furthest = offsets.at(-1) ?? 0;
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
  const [batch = 1, outputs = 1, ...space] = context.outputDims();
  const plane = space.length === 1 ? [1, ...space] : space;
  const [down, across] = strides.length === 1 ? [1, strides[0] ?? 1] : [strides[0] ?? 1, strides[1] ?? 1];
  const own = stridesOf([batch, outputs, ...plane]);
  const target = {
    location: viewOf(to, [batch, outputs, ...plane], [0, 0, row.first, column.first]).location,
    strides: [own[0] ?? 0, own[1] ?? 0, (own[2] ?? 0) * down, (own[3] ?? 0) * across],
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
  const space = context.inputDims(0).slice(2);
  return space.length === 1 ? [1, space[0] ?? 1] : [space[0] ?? 1, space[1] ?? 1];
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
  const [batch = 1, inputs = 1] = context.inputDims(0);
  const outputs = made[1] ?? 1;
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
    residual: undefined,
    convFactors: undefined,
    inputDims: (index) => inputDims[index] ?? [],
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
  const [outputs = 1, perGroup = 1, height = 1, width = 1] = dims;
  const [, made = 1, ...kernel] = context.inputDims(1);
  const [rows = 1, columns = 1] = kernel.length === 1 ? [1, ...kernel] : kernel;
  const groups = outputs / made;
  const result = new Float32Array(elementCount(dims));
  let to = 0;
  for (let output = 0; output < outputs; output++) {
    const group = Math.floor((output * groups) / outputs);
    for (let channel = 0; channel < perGroup; channel++) {
      const from = ((group * perGroup + channel) * made + (output % made)) * rows * columns;
      for (let tap = 0; tap < height * width; tap++) {
        const r = row.taps[Math.floor(tap / width)] ?? 0;
        const s = column.taps[tap % width] ?? 0;
        result[to++] = weights[from + r * columns + s] ?? 0;
      }
    }
  }
  return result;
}
