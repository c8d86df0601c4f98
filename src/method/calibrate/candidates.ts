import { anchored, type LayerMoments } from "../../measure/moments.js";
import { basisSaves } from "../decompose.js";
import type { LayerOption } from "./allocation.js";
import type { BasisProblem } from "./basis_fit.js";
import { type BasisFit, fitBasis } from "./fit.js";
import type { CalibrationLayer } from "./layers.js";
import type { CoefficientSolver } from "./solver.js";

/** Weight of the pull towards the original weights, in average variances of the inputs. */
const ANCHOR = 1e-3;

/** The fitting problem of each group of a layer. Layers without kernels to share count taps as channels. */
export function problemsOf(
  layer: CalibrationLayer,
  moments: readonly LayerMoments[],
): readonly BasisProblem[] {
  const taps = layer.sparsity === "basis" ? layer.R * layer.S : 1;
  const perGroup = layer.original.length / layer.groups;
  return moments.map((group, index) => {
    const weight = layer.original.subarray(index * perGroup, (index + 1) * perGroup);
    const outputs = layer.K / layer.groups;
    return {
      moments: anchored(group, weight, ANCHOR),
      taps,
      channels: group.n / taps,
      importance: layer.importance.slice(index * outputs, (index + 1) * outputs),
      weight,
    };
  });
}

/** A way to compute a layer, and what it would cost and lose. */
export interface Candidate {
  readonly fit: BasisFit;
  readonly option: LayerOption;
}

const SIZES: readonly number[] = [2, 3, 4, 5, 6, 7, 10, 14, 20, 28];
/** With more than this share of the taps a basis hardly saves anything. */
const LARGEST_SHARE = 0.8;

/** Basis sizes that are tried for a kernel of so many taps: 2 to 7 for 3x3 kernels. */
export function basisSizes(taps: number): readonly number[] {
  return SIZES.filter((d) => d <= LARGEST_SHARE * taps);
}

/** The basis sizes that make sense for a layer; a layer whose weights are removed directly has one way. */
export function usableSizes(layer: CalibrationLayer, sizes: readonly number[]): readonly number[] {
  if (layer.sparsity === "none") return [];
  return layer.sparsity === "weights" ? [1] : sizes.filter((d) => basisSaves(layer, d));
}

/**
 * A layer over a basis of d kernels, with the curve of its error.
 * @param positions output positions of the layer for one image, over all convolutions that share it
 */
export async function candidateOf(
  layer: CalibrationLayer,
  groups: readonly BasisProblem[],
  positions: number,
  d: number,
  wide: CoefficientSolver,
): Promise<Candidate> {
  const { C, R, S, groups: groupCount, sparsity } = layer;
  const fit = await fitBasis(groups, d, wide);
  const fixedMacs = sparsity === "basis" ? positions * C * groupCount * d * R * S : 0;
  const rows = fit.rows.map(({ path, error }, k) => {
    const importance = layer.importance[k] ?? 0;
    return { base: importance * error, added: path.error.map((value) => importance * value) };
  });
  return { fit, option: { d, fixedMacs, macsPerCoefficient: positions, rows } };
}
