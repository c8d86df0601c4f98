import { at, present as known } from "../../graph/at.js";
import type { Graph } from "../../graph/types.js";
import type { GraphCount, LayerCount } from "../../measure/count.js";
import { spectrum } from "../basis.js";
import { sampledPlaces } from "../thinned.js";
import { allocate, type LayerChoice, type LayerOption } from "./allocation.js";
import { isOnBasis, keptOption } from "./candidates.js";
import type { CalibrationOptions } from "./contract.js";
import type { CalibrationLayer } from "./layers.js";
import { layersAsTheyAre, leastOf, presentMacs } from "./plan.js";
import { type PresentForm, type Way, waysToCompute } from "./ways.js";

/** A layer as calibration is expected to leave it. */
export interface ForeseenLayer {
  readonly count: LayerCount;
  /** Basis kernels; 0 where there is none. */
  readonly d: number;
}

/**
 * Foresees `calibrate` without images: as if the inputs of every layer were white, and the same share of any layer's output
 * lost did the same to the network's. What images say instead decides in the end, so that single layers may come out
 * otherwise; the sum of all is what is looked at.
 * @param graph imported, input dimensions fixed, batch 1
 * @param count its `countGraph`
 * @returns all layers that count; undefined where the fraction cannot be reached
 */
export function foreseeCalibration(
  graph: Graph,
  count: GraphCount,
  { fraction, basis }: { readonly fraction: number; readonly basis: CalibrationOptions["basis"] },
): readonly ForeseenLayer[] | undefined {
  const { layers, otherMacs } = layersAsTheyAre(graph, count, undefined);
  const foreseen = layers.map(({ layer, present }) => waysOf(layer, present, basis));
  const options = foreseen.map((ways) => ways.map(({ option }) => option));
  const original = presentMacs({ layers, otherMacs });
  if (fraction < leastOf(options, otherMacs, original)) return undefined;
  const choices = allocate(options, fraction * original - otherMacs);
  const counts = new Map(count.layers.map((layer) => [layer.node.outputs[0], layer]));
  const found = new Map<string | undefined, ForeseenLayer>();
  for (const [index, { layer, present }] of layers.entries()) {
    const choice = at(choices, index);
    const way = at(at(foreseen, index), choice.option);
    for (const { outputs } of layer.convs) {
      const before = counts.get(outputs[0]);
      if (before !== undefined) found.set(outputs[0], left(before, layer, present, way, choice));
    }
  }
  return count.layers.map((layer) => found.get(layer.node.outputs[0]) ?? { count: layer, d: 0 });
}

interface ForeseenWay {
  readonly way: Way;
  readonly option: LayerOption;
  /** Coefficients that each of those that were looked at stands for. */
  readonly each: number;
}

function waysOf(
  layer: CalibrationLayer,
  present: PresentForm,
  basis: CalibrationOptions["basis"],
): readonly ForeseenWay[] {
  const ways = waysToCompute(layer, present, basis);
  if (ways.every(({ form }) => form === "kept"))
    return ways.map((way) => ({ way, option: keptOption(present), each: 0 }));
  const weights = weighted(layer);
  const whole = weights.reduce((sum, value) => sum + value * value, 0);
  const taps = layer.R * layer.S;
  const { values, vectors } = spectrum(weights, taps);
  return ways.map((way): ForeseenWay => {
    if (way.form === "kept" || whole === 0) return { way, option: keptOption(present), each: 0 };
    const onBasis = isOnBasis(way.form);
    const size = onBasis ? (weights.length / taps) * way.d : weights.length;
    const valueAt = onBasis
      ? (index: number) =>
          projection(weights, Math.floor(index / way.d) * taps, known(vectors[index % way.d]))
      : (index: number) => known(weights[index]);
    const squares = Float64Array.from(sampledPlaces(size), (index) => valueAt(index) ** 2).sort();
    const each = size / squares.length;
    let lost = 0;
    const added = squares.map((square) => {
      lost += (each * square) / whole;
      return lost;
    });
    const base = onBasis ? values.slice(way.d).reduce((sum, value) => sum + (value * value) / whole, 0) : 0;
    const { form, d, fixedMacs, mostMacs } = way;
    const macsPerCoefficient = present.positions * each;
    return {
      way,
      each,
      option: { form, d, fixedMacs, macsPerCoefficient, most: mostMacs, rows: [{ base, added }] },
    };
  });
}

/** The layer's weights, each output's as much larger as what comes after makes it. */
function weighted({ original, importance, K }: CalibrationLayer): Float32Array {
  const perOutput = original.length / K;
  return original.map((value, index) => value * Math.sqrt(at(importance, Math.floor(index / perOutput))));
}

function projection(values: Float32Array, start: number, onto: Float64Array): number {
  let sum = 0;
  for (let tap = 0; tap < onto.length; tap++) sum += known(values[start + tap]) * known(onto[tap]);
  return sum;
}

/** The layer with what the choice leaves of it. */
function left(
  before: LayerCount,
  layer: CalibrationLayer,
  { positions }: PresentForm,
  { way, each }: ForeseenWay,
  { kept }: LayerChoice,
): ForeseenLayer {
  const { sparse } = before;
  if (way.form === "kept" || each === 0 || sparse === undefined) return { count: before, d: 0 };
  const nonZeros = Math.floor(each * at(kept, 0));
  const basis = isOnBasis(way.form) ? way.d * layer.R * layer.S : 0;
  const besides = before.parameters - sparse.nonZeros;
  return {
    d: isOnBasis(way.form) ? way.d : 0,
    count: {
      ...before,
      parameters: besides + nonZeros + basis,
      paperMacs: Math.round(way.fixedMacs * (sparse.positions / positions)) + nonZeros * sparse.positions,
      sparse: { ...sparse, nonZeros },
    },
  };
}
