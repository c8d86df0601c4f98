import { orDefault } from "../../graph/at.js";
import { countNonZeros } from "../../graph/tensor.js";
import type { Factors } from "../basis.js";
import { basisSaves } from "../decompose.js";
import type { WayForm } from "./allocation.js";
import type { CalibrationLayer } from "./layers.js";

/** What outputs of a layer are as it comes in. */
export interface PresentOutputs {
  /** Its basis [d, R, S], where the layer came decomposed. */
  readonly basis: Float32Array | undefined;
  /** float32 [K, C, d], its coefficients, or [K, C, R, S], its weights. */
  readonly values: Float32Array;
  /** Output positions, over all convolutions that share the layer: what one coefficient costs. */
  readonly positions: number;
}

/** What a layer is as it comes in. Multiply-accumulates are for one image, by the paper's count. */
export interface PresentForm extends PresentOutputs {
  readonly nonZeros: number;
  readonly macs: number;
  /** Non-zero values and the basis. */
  readonly parameters: number;
}

/**
 * @param denseMacs of the layer's dense kernels
 * @param factors of a layer that came decomposed
 */
export function presentForm(
  layer: CalibrationLayer,
  denseMacs: number,
  factors: Factors | undefined,
): PresentForm {
  const positions = denseMacs / layer.original.length;
  const values = factors?.coefs ?? layer.original;
  const nonZeros = countNonZeros(values);
  const basis = factors?.basis;
  const size = orDefault(basis?.length, 0);
  const counted = positions * (layer.C * layer.groups * size + nonZeros);
  // Zeros of depthwise layers save nothing by the paper's count.
  const macs = layer.sparsity === "none" ? denseMacs : counted;
  return { basis, values, nonZeros, positions, macs, parameters: nonZeros + size };
}

/** A way to compute a layer, before it is known what it would lose. */
export interface Way {
  readonly form: WayForm;
  readonly d: number;
  /** Multiply-accumulates that no removal of coefficients saves. */
  readonly fixedMacs: number;
  /** The most that it may cost, so that neither multiply-accumulates nor parameters become more than the layer has. */
  readonly mostMacs: number;
}

const SIZES: readonly number[] = [2, 3, 4, 5, 6, 7, 10, 14, 20, 28];
/** With more than this share of the taps a basis hardly saves anything. */
const LARGEST_SHARE = 0.8;
/** Kernels with a smaller share of non-zero weights go on losing weights, as an alternative to a basis. */
const SPARSE_SHARE = 0.75;

/** Basis sizes that are tried for a kernel of so many taps: 2 to 7 for 3x3 kernels. */
export function basisSizes(taps: number): readonly number[] {
  return SIZES.filter((d) => d <= LARGEST_SHARE * taps);
}

/** From so many outputs on a kernel more costs less than 1 % of the layer: what its coefficients cost decides. */
const MANY_OUTPUTS = 128;

/**
 * Basis sizes that are tried for a layer: of many outputs every second one, from the largest on, and the smallest,
 * which says how little the layer can cost.
 */
function sizesFor({ R, S, K, groups }: CalibrationLayer): readonly number[] {
  const all = basisSizes(R * S);
  if (K / groups < MANY_OUTPUTS) return all;
  return all.filter((_, index) => index === 0 || (all.length - 1 - index) % 2 === 0);
}

/**
 * All ways to compute a layer, that of keeping it first, if it is one of them. Not keeping it is not if a size of the
 * basis is asked for that the layer can have. A basis that costs more than the layer does now is no way.
 */
export function waysToCompute(
  layer: CalibrationLayer,
  present: PresentForm,
  basis: number | "auto",
): readonly Way[] {
  const { macs, parameters, positions } = present;
  const kept: Way = { form: "kept", d: 0, fixedMacs: macs, mostMacs: macs };
  if (layer.sparsity === "none") return [kept];
  const weights: Way = { form: "weights", d: 1, fixedMacs: 0, mostMacs: macs };
  if (layer.sparsity === "weights") return [kept, weights];
  const taps = layer.R * layer.S;
  const perKernel = positions * layer.C * layer.groups * taps;
  const onBasis = (form: WayForm, d: number): Way => ({
    form,
    d,
    fixedMacs: perKernel * d,
    mostMacs: Math.min(macs, perKernel * d + positions * (parameters - taps * d)),
  });
  const ownSize = orDefault(present.basis?.length, 0) / taps;
  const own = ownSize > 0 ? [onBasis("own basis", ownSize)] : [];
  const sizes = basis === "auto" ? sizesFor(layer) : [basis];
  // A layer that has a basis goes on with it, or with a smaller one.
  const asked = sizes.filter((d) => ownSize === 0 || basis === "auto" || d < ownSize);
  // Where coefficients are removed until the layer pays, the basis alone must cost less than the layer does now.
  const pays = (d: number): boolean =>
    basis === "auto" || ownSize > 0
      ? basisSaves(layer, d) && perKernel * d < macs && taps * d < parameters
      : basisSaves(layer, d, present.nonZeros);
  const made = asked.filter(pays).map((d) => onBasis("new basis", d));
  const isSparse = present.basis === undefined && present.nonZeros < SPARSE_SHARE * layer.original.length;
  const isForced = basis !== "auto" && ownSize === 0 && made.length > 0;
  return [...(isForced ? [] : [kept]), ...own, ...made, ...(isSparse && !isForced ? [weights] : [])];
}
