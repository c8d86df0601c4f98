import type { Graph } from "../graph/types.js";
import type { UpdateRule } from "../train/optimizer.js";
import type { Phase } from "../train/plan.js";
import { basisRates, type ParameterRole, trainableParameters } from "./parameters.js";

/** "alternating": coefficients and bases take turns (paper, section 3.2); "joint": both in every step. */
export type PhaseMode = "alternating" | "joint";

/** How coefficients (and the weights of convolutions without a basis) are treated. */
export type SparseRule = Omit<UpdateRule, "rate">;

export interface PhaseOptions {
  readonly mode: PhaseMode;
  readonly sparse: SparseRule;
  /** Divide the learning rate of each basis by the curvature its coefficients give it (see `basisRates`). */
  readonly scaleBasisRate: boolean;
  /** Parameters that are not trained. */
  readonly frozen?: ReadonlySet<string>;
}

/** Which roles each phase trains; everything that is neither coefficient nor basis trains in all of them. */
const phaseRoles: Readonly<Record<PhaseMode, Readonly<Record<string, readonly ParameterRole[]>>>> = {
  alternating: {
    coefficients: ["coefficients", "pruned", "other"],
    bases: ["basis", "other"],
  },
  joint: { joint: ["coefficients", "pruned", "basis", "other"] },
};

const plain: SparseRule = { l1: "none", masked: false };

/** The training phases of a network; one that would train nothing of its own is left out. */
export function trainingPhases(
  graph: Graph,
  { mode, sparse, scaleBasisRate, frozen }: PhaseOptions,
): Phase[] {
  const roles = [...trainableParameters(graph)].filter(([name]) => frozen?.has(name) !== true);
  const rates = scaleBasisRate ? basisRates(graph) : new Map<string, number>();
  const ruleOf = (role: ParameterRole): SparseRule =>
    role === "coefficients" || role === "pruned" ? sparse : plain;
  const phases = Object.entries(phaseRoles[mode]).map(([name, included]) => ({
    name,
    trained: Object.fromEntries(
      roles
        .filter(([, role]) => included.includes(role))
        .map(([parameter, role]) => [parameter, { ...ruleOf(role), rate: rates.get(parameter) ?? 1 }]),
    ),
  }));
  return roles.some(([, role]) => role === "basis") ? phases : phases.slice(0, 1);
}

/** Names of the parameters whose zeros count: coefficients, and the weights of convolutions without a basis. */
export function sparseParameters(graph: Graph): readonly string[] {
  const isSparse = (role: ParameterRole): boolean => role === "coefficients" || role === "pruned";
  return [...trainableParameters(graph)].filter(([, role]) => isSparse(role)).map(([name]) => name);
}
