import { at } from "./at.js";
import { type Selection, selectAxes } from "./select.js";
import { float32Data, float32Tensor } from "./tensor.js";
import type { Graph } from "./types.js";

/** Where an initializer of a shrunk graph comes from. */
export interface KeptElements {
  /** The initializer of the unshrunk graph, and its dimensions there. */
  readonly source: string;
  readonly dims: readonly number[];
  /** Indices of the source that stay, by axis. */
  readonly kept: Selection;
  /** Whether constants of removed channels were folded into the values: they are not the source's as they stand. */
  readonly folded: boolean;
}

/**
 * By name, the origin of every initializer of a shrunk graph that consists of elements of one of the unshrunk
 * graph. What is missing is new (a bias that holds constants of removed channels, a counted-anew shape).
 */
export type InitializerMapping = ReadonlyMap<string, KeptElements>;

/** The mapping of a graph to itself. */
export function identityMapping(graph: Graph): InitializerMapping {
  return new Map([...graph.initializers].map(([name, { dims }]) => [name, everything(name, dims)]));
}

export function everything(source: string, dims: readonly number[]): KeptElements {
  return { source, dims, kept: [], folded: false };
}

/** The mapping of two shrinks, one after the other. */
export function composeMappings(first: InitializerMapping, second: InitializerMapping): InitializerMapping {
  const composed = new Map<string, KeptElements>();
  for (const [name, after] of second) {
    const before = first.get(after.source);
    if (before === undefined) continue;
    composed.set(name, {
      ...before,
      kept: before.dims.map((_, axis) => composeAxis(before.kept[axis], after.kept[axis])),
      folded: before.folded || after.folded,
    });
  }
  return composed;
}

function composeAxis(
  first: readonly number[] | undefined,
  second: readonly number[] | undefined,
): readonly number[] | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return second.map((index) => at(first, index));
}

/**
 * What stays of values that belong to the elements of a parameter one by one (its velocity, its mask), as a copy.
 * @throws PenniError "internal" if `data` has not as many elements as the source.
 */
export function keptElements({ dims, kept }: KeptElements, data: Float32Array): Float32Array {
  return Float32Array.from(float32Data(selectAxes(float32Tensor(dims, data), kept)));
}
