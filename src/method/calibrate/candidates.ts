import { at } from "../../graph/at.js";
import { anchored, type LayerMoments } from "../../measure/moments.js";
import type { LayerOption, WayForm } from "./allocation.js";
import type { BasisProblem } from "./basis_fit.js";
import { type BasisFit, fitBasis } from "./fit.js";
import type { CalibrationLayer } from "./layers.js";
import type { CoefficientSolver } from "./solver.js";
import type { PresentForm, PresentOutputs, Way } from "./ways.js";

/** Weight of the pull towards the original weights, in average variances of the inputs. */
const ANCHOR = 1e-3;

/**
 * The fitting problem of each group of a layer.
 * @param onBasis whether its kernels share a basis; otherwise taps count as channels
 */
export function problemsOf(
  layer: CalibrationLayer,
  moments: readonly LayerMoments[],
  onBasis: boolean,
): readonly BasisProblem[] {
  const taps = onBasis ? layer.R * layer.S : 1;
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
  readonly groups: readonly BasisProblem[];
  readonly fit: BasisFit;
  /** For each output, how many of its coefficients the layer has: others are zero as it comes in and go for nothing. */
  readonly alive: readonly number[];
  readonly option: LayerOption;
}

/**
 * A way to compute a layer, with the curve of its error.
 * @param layer the whole layer or some of its outputs, as `present` is
 * @param groups its `problemsOf`, as the form of the way has it
 */
export async function candidateOf(
  layer: CalibrationLayer,
  groups: readonly BasisProblem[],
  present: PresentOutputs,
  { form, d, fixedMacs, mostMacs }: Way,
  wide: CoefficientSolver,
): Promise<Candidate> {
  const fit = await fitBasis(groups, d, wide, { basis: basisOf(form, present) });
  const rows = fit.rows.map(({ path, error }, k) => {
    const importance = at(layer.importance, k);
    return { base: importance * error, added: path.error.map((value) => importance * value) };
  });
  const option = { form, d, fixedMacs, macsPerCoefficient: present.positions, most: mostMacs, rows };
  const alive = form === "new basis" ? rows.map(({ added }) => added.length) : presentCounts(layer, present);
  return { groups, fit, alive, option };
}

/** The layer as it is: error free, nothing to remove. */
export function keptOption({ macs }: PresentForm): LayerOption {
  return { form: "kept", d: 0, fixedMacs: macs, macsPerCoefficient: 0, most: macs, rows: [] };
}

export function isOnBasis(form: WayForm): boolean {
  return form === "new basis" || form === "own basis";
}

/** The basis that a form begins with; undefined where one has to be found. */
export function basisOf(form: WayForm, { basis }: PresentOutputs): Float64Array | undefined {
  return form === "own basis" && basis !== undefined ? Float64Array.from(basis) : undefined;
}

function presentCounts(layer: CalibrationLayer, present: PresentOutputs): readonly number[] {
  return presentSupports(layer, present).map(({ length }) => length);
}

/** Which coefficients, or weights, of each output a layer has as it is, as columns of its problem. */
export function presentSupports(
  { K }: CalibrationLayer,
  { values }: Pick<PresentOutputs, "values">,
): readonly Int32Array[] {
  const columns = values.length / K;
  return Array.from({ length: K }, (_, k) => {
    const row = values.subarray(k * columns, (k + 1) * columns);
    return Int32Array.from(row.keys()).filter((column) => row[column] !== 0);
  });
}
