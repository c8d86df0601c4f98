import { inputOf, orDefault } from "../graph/at.js";
import type { Graph } from "../graph/types.js";
import { convolutions, findDecompositions } from "../layers/weights.js";
import type { UpdateRule } from "../train/optimizer.js";
import type { Phase } from "../train/plan.js";
import { plainRule } from "./defaults.js";
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

/** The training phases of a network; one that would train nothing of its own is left out. */
export function trainingPhases(
  graph: Graph,
  { mode, sparse, scaleBasisRate, frozen }: PhaseOptions,
): Phase[] {
  const roles = [...trainableParameters(graph)].filter(([name]) => frozen?.has(name) !== true);
  const rates = scaleBasisRate ? basisRates(graph) : new Map<string, number>();
  const ofImages = sparse.l1 === "channels" ? imageWeights(graph) : new Set<string>();
  const ruleOf = (name: string, role: ParameterRole): SparseRule => {
    if (role !== "coefficients" && role !== "pruned") return plainRule;
    return ofImages.has(name) ? { ...sparse, l1: "proximal" } : sparse;
  };
  const phases = Object.entries(phaseRoles[mode]).map(([name, included]) => ({
    name,
    trained: Object.fromEntries(
      roles
        .filter(([, role]) => included.includes(role))
        .map(([name, role]) => [name, { ...ruleOf(name, role), rate: orDefault(rates.get(name), 1) }]),
    ),
  }));
  return roles.some(([, role]) => role === "basis") ? phases : phases.slice(0, 1);
}

/** Coefficients and weights of the convolutions that read the images themselves, whose channels are colours. */
function imageWeights(graph: Graph): ReadonlySet<string> {
  const images = new Set(graph.inputs.map(({ name }) => name));
  const coefs = new Map(findDecompositions(graph).map((layer) => [layer.conv, layer.coefs]));
  const first = convolutions(graph).filter((conv) => images.has(inputOf(conv, 0)));
  return new Set(first.map((conv) => coefs.get(conv) ?? inputOf(conv, 1)));
}

/** Names of the parameters whose zeros count: coefficients, and the weights of convolutions without a basis. */
export function sparseParameters(graph: Graph): readonly string[] {
  const isSparse = (role: ParameterRole): boolean => role === "coefficients" || role === "pruned";
  return [...trainableParameters(graph)].filter(([, role]) => isSparse(role)).map(([name]) => name);
}
