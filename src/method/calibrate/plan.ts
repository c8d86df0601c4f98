import { at } from "../../graph/at.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import type { Graph } from "../../graph/types.js";
import { countGraph, type GraphCount } from "../../measure/count.js";
import { layerName } from "../inspect.js";
import type { LayerOption } from "./allocation.js";
import type { AnalysedLayer, CalibrationOptions, CalibrationRuntime } from "./contract.js";
import { type Cut, planCuts } from "./cuts.js";
import { type CalibrationLayer, calibrationLayers } from "./layers.js";
import { presentForm, waysToCompute } from "./ways.js";

/** Where both networks are cut in front of each layer. */
export function cutsOf(
  graph: Graph,
  layers: readonly Pick<AnalysedLayer, "layer">[],
  { roomPerImage }: CalibrationRuntime,
): readonly Cut[] {
  return planCuts(
    graph,
    layers.map(({ layer: { convs } }) => at(convs, 0)),
    roomPerImage / 2,
  );
}

/** The layers that calibration fits as they come in, and what everything else costs. */
export function layersAsTheyAre(
  graph: Graph,
  count: GraphCount,
  factors: CalibrationOptions["factors"],
): {
  readonly layers: readonly Pick<AnalysedLayer, "layer" | "denseMacs" | "present">[];
  readonly otherMacs: number;
} {
  const counts = new Map(count.layers.map((layer) => [layer.node.outputs[0], layer]));
  let otherMacs = count.paperMacs;
  const layers = calibrationLayers(graph).map((layer) => {
    // Not counted is what has no size, behind an unknown operator, and whose weight counts for another.
    const own = layer.convs.map((conv) => counts.get(conv.outputs[0])).filter((found) => found !== undefined);
    const denseMacs = own.reduce((sum, { executedMacs }) => sum + executedMacs, 0);
    otherMacs -= own.reduce((sum, { paperMacs }) => sum + paperMacs, 0);
    return { layer, denseMacs, present: presentForm(layer, denseMacs, factors?.get(layer.weight)) };
  });
  return { layers, otherMacs };
}

/**
 * The smallest fraction of a network's multiply-accumulates (paper count) that calibration can reach, found without
 * images.
 */
export function leastFraction(
  graph: Graph,
  { basis, factors }: Pick<CalibrationOptions, "basis" | "factors">,
): number {
  const { layers, otherMacs } = layersAsTheyAre(graph, countGraph(fixBatch(graph, 1)), factors);
  const ways = layers.map(({ layer, present }) => waysToCompute(layer, present, basis));
  return leastOf(ways, otherMacs, presentMacs({ layers, otherMacs }));
}

export function leastOf(
  ways: readonly (readonly Pick<LayerOption, "fixedMacs">[])[],
  otherMacs: number,
  original: number,
): number {
  const least = ways.reduce(
    (sum, options) => sum + Math.min(...options.map(({ fixedMacs }) => fixedMacs)),
    otherMacs,
  );
  return original === 0 ? 0 : least / original;
}

/** Multiply-accumulates of the original for one image (paper count). */
export function presentMacs({
  layers,
  otherMacs,
}: {
  readonly layers: readonly Pick<AnalysedLayer, "present">[];
  readonly otherMacs: number;
}): number {
  return layers.reduce((sum, { present }) => sum + present.macs, otherMacs);
}

export function nameOf({ convs }: CalibrationLayer): string {
  return layerName(at(convs, 0));
}
