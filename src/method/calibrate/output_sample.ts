import { at } from "../../graph/at.js";
import type { LayerMoments } from "../../measure/moments.js";
import type { LayerOption } from "./allocation.js";
import type { CalibrationLayer } from "./layers.js";
import type { PresentOutputs } from "./ways.js";

/** Outputs of each group whose coefficients are looked at to see what a layer's are worth. */
const MOST_OUTPUTS = 64;

/** Some outputs of a layer, which stand for all of them: to know a layer's curve, not each output has to be fitted. */
export interface OutputSample {
  /** The layer with these outputs alone. */
  readonly layer: CalibrationLayer;
  readonly moments: readonly LayerMoments[];
  readonly present: PresentOutputs;
  /** Their indices among the whole layer's. */
  readonly outputs: readonly number[];
  /** How many outputs each stands for. */
  readonly each: number;
}

/** At most 64 outputs of each group, evenly spaced in the order of how much they matter; all where there are fewer. */
export function sampleOutputs(
  layer: CalibrationLayer,
  moments: readonly LayerMoments[],
  present: PresentOutputs,
): OutputSample {
  const perGroup = layer.K / layer.groups;
  if (perGroup <= MOST_OUTPUTS)
    return { layer, moments, present, outputs: Array.from({ length: layer.K }, (_, k) => k), each: 1 };
  const chosen = moments.map(({ variance }, group) => {
    const matters = variance.map((value, k) => value * at(layer.importance, group * perGroup + k));
    return evenlySpaced(matters);
  });
  const outputs = chosen.flatMap((own, group) => own.map((k) => group * perGroup + k));
  return {
    layer: {
      ...layer,
      K: outputs.length,
      importance: Float64Array.from(outputs, (k) => at(layer.importance, k)),
      original: Float32Array.from(rowsOf(layer.original, outputs, layer.K)),
    },
    moments: moments.map((group, index) => restricted(group, at(chosen, index))),
    present: { ...present, values: Float32Array.from(rowsOf(present.values, outputs, layer.K)) },
    outputs,
    each: layer.K / outputs.length,
  };
}

/** What an option for the sampled outputs is for the whole layer; its limits are the whole layer's already. */
export function standingForAll(option: LayerOption, { each }: OutputSample): LayerOption {
  const rows = option.rows.map(({ base, added }) => ({
    base: each * base,
    added: added.map((value) => each * value),
  }));
  return { ...option, macsPerCoefficient: each * option.macsPerCoefficient, rows };
}

/** The layer's weight [K, ...] with other kernels for the sampled outputs. */
export function withSampledKernels(
  { original, K }: CalibrationLayer,
  outputs: readonly number[],
  kernels: Float32Array,
): Float32Array {
  const weight = original.slice();
  const size = original.length / K;
  outputs.forEach((k, row) => {
    weight.set(kernels.subarray(row * size, (row + 1) * size), k * size);
  });
  return weight;
}

/** Indices, ascending, of elements that are evenly spaced in the order of their size. */
function evenlySpaced(values: Float64Array): readonly number[] {
  const order = Array.from(values.keys()).sort((a, b) => at(values, a) - at(values, b));
  const middle = (index: number): number => Math.floor(((index + 0.5) * values.length) / MOST_OUTPUTS);
  return Array.from({ length: MOST_OUTPUTS }, (_, index) => at(order, middle(index))).sort((a, b) => a - b);
}

function restricted(moments: LayerMoments, outputs: readonly number[]): LayerMoments {
  const pick = (values: Float64Array): Float64Array => Float64Array.from(outputs, (k) => at(values, k));
  return {
    ...moments,
    outputs: outputs.length,
    cross: Float64Array.from(rowsOf(moments.cross, outputs, moments.outputs)),
    variance: pick(moments.variance),
    targetMean: pick(moments.targetMean),
  };
}

/** Some rows of a row-major matrix of so many. */
function* rowsOf(
  matrix: Float32Array | Float64Array,
  rows: readonly number[],
  count: number,
): Generator<number> {
  const size = matrix.length / count;
  for (const row of rows) yield* matrix.subarray(row * size, (row + 1) * size);
}
