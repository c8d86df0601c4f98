import { countOf } from "../graph/at.js";

/** How often each of some keys occurs. */
export function tally<Key>(keys: Iterable<Key>): ReadonlyMap<Key, number> {
  const counts = new Map<Key, number>();
  for (const key of keys) counts.set(key, countOf(counts, key) + 1);
  return counts;
}
