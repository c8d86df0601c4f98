import type { Graph } from "../../graph/types.js";
import { lossesWithout, lossSaliencies } from "../../method/saliency.js";
import { gradientMoments } from "../../train/gradient_moments.js";
import type { StageContext } from "./stage.js";
import { stillPlan } from "./training.js";

/** By network: each try of a search prunes the same one. */
const known = new WeakMap<Graph, Awaited<ReturnType<typeof lossesOf>>>();

/** What the loss of training rises by without each coefficient, where the run chooses by that. */
export async function lossesOf(
  graph: Graph,
  context: StageContext<"teacher">,
): Promise<ReadonlyMap<string, Float32Array> | undefined> {
  const { saliency = "magnitude", calibrationImages } = context.run.config.settings;
  if (saliency === "magnitude") return undefined;
  const before = known.get(graph);
  if (before !== undefined) return before;
  const measure = lossSaliencies[saliency];
  const plan = stillPlan(graph, context);
  const moments = await gradientMoments(plan, {
    parameters: plan.sparse,
    of: measure.of,
    images: calibrationImages,
    signal: context.signal,
  });
  const losses = lossesWithout(graph, moments, measure);
  known.set(graph, losses);
  return losses;
}
