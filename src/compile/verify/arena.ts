import { listOf } from "../../graph/at.js";
import { pushTo } from "../../graph/push_to.js";
import type { MemoryPlan } from "../memory_plan.js";
import type { Buffer, Program } from "../program.js";
import { complainOfProgram } from "./problem.js";

interface Interval {
  readonly buffer: Buffer;
  readonly first: number;
  last: number;
}

/**
 * Checks where buffers lie in the arena: each has a place inside it, with room for a vector that begins at its last
 * element, and two that are in use at the same step do not overlap.
 * @param lanes of the target's vectors
 */
export function verifyArena({ steps }: Pick<Program, "steps">, plan: MemoryPlan, lanes: number): void {
  const starting = new Map<number, Interval[]>();
  for (const interval of lifetimes(steps)) pushTo(starting, interval.first, interval);
  let living: readonly Interval[] = [];
  steps.forEach((_, now) => {
    living = living.filter(({ last }) => last >= now);
    for (const next of listOf(starting, now)) {
      const [from, to] = placeOf(next, plan, lanes);
      for (const other of living) {
        const [otherFrom, otherTo] = placeOf(other, plan, lanes);
        if (to <= otherFrom || otherTo <= from) continue;
        complainOfProgram(`two buffers overlap in the arena that step ${now} needs both`, {
          expected: `buffer ${other.buffer.id} in ${otherFrom} to ${otherTo} for itself`,
          found: `buffer ${next.buffer.id} in ${from} to ${to}`,
        });
      }
      living = [...living, next];
    }
  });
}

/** From the first step that names a buffer to the last. */
function lifetimes(steps: Program["steps"]): readonly Interval[] {
  const found = new Map<number, Interval>();
  steps.forEach((step, index) => {
    for (const { buffer } of step.arguments) {
      if (buffer.kind !== "value" && buffer.kind !== "scratch") continue;
      const known = found.get(buffer.id);
      if (known === undefined) found.set(buffer.id, { buffer, first: index, last: index });
      else known.last = index;
    }
  });
  return [...found.values()];
}

function placeOf(
  { buffer: { id, size } }: Interval,
  plan: MemoryPlan,
  lanes: number,
): readonly [from: number, to: number] {
  const from = plan.offsets.get(id) ?? complainOfProgram(`buffer ${id} has no place in the arena`);
  const to = from + size + lanes - 1;
  if (Number.isInteger(from) && from >= 0 && to <= plan.size) return [from, to];
  return complainOfProgram(`buffer ${id} lies outside of the arena`, {
    expected: `inside 0 to ${plan.size}`,
    found: `${from} to ${to}`,
  });
}
