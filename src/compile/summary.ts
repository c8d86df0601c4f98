import type { WeightsType } from "../graph/weights_type.js";
import { planMemory, planPrepared } from "./memory_plan.js";
import type { Program, Step } from "./program.js";

/** What became of one node of the model, with what was fused to it. */
export interface CompiledLayer {
  readonly name: string;
  readonly op: string;
  /** Names of its kernels in the order of their first calls. */
  readonly kernels: readonly string[];
  /** Of those that make its weights ready once, when the result is loaded. */
  readonly preparation: readonly string[];
  /** Products that are really computed in one run. */
  readonly multiplyAccumulates: number;
}

export interface ProgramSummary {
  readonly layers: readonly CompiledLayer[];
  readonly multiplyAccumulates: number;
  readonly weightBytes: number;
  /** Memory for what is made of weights when the result is loaded, beside them. */
  readonly preparedBytes: number;
  /** What weights are kept as until the result is loaded. */
  readonly weightsType: WeightsType;
  /** Memory for intermediate values. */
  readonly arenaBytes: number;
}

interface LayerSummary {
  readonly name: string;
  readonly op: string;
  readonly kernels: Set<string>;
  readonly preparation: Set<string>;
  products: number;
}

export function summarizeProgram(program: Program): ProgramSummary {
  const layers = new Map<string, LayerSummary>();
  const layerOf = ({ node: name, op }: Step): LayerSummary => {
    const key = JSON.stringify([name, op]);
    const layer = layers.get(key) ?? { name, op, kernels: new Set(), preparation: new Set(), products: 0 };
    layers.set(key, layer);
    return layer;
  };
  for (const step of program.steps) {
    const layer = layerOf(step);
    layer.kernels.add(step.kernel.name);
    layer.products += step.multiplyAccumulates;
  }
  for (const step of program.preparation) layerOf(step).preparation.add(step.kernel.name);
  return {
    layers: [...layers.values()].map(({ name, op, kernels, preparation, products }) => ({
      name,
      op,
      kernels: [...kernels],
      preparation: [...preparation],
      multiplyAccumulates: products,
    })),
    multiplyAccumulates: program.steps.reduce((sum, step) => sum + step.multiplyAccumulates, 0),
    weightBytes: program.weights.byteLength,
    preparedBytes: 4 * planPrepared(program).size,
    weightsType: program.weightsType ?? "float32",
    arenaBytes: 4 * planMemory(program).size,
  };
}
