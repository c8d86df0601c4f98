import type { Kernel } from "../loops.js";
import { type MemoryPlan, planMemory, planPrepared } from "../memory_plan.js";
import type { Program, Step } from "../program.js";
import { verifyAddresses } from "./addresses.js";
import { verifyArena, verifyPrepared } from "./arena.js";
import { verifyBuffers } from "./buffers.js";
import { verifyKernel } from "./kernel.js";
import { complainOf } from "./problem.js";
import { Tables } from "./tables.js";

/** Some seconds. */
const PATIENCE = 2 ** 22;

/**
 * Checks a program before it is printed; each part says what it checks.
 * @param lanes of the vectors that it was compiled for
 * @param plan of the arena; default: the one that back ends use
 * @param prepared the plan of what is prepared, likewise
 * @throws PenniError "internal" naming the rule that is broken, and the step where there is one
 */
export function verifyProgram(
  program: Program,
  lanes: number,
  plan: MemoryPlan = planMemory(program),
  prepared: MemoryPlan = planPrepared(program),
): void {
  const steps = [...program.preparation, ...program.steps];
  verifyKernels(steps, lanes);
  verifyBuffers(program);
  verifyArena(program, plan, lanes);
  verifyPrepared(program, prepared, lanes);
  const tables = new Tables(program);
  const patience = { rounds: PATIENCE };
  for (const step of steps) {
    verifyAddresses(step, { tables, lanes, patience, complain: complainOf(step) });
  }
}

function verifyKernels(steps: readonly Step[], lanes: number): void {
  const verified = new Set<Kernel>();
  for (const step of steps) {
    if (verified.has(step.kernel)) continue;
    verified.add(step.kernel);
    verifyKernel(step.kernel, lanes, complainOf(step));
  }
}
