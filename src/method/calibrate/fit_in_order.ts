import { at, inputOf } from "../../graph/at.js";
import { linkGraph } from "../../graph/links.js";
import { countNonZeros } from "../../graph/tensor.js";
import type { Graph } from "../../graph/types.js";
import type { LayerMoments } from "../../measure/moments.js";
import { withFactors } from "../decompose.js";
import type { LayerChoice } from "./allocation.js";
import { withLayer } from "./apply.js";
import { isOnBasis } from "./candidates.js";
import type {
  AnalysedLayer,
  CalibratedLayer,
  Calibration,
  CalibrationOptions,
  CalibrationRuntime,
} from "./contract.js";
import { CutSequence } from "./cuts.js";
import type { SparseFit } from "./fit.js";
import { remembered } from "./journal.js";
import { fitLayer, fittedLayerSchema } from "./layer_fit.js";
import { cutsOf } from "./plan.js";
import type { WorkMeter } from "./progress.js";
import { partReports, report } from "./reports.js";
import { pairOf, targetOf } from "./targets.js";

/** Fits each layer as it was chosen, on what the network compressed so far gives it. */
export async function fitInOrder(
  graph: Graph,
  runtime: CalibrationRuntime,
  options: CalibrationOptions,
  analysed: readonly AnalysedLayer[],
  choices: readonly LayerChoice[],
  meter: WorkMeter,
): Promise<Calibration> {
  const links = linkGraph(graph);
  const factors = new Map<string, SparseFit>();
  const calibrated: CalibratedLayer[] = [];
  let current = graph;
  let spared = 0;
  await runtime.settle(graph, []);
  const cuts = new CutSequence(cutsOf(graph, analysed, runtime), (cut) => {
    const pair = pairOf(graph, current);
    return runtime.settle(pair.graph, [...cut, ...cut.map(pair.originalName)]);
  });
  for (const [index, { layer, name, denseMacs, present, options: ways }] of analysed.entries()) {
    const progress = { step: "fit", done: index, total: analysed.length, layer: name } as const;
    report(options, meter, progress);
    const choice = at(choices, index);
    const way = at(ways, choice.option);
    const { kernels, fit, biases } = await remembered(
      options.journal,
      `fit-${index}`,
      fittedLayerSchema,
      () =>
        meter.time("fit", index, async (advance) => {
          await cuts.reach(index);
          const partDone = partReports(options, meter, progress, advance);
          const moments: (readonly LayerMoments[])[] = [];
          for (const conv of layer.convs) {
            const target = targetOf(pairOf(graph, current), links, conv, layer);
            const request = { conv, input: inputOf(conv, 0), target: target.value };
            moments.push(...(await runtime.moments(target.pair.graph, [request])));
          }
          await partDone();
          return fitLayer({ layer, present }, way, choice, moments, runtime.algebra, partDone);
        }),
    );
    meter.finish("fit", index);
    const isDecomposed = isOnBasis(way.form) || (way.form === "kept" && present.basis !== undefined);
    const onBasis = isDecomposed ? fit : undefined;
    if (onBasis !== undefined) factors.set(layer.weight, onBasis);
    const values = fit === undefined ? kernels : Float32Array.from(fit.coefs);
    const nonZeros = countNonZeros(values);
    spared += present.parameters - nonZeros - (onBasis === undefined ? 0 : onBasis.basis.length);
    const withBiases = withLayer(current, layer, kernels, biases, spared);
    current = withBiases.graph;
    spared -= withBiases.added;
    calibrated.push({
      name,
      d: onBasis === undefined ? 0 : onBasis.d,
      density: nonZeros / values.length,
      macs: choice.macs / denseMacs,
    });
  }
  await runtime.settle(graph, []);
  const result = withFactors(current, ({ weight }) => {
    const fit = factors.get(weight);
    return fit === undefined
      ? undefined
      : { coefs: Float32Array.from(fit.coefs), basis: Float32Array.from(fit.basis) };
  });
  return { graph: result, layers: calibrated };
}
