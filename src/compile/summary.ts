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
  /** Memory for intermediate values. */
  readonly arenaBytes: number;
}

export function summarizeProgram(program: Program): ProgramSummary {
  const layers = new Map<string, CompiledLayer>();
  for (const { node, op, kernel, multiplyAccumulates } of program.steps) {
    const key = JSON.stringify([node, op]);
    const known = layers.get(key);
    layers.set(key, {
      name: node,
      op,
      kernels: [...new Set([...(known?.kernels ?? []), kernel.name])],
      multiplyAccumulates: (known?.multiplyAccumulates ?? 0) + multiplyAccumulates,
    });
  }
  return {
    layers: [...layers.values()],
    multiplyAccumulates: program.steps.reduce((sum, step) => sum + step.multiplyAccumulates, 0),
    weightBytes: program.weights.byteLength,
    arenaBytes: 4 * planMemory(program).size,
  };
}
