import { at, listOf } from "../../graph/at.js";
import { pushTo } from "../../graph/push_to.js";
import { arenaKinds, type MemoryPlan, type MemoryUse, preparedKinds, preparedUses } from "../memory_plan.js";
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
  verifyPlan(steps, arenaKinds, plan, lanes);
}

/** The same of what is prepared, which runs read. */
export function verifyPrepared(
  program: Pick<Program, "preparation" | "steps">,
  plan: MemoryPlan,
  lanes: number,
): void {
  verifyPlan(preparedUses(program), preparedKinds, plan, lanes);
}

function verifyPlan(
  steps: readonly MemoryUse[],
  kinds: ReadonlySet<Buffer["kind"]>,
  plan: MemoryPlan,
  lanes: number,
): void {
  const starting = new Map<number, Interval[]>();
  const ending = new Map<number, Interval[]>();
  for (const interval of lifetimes(steps, kinds)) {
    // Takes no room, so nothing overlaps it.
    if (interval.buffer.size + lanes === 1) continue;
    pushTo(starting, interval.first, interval);
    pushTo(ending, interval.last, interval);
  }
  const living: Placed[] = [];
  steps.forEach((_, now) => {
    for (const { buffer } of listOf(starting, now)) {
      const next = placed(buffer, plan, lanes);
      const index = firstFrom(living, next.from);
      // Those that live do not overlap, so only neighbours can.
      for (const other of living.slice(Math.max(0, index - 1), index + 1)) {
        if (next.to <= other.from || other.to <= next.from) continue;
        complainOfProgram(`two buffers overlap in the arena that step ${now} needs both`, {
          expected: `buffer ${other.id} in ${other.from} to ${other.to} for itself`,
          found: `buffer ${next.id} in ${next.from} to ${next.to}`,
        });
      }
      living.splice(index, 0, next);
    }
    for (const { buffer } of listOf(ending, now))
      living.splice(firstFrom(living, placed(buffer, plan, lanes).from), 1);
  });
}

/** Elements that a buffer has for itself. */
interface Placed {
  readonly id: number;
  readonly from: number;
  readonly to: number;
}

/** The first of the buffers, which are in the order of their places, that does not begin before a place. */
function firstFrom(sorted: readonly Placed[], place: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at(sorted, middle).from < place) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** From the first step that names a buffer to the last. */
function lifetimes(steps: readonly MemoryUse[], kinds: ReadonlySet<Buffer["kind"]>): readonly Interval[] {
  const found = new Map<number, Interval>();
  steps.forEach((step, index) => {
    for (const { buffer } of step.arguments) {
      if (!kinds.has(buffer.kind)) continue;
      const known = found.get(buffer.id);
      if (known === undefined) found.set(buffer.id, { buffer, first: index, last: index });
      else known.last = index;
    }
  });
  return [...found.values()];
}

function placed({ id, size }: Buffer, plan: MemoryPlan, lanes: number): Placed {
  const from = plan.offsets.get(id) ?? complainOfProgram(`buffer ${id} has no place in the arena`);
  const to = from + size + lanes - 1;
  if (Number.isInteger(from) && from >= 0 && to <= plan.size) return { id, from, to };
  return complainOfProgram(`buffer ${id} lies outside of the arena`, {
    expected: `inside 0 to ${plan.size}`,
    found: `${from} to ${to}`,
  });
}
