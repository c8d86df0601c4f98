import { at } from "../../graph/at.js";
/** One row of a network drawn from top to bottom, and what is drawn in it. */
export interface RailRow {
  /** Where the row's own node stands, from 0 at the left. */
  readonly lane: number;
  /** Lanes of values that pass the row, or go on below it although the node reads them. */
  readonly passing: readonly number[];
  /** Lanes from which the node reads. */
  readonly from: readonly number[];
  /** Whether something below reads the node. */
  readonly isRead: boolean;
}

/**
 * Places the nodes of a network on lanes, as histories of versions are drawn: a value keeps the lane of the node that
 * makes it until its last reader, which takes over the leftmost of the lanes that end there.
 * @param sources for each node, in topological order, the nodes before it that it reads
 */
export function railRows(sources: readonly (readonly number[])[]): readonly RailRow[] {
  const lastReader = new Map<number, number>();
  for (const [row, from] of sources.entries()) for (const source of from) lastReader.set(source, row);
  const laneOf: number[] = [];
  /** The node whose value is on each lane; undefined of free ones. */
  const open: (number | undefined)[] = [];
  return sources.map((from, row) => {
    const ending = from.filter((source) => lastReader.get(source) === row);
    const freed = ending.map((source) => at(laneOf, source));
    for (const lane of freed) open[lane] = undefined;
    const free = open.indexOf(undefined);
    const lane = freed.length > 0 ? Math.min(...freed) : free < 0 ? open.length : free;
    const passing = open.flatMap((value, index) => (value === undefined ? [] : [index]));
    const isRead = lastReader.has(row);
    laneOf.push(lane);
    open[lane] = isRead ? row : undefined;
    return { lane, passing, from: [...new Set(from.map((source) => at(laneOf, source)))], isRead };
  });
}

/** Lanes that a drawing needs. */
export function laneCount(rows: readonly RailRow[]): number {
  return rows.reduce(
    (most, { lane, passing }) => Math.max(most, lane + 1, ...passing.map((each) => each + 1)),
    0,
  );
}
