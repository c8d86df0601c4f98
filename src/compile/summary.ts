import type { WeightsType } from "../graph/weights_type.js";
import { planMemory } from "./memory_plan.js";
import type { Program } from "./program.js";

/** What became of one node of the model, with what was fused to it. */
export interface CompiledLayer {
  readonly name: string;
  readonly op: string;
  /** Names of its kernels in the order of their first calls. */
  readonly kernels: readonly string[];
  /** Products that are really computed in one run. */
  readonly multiplyAccumulates: number;
}

export interface ProgramSummary {
  readonly layers: readonly CompiledLayer[];
  readonly multiplyAccumulates: number;
  readonly weightBytes: number;
  /** What weights are kept as until the result is loaded. */
  readonly weightsType: WeightsType;
  /** Memory for intermediate values. */
  readonly arenaBytes: number;
}

export function summarizeProgram(program: Program): ProgramSummary {
  const layers = new Map<string, { name: string; op: string; kernels: Set<string>; products: number }>();
  for (const { node: name, op, kernel, multiplyAccumulates } of program.steps) {
    const key = JSON.stringify([name, op]);
    const layer = layers.get(key) ?? { name, op, kernels: new Set(), products: 0 };
    layers.set(key, layer);
    layer.kernels.add(kernel.name);
    layer.products += multiplyAccumulates;
  }
  return {
    layers: [...layers.values()].map(({ name, op, kernels, products }) => ({
      name,
      op,
      kernels: [...kernels],
      multiplyAccumulates: products,
    })),
    multiplyAccumulates: program.steps.reduce((sum, step) => sum + step.multiplyAccumulates, 0),
    weightBytes: program.weights.byteLength,
    weightsType: program.weightsType ?? "float32",
    arenaBytes: 4 * planMemory(program).size,
  };
}
