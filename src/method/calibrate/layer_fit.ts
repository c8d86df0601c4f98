import { z } from "zod";
import { at } from "../../graph/at.js";
import { combinedGroups, type LayerMoments } from "../../measure/moments.js";
import { allocate, type LayerChoice, type LayerOption } from "./allocation.js";
import { biasFor } from "./apply.js";
import type { BasisProblem } from "./basis_fit.js";
import { basisOf, isOnBasis, presentSupports, problemsOf } from "./candidates.js";
import type { AnalysedLayer } from "./contract.js";
import {
  type BasisFit,
  denseKernels,
  fitBasis,
  fitOnSupports,
  fitSparse,
  fittedKernels,
  type SparseFit,
} from "./fit.js";
import { iterativeSolver, type MatrixAlgebra } from "./iterative_solver.js";
import type { CalibrationLayer } from "./layers.js";
import type { PartDone } from "./reports.js";
import type { CoefficientSolver } from "./solver.js";
import type { PresentForm } from "./ways.js";

/** A layer's new kernels, and the bias of each of its convolutions. */
export interface FittedLayer {
  /** [K, C, R, S]. */
  readonly kernels: Float32Array;
  /** Undefined where the layer stays dense. */
  readonly fit?: SparseFit | undefined;
  readonly biases: readonly Float64Array[];
}

/** Fits a layer as it was chosen, to the moments of each of its convolutions. */
export async function fitLayer(
  { layer, present }: Pick<AnalysedLayer, "layer" | "present">,
  way: LayerOption,
  choice: LayerChoice,
  moments: readonly (readonly LayerMoments[])[],
  algebra: MatrixAlgebra,
  partDone: PartDone,
): Promise<FittedLayer> {
  const wide = iterativeSolver(algebra);
  const groups = combinedGroups(moments);
  const fit =
    way.form === "kept"
      ? await fitAsItIs(layer, present, groups, wide)
      : await fitFewer({ layer, present }, way, choice, groups, wide, partDone);
  const kernels =
    fit === undefined ? await denseKernels(problemsOf(layer, groups, false), wide) : fittedKernels(fit);
  return { kernels, fit, biases: moments.map((own) => biasFor(own, kernels)) };
}

async function fitFewer(
  { layer, present }: Pick<AnalysedLayer, "layer" | "present">,
  { form, d, rows }: LayerOption,
  choice: LayerChoice,
  moments: readonly LayerMoments[],
  wide: CoefficientSolver,
  partDone: PartDone,
): Promise<SparseFit> {
  const groups = problemsOf(layer, moments, isOnBasis(form));
  const kept = choice.kept.reduce((sum, count) => sum + count, 0);
  const all = rows.reduce((sum, { added }) => sum + added.length, 0);
  const limits = { basis: basisOf(form, present), least: kept / Math.max(1, all) };
  const fit = await fitBasis(groups, d, wide, limits);
  await partDone();
  return fitKept(groups, fit, choice, layer, wide);
}

/** What a layer has of coefficients or weights, fitted anew; undefined for kernels without a zero. */
async function fitAsItIs(
  layer: CalibrationLayer,
  present: PresentForm,
  moments: readonly LayerMoments[],
  wide: CoefficientSolver,
): Promise<SparseFit | undefined> {
  const { basis: own, nonZeros, values } = present;
  if (own === undefined && nonZeros === values.length) return undefined;
  const groups = problemsOf(layer, moments, own !== undefined);
  const basis = own === undefined ? Float64Array.of(1) : Float64Array.from(own);
  const d = own === undefined ? 1 : basis.length / (layer.R * layer.S);
  return fitOnSupports(groups, { d, basis }, presentSupports(layer, present), wide);
}

/** As many coefficients as were decided for the layer, distributed anew over its outputs. */
function fitKept(
  groups: readonly BasisProblem[],
  fit: BasisFit,
  { kept }: LayerChoice,
  layer: CalibrationLayer,
  wide: CoefficientSolver,
): Promise<SparseFit> {
  // Each of the outputs that were looked at stands for as many of the layer.
  const each = fit.rows.length / Math.max(1, kept.length);
  const wanted = Math.floor(each * kept.reduce((sum, count) => sum + count, 0) + 1e-6);
  const rows = fit.rows.map(({ path }, k) => {
    const importance = at(layer.importance, k);
    return { base: 0, added: path.error.map((value) => importance * value) };
  });
  const unlimited = Number.POSITIVE_INFINITY;
  const unit = { form: "weights", d: fit.d, fixedMacs: 0, macsPerCoefficient: 1, most: unlimited } as const;
  const again = at(allocate([[{ ...unit, rows }]], wanted), 0);
  return fitSparse(groups, fit, again.kept, wide);
}

const float64 = z.instanceof(Float64Array);

/** In a journal. */
export const fittedLayerSchema: z.ZodType<FittedLayer> = z.object({
  kernels: z.instanceof(Float32Array),
  fit: z.object({ d: z.number(), basis: float64, coefs: float64 }).optional(),
  biases: z.array(float64),
});
