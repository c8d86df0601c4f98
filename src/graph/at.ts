import { PenniError } from "./errors.js";
import type { Node } from "./types.js";

// Reading what must be there. `list[i] ?? 0` goes on with a wrong number where Penni has a fault; these stop and say so.
// What may be absent and then has a value of its own is read by `orDefault`: a search for it lists all such places.

/**
 * A value that must be there. In loops over millions of elements `present(list[i])` costs nothing; `at` would make all
 * such loops share what the engine learns about the kinds of lists. In the longest ones `const read = present;` at the
 * top of a file makes that true: the engine looks up what is imported at every call, and its own constants once.
 * @throws PenniError "internal" if it is undefined
 */
export function present<Value>(value: Value | undefined, what?: string): Value {
  if (value === undefined) throw missing(what);
  return value;
}

/** Element number `index`, from 0 on. @throws PenniError "internal" if the list has no such element */
export function at<Value>(list: ArrayLike<Value>, index: number): Value {
  const value = list[index];
  if (value === undefined) throw missing(`element ${index} of ${list.length}`);
  return value;
}

/** The last element. @throws PenniError "internal" if there is none */
export function last<Value>(list: ArrayLike<Value>): Value {
  return at(list, list.length - 1);
}

/** What a map holds for a key. @throws PenniError "internal" if it holds nothing */
export function entryOf<Key, Value>(map: ReadonlyMap<Key, Value>, key: Key): Value {
  const value = map.get(key);
  if (value === undefined) throw missing(`an entry for ${String(key)}`);
  return value;
}

/**
 * What may be absent, and what its absence means: by the ONNX standard for attributes and omitted inputs, nothing
 * counted so far for a count. Never for what must be there.
 */
export function orDefault<Value>(value: Value | undefined, absent: Value): Value {
  return value ?? absent;
}

/** How often a key was counted: 0 if it never was. */
export function countOf<Key>(counts: ReadonlyMap<Key, number>, key: Key): number {
  return orDefault(counts.get(key), 0);
}

/** The list that a map of lists holds for a key: empty if nothing was put there (`pushTo`). */
export function listOf<Key, Value>(lists: ReadonlyMap<Key, readonly Value[]>, key: Key): readonly Value[] {
  return orDefault(lists.get(key), []);
}

/** The dimensions [N, C, H, W] of images. @throws PenniError "internal" if there are not four */
export function dims4(
  dims: readonly number[],
): readonly [batch: number, channels: number, height: number, width: number] {
  if (dims.length !== 4) throw missing(`one of four dimensions: [${dims.join(", ")}]`);
  return [at(dims, 0), at(dims, 1), at(dims, 2), at(dims, 3)];
}

/** The name of an input that the operator requires. @throws PenniError "bad-model" if it is omitted: files do so */
export function inputOf(node: Node, index: number): string {
  return nameIn(node, node.inputs, "input", index);
}

/** The name of an output that the node has. @throws PenniError "bad-model" if it is omitted */
export function outputOf(node: Node, index: number): string {
  return nameIn(node, node.outputs, "output", index);
}

/** Whether a node has an optional input, which may be omitted at the end or by an empty name. */
export function hasInput({ inputs }: Pick<Node, "inputs">, index: number): boolean {
  return isNamed(inputs[index]);
}

/** Whether a node has an optional output, which may be omitted at the end or by an empty name. */
export function hasOutput({ outputs }: Pick<Node, "outputs">, index: number): boolean {
  return isNamed(outputs[index]);
}

function isNamed(name: string | undefined): boolean {
  return name !== undefined && name !== "";
}

function nameIn(
  { name, op }: Node,
  names: readonly string[],
  kind: "input" | "output",
  index: number,
): string {
  const found = names[index];
  if (found !== undefined && found !== "") return found;
  throw new PenniError("bad-model", `${kind} ${index}, which the operator requires, is missing`, {
    node: name,
    op,
    expected: "the name of a value",
    found: found === undefined ? `${names.length} ${kind}s` : "an empty name",
  });
}

function missing(what = "a value"): PenniError {
  return new PenniError("internal", `${what} that must be there is missing`);
}
