import { listOf } from "../graph/at.js";
import { pushTo } from "../graph/push_to.js";
import type { Buffer, Program, Step } from "./program.js";

/** Values begin at multiples of this many 4-byte elements: a cache line. */
const ALIGNMENT = 16;

/**
 * Elements behind each buffer that nobody else uses while it lives: a vector that begins at its last element may be
 * loaded whole. As many as the longest vector holds.
 */
const SLACK = 16;

/** Where each buffer of some kinds lies in memory that they share. */
export interface MemoryPlan {
  /** In 4-byte elements. */
  readonly size: number;
  /** Positions in elements, by buffer id. */
  readonly offsets: ReadonlyMap<number, number>;
}

interface Lifetime {
  readonly buffer: Buffer;
  readonly first: number;
  last: number;
  readonly size: number;
}

/** With more buffers than this they are placed by classes of size: comparing each with each would take too long. */
const MOST_COMPARED = 4096;

/**
 * Places buffers so that those in use at the same step do not overlap: the largest first, each at the lowest position
 * that is free for all of its life. Of very many, each takes the place of one of about its size that is not needed any
 * more.
 */
export function planMemory({ steps }: Pick<Program, "steps">): MemoryPlan {
  return planned(steps, arenaKinds);
}

/** The same for what is prepared, of which runs read some: what is made on the way leaves its place to what comes after. */
export function planPrepared(program: Pick<Program, "preparation" | "steps">): MemoryPlan {
  return planned(preparedUses(program), preparedKinds);
}

/** What uses memory at one time. */
export type MemoryUse = Pick<Step, "arguments">;

/** The calls before the first run, and all runs as one. */
export function preparedUses({
  preparation,
  steps,
}: Pick<Program, "preparation" | "steps">): readonly MemoryUse[] {
  const runs = steps.flatMap((step) => step.arguments.filter(({ buffer }) => preparedKinds.has(buffer.kind)));
  return [...preparation, { arguments: runs }];
}

export const arenaKinds: ReadonlySet<Buffer["kind"]> = new Set(["value", "scratch"]);
export const preparedKinds: ReadonlySet<Buffer["kind"]> = new Set(["prepared"]);

function planned(uses: readonly MemoryUse[], kinds: ReadonlySet<Buffer["kind"]>): MemoryPlan {
  const lifetimes = findLifetimes(uses, kinds);
  const placed = lifetimes.length > MOST_COMPARED ? placedByClass(lifetimes) : placedByGaps(lifetimes);
  return {
    size: placed.reduce((size, { lifetime, offset }) => Math.max(size, offset + lifetime.size), 0),
    offsets: new Map(placed.map(({ lifetime, offset }) => [lifetime.buffer.id, offset])),
  };
}

interface Placed {
  readonly lifetime: Lifetime;
  readonly offset: number;
}

function placedByGaps(lifetimes: readonly Lifetime[]): readonly Placed[] {
  const placed: Placed[] = [];
  const largestFirst = lifetimes.toSorted((a, b) => b.size - a.size || a.first - b.first);
  for (const lifetime of largestFirst) {
    const others = placed.filter((other) => overlap(other.lifetime, lifetime));
    placed.push({ lifetime, offset: lowestGap(others, lifetime.size) });
  }
  return placed;
}

/** In the order of time; sizes are rounded up to powers of two, so that there are few. */
function placedByClass(lifetimes: readonly Lifetime[]): readonly Placed[] {
  const free = new Map<number, number[]>();
  const ending = new Map<number, Placed[]>();
  let end = 0;
  let now = 0;
  return lifetimes.map((lifetime) => {
    for (; now < lifetime.first; now++) {
      for (const { lifetime: over, offset } of listOf(ending, now)) pushTo(free, classOf(over), offset);
    }
    const reused = free.get(classOf(lifetime))?.pop();
    const placed: Placed = { lifetime, offset: reused ?? end };
    if (reused === undefined) end += classOf(lifetime);
    pushTo(ending, lifetime.last, placed);
    return placed;
  });
}

function classOf({ size }: Lifetime): number {
  return 2 ** Math.ceil(Math.log2(size));
}

/** In the order of their beginnings. */
function findLifetimes(uses: readonly MemoryUse[], kinds: ReadonlySet<Buffer["kind"]>): readonly Lifetime[] {
  const lifetimes = new Map<number, Lifetime>();
  uses.forEach((use, index) => {
    for (const { buffer } of use.arguments) {
      if (!kinds.has(buffer.kind)) continue;
      const known = lifetimes.get(buffer.id);
      if (known !== undefined) known.last = index;
      else
        lifetimes.set(buffer.id, { buffer, first: index, last: index, size: aligned(buffer.size + SLACK) });
    }
  });
  return [...lifetimes.values()];
}

function overlap(a: Lifetime, b: Lifetime): boolean {
  return a.first <= b.last && b.first <= a.last;
}

function aligned(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}

function lowestGap(
  others: readonly { readonly lifetime: Lifetime; readonly offset: number }[],
  size: number,
): number {
  let position = 0;
  for (const other of others.toSorted((a, b) => a.offset - b.offset)) {
    if (other.offset - position >= size) return position;
    position = Math.max(position, other.offset + other.lifetime.size);
  }
  return position;
}
