import { present } from "../../graph/at.js";
import { type LaneConstants, type LaneRef, laneConstant } from "../core/channels.js";

/** A layer every output lane of which may read every input lane: dense Conv, Gemm, MatMul. */
export interface MixingLayer {
  readonly inputs: number;
  readonly outputs: number;
  /** Whether output k computes with input c at all. */
  connected(k: number, c: number): boolean;
  /** What a constant 1 in input lane c adds to output k, away from zero-padded borders. */
  gain(k: number, c: number): number;
  bias(k: number): number;
  /** Whether zero padding makes a constant input vary at the borders. */
  readonly padded: boolean;
  /** Padded layers: whether a map of biases takes up what the constant lanes add, in place of a representative. */
  readonly mapped?: boolean;
  /** Known constants of the input lanes. */
  readonly constants: LaneConstants;
}

/** What follows from the zeros and the constants of a mixing layer. */
export interface MixingFlow {
  readonly reads: (output: number, lane: number) => Iterable<LaneRef>;
  readonly outputConstants: LaneConstants;
  /**
   * Padded layers only: the input lane that stands for all non-zero constant ones. With v the constants, the
   * kernels of the others join its own: W'[k, r] = sum over c of W[k, c] * v[c] / v[r], exact at borders too.
   */
  readonly representative: number | undefined;
  /** bias[k] plus, for an unpadded layer, what the constant lanes outside `kept` contribute. */
  readonly foldedBias: (k: number, kept: ReadonlySet<number>) => number;
}

export function mixingFlow(layer: MixingLayer): MixingFlow {
  const needsOne = layer.padded && layer.mapped !== true;
  const representative = needsOne ? largestConstant(layer.constants) : undefined;
  return {
    reads: (_, lane) => readsOf(layer, representative, lane),
    outputConstants: Array.from({ length: layer.outputs }, (_, k) => laneConstant(outputConstant(layer, k))),
    representative,
    foldedBias: (k, kept) => {
      let sum = layer.bias(k);
      if (layer.padded) return sum;
      layer.constants.forEach((value, c) => {
        if (value !== undefined && !kept.has(c)) sum += value * layer.gain(k, c);
      });
      return sum;
    },
  };
}

/** The lane with the constant of the largest magnitude; undefined if there is none but zeros. */
function largestConstant(constants: LaneConstants): number | undefined {
  let best: number | undefined;
  constants.forEach((value, lane) => {
    if (value === undefined || value === 0) return;
    if (best === undefined || Math.abs(value) > Math.abs(present(constants[best]))) best = lane;
  });
  return best;
}

function* readsOf(layer: MixingLayer, representative: number | undefined, k: number): Iterable<LaneRef> {
  for (let c = 0; c < layer.inputs; c++) {
    const value = layer.constants[c];
    if (value === 0 || !layer.connected(k, c)) continue;
    if (value === undefined) yield { port: 0, lane: c };
    else if (representative !== undefined) yield { port: 0, lane: representative };
  }
}

function outputConstant(layer: MixingLayer, k: number): number | undefined {
  let sum = layer.bias(k);
  for (let c = 0; c < layer.inputs; c++) {
    const value = layer.constants[c];
    if (value === 0 || !layer.connected(k, c)) continue;
    if (value === undefined || layer.padded) return undefined;
    sum += value * layer.gain(k, c);
  }
  return sum;
}

/** Lanes with a constant other than zero that are not kept. */
export function mergedLanes(
  constants: LaneConstants,
  kept: ReadonlySet<number>,
): readonly { readonly lane: number; readonly value: number }[] {
  return constants.flatMap((value, lane) =>
    value === undefined || value === 0 || kept.has(lane) ? [] : [{ lane, value }],
  );
}
