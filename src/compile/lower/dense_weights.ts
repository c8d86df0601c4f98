import { countNonZeros } from "../../graph/tensor.js";
import { exactScales } from "../../ops/families/weight_grid.js";
import type { DenseBlocking } from "../kernels/dense_blocking.js";
import { packDenseWeights, type TapConvolution } from "../kernels/dense_conv.js";
import {
  type MergedKernels,
  MOST_COEFFICIENTS,
  mergedShape,
  mergedSize,
  mergeFactorsKernel,
} from "../kernels/merge_factors.js";
import { findNonZeros, tableType } from "../kernels/sparse_conv.js";
import {
  dealTapsOnce,
  dealtShape,
  POINTS,
  TAPS,
  transformShape,
  weightsDistance,
  winogradWeightsOnce,
} from "../kernels/winograd.js";
import { areHalves } from "../packing.js";
import type { Location } from "../program.js";
import type { ConvFactors, LoweringContext } from "./definition.js";

/** Kernels [K, C, taps], and what they are made of where the layer is decomposed. */
export interface DenseKernels {
  readonly weights: Float32Array;
  readonly factors: ConvFactors | undefined;
}

/**
 * Kernels in the order of `packDenseWeights`: a constant, or, where they take fewer bytes so, coefficients and basis that
 * are multiplied once, when weights are loaded.
 */
export function denseWeights(
  context: LoweringContext,
  conv: Pick<TapConvolution, "inputs" | "outputs" | "taps">,
  blocking: DenseBlocking,
  { weights, factors }: DenseKernels,
): Location {
  const { outputs: block } = blocking;
  if (factors !== undefined && areKept(context, factors, weights, conv.outputs))
    return mergedFactors(context, conv, { block, distance: undefined }, factors);
  return constantKernels(context, conv, blocking, weights);
}

function constantKernels(
  context: LoweringContext,
  conv: Pick<TapConvolution, "inputs" | "outputs" | "taps">,
  blocking: DenseBlocking,
  weights: Float32Array,
): Location {
  const layout = { kind: "blocks", outputs: conv.outputs, block: blocking.outputs } as const;
  return context.weights(packDenseWeights(weights, conv, blocking), layout);
}

/** The same of 3x3 kernels for Winograd's filtering, transformed once. */
export function transformedWeights(
  context: LoweringContext,
  conv: Pick<TapConvolution, "inputs" | "outputs">,
  blocking: DenseBlocking,
  { weights, factors }: DenseKernels,
): Location {
  const { width } = context;
  const { outputs: block } = blocking;
  const { inputs, outputs } = conv;
  const distance = weightsDistance(inputs * outputs, width);
  const deal = (): Location => {
    const shape = context.weights(dealtShape(inputs, outputs, block, distance));
    const packed = constantKernels(context, { ...conv, taps: NINE_TAPS }, blocking, weights);
    return context.prepared(dealTapsOnce(), [shape, packed], TAPS * distance);
  };
  const taps =
    factors !== undefined && areKept(context, factors, weights, outputs)
      ? mergedFactors(context, conv, { block, distance }, factors)
      : deal();
  const shape = context.weights(transformShape(inputs * outputs, width));
  return context.prepared(winogradWeightsOnce(width), [shape, taps], POINTS * distance);
}

export const NINE_TAPS: readonly number[] = Array.from({ length: TAPS }, (_, tap) => tap);

function mergedFactors(
  context: LoweringContext,
  { inputs, outputs }: Pick<TapConvolution, "inputs" | "outputs">,
  order: Pick<MergedKernels, "block" | "distance">,
  { coefs, basis, d, taps }: ConvFactors,
): Location {
  const merged = { inputs, outputs, d, taps, ...order };
  const all = { inputs: inputs * d, outputs, taps: [0], inputPlane: 1 };
  const nonZeros = findNonZeros(coefs, all);
  const counts = context.weights(nonZeros.counts);
  const { inputs: planes, inputPlane: plane } = all;
  const made = [
    context.weights(mergedShape(merged)),
    counts,
    context.weights(nonZeros.steps, {
      kind: "steps",
      counts,
      inputs: planes,
      maps: d,
      plane,
      taps: all.taps,
    }),
    context.weights(nonZeros.values, { kind: "runs", counts }),
    context.weights(basis, { kind: "blocks", outputs: d, block: 1 }),
  ];
  const tables = { counts: tableType(nonZeros.counts), steps: tableType(nonZeros.steps) };
  return context.prepared(mergeFactorsKernel(taps, tables), made, mergedSize(merged));
}

/** Bytes of where a coefficient is, about. */
const PLACE_BYTES = 1;

/** Whether coefficients are kept, to be multiplied with the basis when they are loaded. */
function areKept(
  { preparesWeights }: LoweringContext,
  { coefs }: ConvFactors,
  weights: Float32Array,
  outputs: number,
): boolean {
  if (!preparesWeights || coefs.length > MOST_COEFFICIENTS) return false;
  return countNonZeros(coefs) * (valueBytes(coefs, outputs) + PLACE_BYTES) < weights.byteLength;
}

/** What packed coefficients take, each. */
function valueBytes(coefs: Float32Array, outputs: number): number {
  if (isInSteps(coefs, outputs)) return 1;
  return areHalves(coefs) ? 2 : Float32Array.BYTES_PER_ELEMENT;
}

/** Whether the coefficients of each output are whole multiples of a number, as int8 are. */
export function isInSteps(coefs: Float32Array, outputs: number): boolean {
  const each = coefs.length / outputs;
  return exactScales(outputs, (output) => coefs.subarray(output * each, (output + 1) * each)) !== undefined;
}

/** Equal parts of a layer's outputs. */
export function slicePart(data: Float32Array, part: number, parts: number): Float32Array {
  const size = data.length / parts;
  return data.slice(part * size, (part + 1) * size);
}

export const kernelsOfPart = (
  { weights, factors }: DenseKernels,
  part: number,
  parts: number,
): DenseKernels => ({
  weights: slicePart(weights, part, parts),
  factors: factors && { ...factors, coefs: slicePart(factors.coefs, part, parts) },
});
