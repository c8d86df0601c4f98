import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { countGraph } from "../measure/count.js";
import { allocate } from "./calibrate/allocation.js";
import { analyseLayer, layerOptionsSchema } from "./calibrate/analysis.js";
import { keptOption } from "./calibrate/candidates.js";
import type {
  AnalysedLayer,
  Calibration,
  CalibrationAnalysis,
  CalibrationOptions,
  CalibrationRuntime,
  TargetedCalibration,
} from "./calibrate/contract.js";
import { CutSequence } from "./calibrate/cuts.js";
import { fitInOrder } from "./calibrate/fit_in_order.js";
import { remembered } from "./calibrate/journal.js";
import { cutsOf, layersAsTheyAre, leastOf, nameOf, presentMacs } from "./calibrate/plan.js";
import { expectedWork, type WorkImages, WorkMeter } from "./calibrate/progress.js";
import { partReports, report } from "./calibrate/reports.js";
import { checkReachable } from "./prune.js";

export type {
  CalibratedLayer,
  Calibration,
  CalibrationAnalysis,
  CalibrationOptions,
  CalibrationProgress,
  CalibrationRuntime,
  TargetedCalibration,
} from "./calibrate/contract.js";
export { leastFraction } from "./calibrate/plan.js";

/** What else may help where a target cannot be reached. */
export function otherWays(basis: CalibrationOptions["basis"]): string {
  return basis === "auto" ? "as no smaller basis is tried" : "a smaller --basis, or --basis auto";
}

/** What the keys of what does not depend on the fraction begin with in a journal. */
export const ANALYSIS = "analysis-";

/**
 * Compresses a network from unlabelled images alone, without back-propagation (design.md, section 1): for each layer
 * a basis chosen by what the layer's inputs are like, coefficients removed one at a time by what their removal adds
 * to the error of the layer's *output*, all others compensating; how much of each layer goes is decided by what its
 * error does to the network's outputs. Layers are fitted in order, on the inputs that the compressed network gives
 * them, so that each corrects its predecessors; where a result is added to another, it corrects that too.
 *
 * The graph must be simplified (`simplify`), with float32 weights. The result has `decompose`'s form, with zeros.
 * @throws PenniError "bad-option" if the fraction cannot be reached, "interrupted" when the signal is aborted
 */
export async function calibrate(
  graph: Graph,
  runtime: CalibrationRuntime,
  options: TargetedCalibration,
): Promise<Calibration> {
  const analysis = await analyseLayers(graph, runtime, options);
  return calibrateTo(options.fraction, graph, analysis, runtime, options);
}

/** The layers that calibration fits, what everything else costs, and the work that it expects of each layer. */
function layersAndWork(
  graph: Graph,
  images: WorkImages,
  { basis, factors }: Pick<CalibrationOptions, "basis" | "factors">,
) {
  const count = countGraph(fixBatch(graph, 1));
  const known = layersAsTheyAre(graph, count, factors);
  const macs = new Map(count.layers.map((layer) => [layer.node.outputs[0], layer.executedMacs]));
  return { ...known, work: expectedWork(graph, known.layers, macs, images, basis) };
}

/** Seconds that `calibrate` takes on a usual processor with two threads, roughly: on others in proportion. */
export function calibrationSeconds(
  graph: Graph,
  images: WorkImages,
  options: Pick<CalibrationOptions, "basis" | "factors">,
): number {
  const { work } = layersAndWork(graph, images, options);
  const parts = work.flatMap(({ analyse, fit }) => [...analyse, ...fit]);
  return parts.reduce((sum, seconds) => sum + seconds, 0);
}

/** All ways to compute each layer of a network, with their costs and errors: the same for every fraction. */
export async function analyseLayers(
  graph: Graph,
  runtime: CalibrationRuntime,
  options: CalibrationOptions,
): Promise<CalibrationAnalysis> {
  const { layers, otherMacs, work } = layersAndWork(graph, runtime.images, options);
  await runtime.settle(graph, []);
  const cuts = new CutSequence(cutsOf(graph, layers, runtime), (cut) => runtime.settle(graph, cut));
  const meter = new WorkMeter(work);
  const analysed: AnalysedLayer[] = [];
  for (const [index, { layer, denseMacs, present }] of layers.entries()) {
    const name = nameOf(layer);
    const progress = { step: "analyse", done: index, total: layers.length, layer: name } as const;
    report(options, meter, progress);
    const ways =
      layer.sparsity === "none"
        ? [keptOption(present)]
        : await remembered(options.journal, `${ANALYSIS}${index}`, layerOptionsSchema, () =>
            meter.time("analyse", index, async (advance) => {
              await cuts.reach(index);
              const partDone = partReports(options, meter, progress, advance);
              return analyseLayer(graph, runtime, options.basis, { layer, present }, partDone);
            }),
          );
    meter.finish("analyse", index);
    analysed.push({ layer, name, denseMacs, present, options: ways });
  }
  return { layers: analysed, otherMacs, meter };
}

/** `calibrate`, for a network that is analysed already. */
export function calibrateTo(
  fraction: number,
  graph: Graph,
  analysis: CalibrationAnalysis,
  runtime: CalibrationRuntime,
  options: CalibrationOptions,
): Promise<Calibration> {
  const { layers, otherMacs, meter } = analysis;
  const original = presentMacs(analysis);
  const ways = layers.map((layer) => layer.options);
  checkReachable(fraction, leastOf(ways, otherMacs, original), otherWays(options.basis));
  const choices = allocate(ways, fraction * original - otherMacs);
  return fitInOrder(graph, runtime, options, layers, choices, meter.copy());
}
