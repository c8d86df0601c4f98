/** Appends to the list that a map of lists holds for a key, which begins empty. `listOf` of `at.ts` reads it. */
export function pushTo<Key, Value>(lists: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
