import { present } from "../../graph/at.js";
import { forEachPair, type LanePairs } from "../../ops/core/channels.js";

/** See `present`: these loops are among the longest. */
const read = present;

/** Calls `mark` for every lane that this lane needs. */
type LaneReads = (value: string, lane: number, mark: (value: string, lane: number) => void) => void;

/** One channel of a value. */
export interface Lane {
  readonly value: string;
  readonly lane: number;
}

/** All lanes of a graph, numbered consecutively, in classes that stay or go together (union-find). */
export class LaneClasses {
  private readonly names: readonly string[];
  private readonly starts: readonly number[];
  private readonly offsets: ReadonlyMap<string, number>;
  private readonly parents: Int32Array;

  constructor(lanes: ReadonlyMap<string, number>) {
    const offsets = new Map<string, number>();
    let total = 0;
    for (const [name, count] of lanes) {
      offsets.set(name, total);
      total += count;
    }
    this.names = [...offsets.keys()];
    this.starts = [...offsets.values(), total];
    this.offsets = offsets;
    this.parents = new Int32Array(total);
    for (let id = 0; id < total; id++) this.parents[id] = id;
  }

  /** Lanes of two values stay or go together; those of values without lanes stay as they are. */
  tie(value: string, otherValue: string, pairs: LanePairs): void {
    const [offset, otherOffset] = [this.offsets.get(value), this.offsets.get(otherValue)];
    if (offset === undefined || otherOffset === undefined) return;
    forEachPair(pairs, (lane, otherLane) => {
      this.parents[this.root(offset + lane)] = this.root(otherOffset + otherLane);
    });
  }

  /** The lanes of each class, in the order of their first ones. */
  members(): readonly (readonly Lane[])[] {
    const found = new Map<number, Lane[]>();
    for (const [value, name] of this.names.entries()) {
      const start = read(this.starts[value]);
      const end = read(this.starts[value + 1]);
      for (let id = start; id < end; id++) {
        const root = this.root(id);
        const lane = { value: name, lane: id - start };
        const known = found.get(root);
        if (known === undefined) found.set(root, [lane]);
        else known.push(lane);
      }
    }
    return [...found.values()];
  }

  /** Starts marking lanes as live; everything that a live lane is tied to or reads becomes live with it. */
  liveness(reads: LaneReads): Liveness {
    const roots = new Int32Array(this.parents.length);
    for (let id = 0; id < roots.length; id++) roots[id] = this.root(id);
    return new Liveness(this.names, this.starts, roots, (value, lane) => this.id(value, lane), reads);
  }

  /** The number of a lane, -1 for values without lanes. */
  private id(value: string, lane: number): number {
    const offset = this.offsets.get(value);
    return offset === undefined ? -1 : offset + lane;
  }

  private root(id: number): number {
    let at = id;
    for (;;) {
      const parent = read(this.parents[at]);
      if (parent === at) return at;
      const grandparent = read(this.parents[parent]);
      this.parents[at] = grandparent;
      at = grandparent;
    }
  }
}

/** The set of lanes that stay, growing to a fixed point. */
export class Liveness {
  private readonly live: Uint8Array;
  /** Lanes ordered by their roots, and where those of each root begin. */
  private readonly members: Int32Array;
  private readonly firstMember: Int32Array;
  private readonly valueOf: Int32Array;
  private readonly pending: number[] = [];
  /** Values of which lanes have become live since somebody looked. */
  private readonly touched = new Set<number>();
  /** How many lanes of each value are not live yet. */
  private readonly missing: Int32Array;

  constructor(
    private readonly names: readonly string[],
    private readonly starts: readonly number[],
    private readonly roots: Int32Array,
    private readonly id: (value: string, lane: number) => number,
    private readonly reads: LaneReads,
  ) {
    this.live = new Uint8Array(roots.length);
    [this.firstMember, this.members] = grouped(roots);
    this.valueOf = new Int32Array(roots.length);
    names.forEach((_, value) => {
      this.valueOf.fill(value, starts[value], starts[value + 1]);
    });
    this.missing = Int32Array.from(names, (_, value) => this.countOf(value));
  }

  /** Whether all lanes of a value are live; a value without lanes has none that are not. */
  isComplete(value: string): boolean {
    const first = this.id(value, 0);
    return first < 0 || this.missing[read(this.valueOf[first])] === 0;
  }

  mark(value: string, lane: number): void {
    const root = this.roots[this.id(value, lane)];
    if (root === undefined || this.live[root] === 1) return;
    this.live[root] = 1;
    for (const member of this.membersOf(root)) {
      const owner = read(this.valueOf[member]);
      this.missing[owner] = read(this.missing[owner]) - 1;
      this.touched.add(owner);
    }
    this.pending.push(root);
  }

  /**
   * Runs to the fixed point, and lets every value keep as many lanes more, the first ones, as make their
   * number a multiple of `multiple` (or all); at least one.
   */
  propagate(multiple: number): void {
    this.drain();
    this.touched.clear();
    // A set takes in what is added while it is walked: values that grew after they were looked at.
    const open = new Set(this.names.keys());
    for (const value of open) {
      open.delete(value);
      if (!this.roundUp(read(this.names[value]), value, multiple)) continue;
      this.drain();
      for (const grown of this.touched) open.add(grown);
      this.touched.clear();
    }
  }

  /** The lanes that stay, for every value that loses some. */
  restrictions(): ReadonlyMap<string, readonly number[]> {
    const kept = new Map<string, readonly number[]>();
    for (const [value, name] of this.names.entries()) {
      if (read(this.missing[value]) > 0) kept.set(name, this.keptOf(value));
    }
    return kept;
  }

  /** Marks what a value lacks to a multiple; false if it lacks nothing. */
  private roundUp(name: string, value: number, multiple: number): boolean {
    const count = this.countOf(value);
    const size = count - read(this.missing[value]);
    const wanted = Math.min(count, Math.max(1, Math.ceil(size / multiple) * multiple));
    if (size >= wanted) return false;
    const kept = new Set(this.keptOf(value));
    const dead = Array.from({ length: count }, (_, lane) => lane).filter((lane) => !kept.has(lane));
    for (const lane of dead.slice(0, wanted - size)) this.mark(name, lane);
    return true;
  }

  private drain(): void {
    for (let root = this.pending.pop(); root !== undefined; root = this.pending.pop()) {
      for (const member of this.membersOf(root)) {
        const value = read(this.valueOf[member]);
        const lane = member - read(this.starts[value]);
        this.reads(read(this.names[value]), lane, (name, needed) => this.mark(name, needed));
      }
    }
  }

  private membersOf(root: number): Int32Array {
    return this.members.subarray(this.firstMember[root], this.firstMember[root + 1]);
  }

  private countOf(value: number): number {
    return read(this.starts[value + 1]) - read(this.starts[value]);
  }

  private keptOf(value: number): readonly number[] {
    const start = read(this.starts[value]);
    return Array.from({ length: this.countOf(value) }, (_, lane) => lane).filter(
      (lane) => this.live[read(this.roots[start + lane])] === 1,
    );
  }
}

/** Positions by the number that stands there: where those with each number begin, and all of them. */
function grouped(numbers: Int32Array): readonly [Int32Array, Int32Array] {
  const begins = new Int32Array(numbers.length + 1);
  for (const number of numbers) begins[number + 1] = read(begins[number + 1]) + 1;
  for (let at = 1; at < begins.length; at++) begins[at] = read(begins[at]) + read(begins[at - 1]);
  const next = begins.slice();
  const positions = new Int32Array(numbers.length);
  numbers.forEach((number, position) => {
    const place = read(next[number]);
    positions[place] = position;
    next[number] = place + 1;
  });
  return [begins, positions];
}
