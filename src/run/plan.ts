import { fixBatch } from "../graph/passes/fix_input_shape.js";
import { float32Data } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";
import { type DenseLayer, findDecompositions } from "../layers/weights.js";
import { countGraph } from "../measure/count.js";
import type { CriterionRule } from "../method/criteria/table.js";
import { decompositionCandidates } from "../method/decompose.js";
import { layerName } from "../method/inspect.js";
import { reportShrink, type ShrinkReport } from "../method/shrink/report.js";
import type { Settings } from "./config.js";
import type { PlannedGoal } from "./goal_check.js";
import { stages } from "./stages/list.js";
import type { StageName } from "./stages/names.js";
import type { StagePlanContext } from "./stages/stage.js";

/** A convolution, and what becomes of it: a basis of d kernels, or none for this reason. */
export type PlannedLayer = { readonly name: string } & (
  | { readonly weightDims: readonly [K: number, C: number, R: number, S: number]; readonly d: number }
  | { readonly reason: string }
);

/** What a run would do to a network, found without images and without training. */
export interface RunPlan {
  readonly layers: readonly PlannedLayer[];
  readonly start: Settings["start"];
  readonly prune: CriterionRule;
  /** What `prune` follows from, if it was not asked for itself. */
  readonly goal?: PlannedGoal;
  /** Multiply-accumulates of one image, paper count: as given, without channels, decomposed, pruned now. */
  readonly paperMacs: {
    readonly original: number;
    /** Where the run removes channels first. */
    readonly narrow?: number;
    readonly decomposed: number;
    readonly pruned: number;
  };
  readonly channelMultiple: number;
  /** What shrinking would remove if the network were pruned now; training brings other zeros. Absent if nothing is shrunk. */
  readonly shrink?: ShrinkReport;
}

/** What is planned: a rule that says how much goes. */
type PlannedSettings = Pick<Settings, "start"> & StagePlanContext["settings"];

/**
 * Goes through the stages as far as they can be planned for a network as it stands.
 * @param graph imported (`importModel`); spatial dimensions are fixed
 * @throws PenniError "bad-option" if what the rule asks for cannot be reached; "shape" if a dimension other than the
 *   batch is open
 */
export function planRun(graph: Graph, settings: PlannedSettings): RunPlan {
  const { start, prune, channelMultiple } = settings;
  const original = fixBatch(graph, 1);
  const after = new Map<StageName, Graph>();
  let present = original;
  for (const { name, plan, isLeftOut } of stages) {
    if (isLeftOut?.(settings) === true) continue;
    present = plan?.(present, { settings, original }) ?? present;
    after.set(name, present);
  }
  const narrow = after.get("channels");
  const [decomposed = original, pruned = original] = [after.get("decompose"), after.get("prune")];
  return {
    layers: plannedLayers(narrow ?? original, decomposed),
    start,
    prune,
    paperMacs: {
      original: countGraph(original).paperMacs,
      ...(narrow === undefined ? {} : { narrow: countGraph(narrow).paperMacs }),
      decomposed: countGraph(decomposed).paperMacs,
      pruned: countGraph(pruned).paperMacs,
    },
    channelMultiple,
    ...(after.has("shrink") ? { shrink: reportShrink(pruned, { multiple: channelMultiple }) } : {}),
  };
}

function plannedLayers(original: Graph, decomposed: Graph): readonly PlannedLayer[] {
  const bases = new Map(findDecompositions(decomposed).map((layer) => [layer.conv.outputs[0], layer]));
  return decompositionCandidates(original).map((decision) => {
    const name = layerName(decision.conv);
    const basis = bases.get(decision.conv.outputs[0]);
    if (basis !== undefined) return { name, weightDims: [basis.K, basis.C, basis.R, basis.S], d: basis.d };
    return {
      name,
      reason: decision.layer === undefined ? decision.reason : withoutGain(original, decision.layer),
    };
  });
}

/** Why a layer that could have a basis keeps its weights. */
function withoutGain(graph: Graph, { weight }: DenseLayer): string {
  const tensor = graph.initializers.get(weight);
  const isSparse = tensor !== undefined && float32Data(tensor).some((value) => value === 0);
  return isSparse
    ? "it has zeros already: so many kernels would save nothing"
    : "so many kernels would save nothing";
}
