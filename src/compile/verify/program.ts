import type { Kernel } from "../loops.js";
import { type MemoryPlan, planMemory } from "../memory_plan.js";
import type { Program } from "../program.js";
import { verifyAddresses } from "./addresses.js";
import { verifyArena } from "./arena.js";
import { verifyBuffers } from "./buffers.js";
import { verifyKernel } from "./kernel.js";
import { complainOf } from "./problem.js";
import { Tables } from "./tables.js";

/** Some seconds. */
const PATIENCE = 2 ** 22;

/**
 * Checks a program before it is printed; each part says what it checks.
 * @param lanes of the vectors that it was compiled for
 * @param plan default: the one that back ends use
 * @throws PenniError "internal" naming the rule that is broken, and the step where there is one
 */
export function verifyProgram(program: Program, lanes: number, plan: MemoryPlan = planMemory(program)): void {
  verifyKernels(program, lanes);
  verifyBuffers(program);
  verifyArena(program, plan, lanes);
  const tables = new Tables(program);
  const patience = { rounds: PATIENCE };
  for (const step of program.steps) {
    verifyAddresses(step, { tables, lanes, patience, complain: complainOf(step) });
  }
}

function verifyKernels({ steps }: Program, lanes: number): void {
  const verified = new Set<Kernel>();
  for (const step of steps) {
    if (verified.has(step.kernel)) continue;
    verified.add(step.kernel);
    verifyKernel(step.kernel, lanes, complainOf(step));
  }
}
