import { z } from "zod";
import { at, inputOf, outputOf } from "../../graph/at.js";
import { float32Tensor } from "../../graph/tensor.js";
import type { Graph, Tensor } from "../../graph/types.js";
import { combinedGroups } from "../../measure/moments.js";
import { addedError, type LayerOption, wayForms } from "./allocation.js";
import type { BasisProblem } from "./basis_fit.js";
import { type Candidate, candidateOf, isOnBasis, keptOption, problemsOf } from "./candidates.js";
import type { AnalysedLayer, CalibrationOptions, CalibrationRuntime } from "./contract.js";
import { fitSparse, fittedKernels } from "./fit.js";
import { iterativeSolver } from "./iterative_solver.js";
import type { CalibrationLayer } from "./layers.js";
import { type OutputSample, sampleOutputs, standingForAll, withSampledKernels } from "./output_sample.js";
import type { PartDone } from "./reports.js";
import { waysToCompute } from "./ways.js";

/** Shares of the coefficients that are removed to see what a layer's error does to the network's outputs. */
const PROBES: readonly number[] = [0.4, 0.7];

/**
 * All ways to compute a layer, with their costs and errors.
 * @param basis basis kernels, as asked
 */
export async function analyseLayer(
  graph: Graph,
  runtime: CalibrationRuntime,
  basis: CalibrationOptions["basis"],
  { layer, present }: Pick<AnalysedLayer, "layer" | "present">,
  partDone: PartDone,
): Promise<readonly LayerOption[]> {
  const requests = layer.convs.map((conv) => ({
    conv,
    input: inputOf(conv, 0),
    target: outputOf(conv, 0),
  }));
  const ways = waysToCompute(layer, present, basis);
  const sparse = ways.filter(({ form }) => form !== "kept");
  if (sparse.length === 0) return [keptOption(present)];
  const sample = sampleOutputs(layer, combinedGroups(await runtime.moments(graph, requests)), present);
  await partDone();
  const wide = iterativeSolver(runtime.algebra);
  // Each holds a Gram matrix: for wide layers more than 100 MB.
  const problems = new Map<boolean, readonly BasisProblem[]>();
  const candidates: Candidate[] = [];
  for (const way of sparse) {
    const onBasis = isOnBasis(way.form);
    const groups = problems.get(onBasis) ?? problemsOf(sample.layer, sample.moments, onBasis);
    problems.set(onBasis, groups);
    candidates.push(await candidateOf(sample.layer, groups, sample.present, way, wide));
    await partDone();
  }
  const scale = await outputScale(runtime, layer, sample, candidates);
  const kept = sparse.length < ways.length ? [keptOption(present)] : [];
  return [...kept, ...candidates.map(({ option }) => standingForAll(scaled(option, scale), sample))];
}

/** What one unit of a layer's weighted squared error does to the error of the network's outputs. */
async function outputScale(
  runtime: CalibrationRuntime,
  layer: CalibrationLayer,
  { outputs: sampled }: OutputSample,
  candidates: readonly Candidate[],
): Promise<number> {
  const middle = candidates[Math.floor((candidates.length - 1) / 2)];
  if (middle === undefined) return 0;
  const replacements: ReadonlyMap<string, Tensor>[] = [];
  let errors = 0;
  for (const share of PROBES) {
    const kept = middle.alive.map((count) => count - Math.round(share * count));
    const kernels = fittedKernels(
      await fitSparse(middle.groups, middle.fit, kept, iterativeSolver(runtime.algebra), 0),
    );
    const weight = float32Tensor(
      [layer.K, layer.C, layer.R, layer.S],
      withSampledKernels(layer, sampled, kernels),
    );
    replacements.push(new Map([[layer.weight, weight]]));
    errors += middle.option.rows.reduce((sum, row, k) => sum + row.base + addedError(row, at(kept, k)), 0);
  }
  const outputs = (await runtime.outputErrors(replacements)).reduce((sum, error) => sum + error, 0);
  return errors > 0 ? Math.max(outputs / errors, Number.MIN_VALUE) : 0;
}

function scaled(option: LayerOption, scale: number): LayerOption {
  const rows = option.rows.map(({ base, added }) => ({
    base: scale * base,
    added: added.map((value) => scale * value),
  }));
  return { ...option, rows };
}

const float64 = z.instanceof(Float64Array);

/** In a journal. */
export const layerOptionsSchema: z.ZodType<readonly LayerOption[]> = z.array(
  z.object({
    form: z.enum(wayForms),
    d: z.number(),
    fixedMacs: z.number(),
    macsPerCoefficient: z.number(),
    most: z.number(),
    rows: z.array(z.object({ base: z.number(), added: float64 })),
  }),
);
