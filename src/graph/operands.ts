import { at, hasInput, inputOf, orDefault, outputOf } from "./at.js";
import { PenniError } from "./errors.js";
import type { Node } from "./types.js";

/** Exactly so many values. */
export type Tuple<
  Value,
  Count extends number,
  Made extends readonly Value[] = readonly [],
> = number extends Count
  ? readonly Value[]
  : Made["length"] extends Count
    ? Made
    : Tuple<Value, Count, readonly [...Made, Value]>;

function tupleOf<Value, Count extends number>(count: Count, element: (index: number) => Value) {
  return Array.from({ length: count }, (_, index) => element(index)) as readonly Value[] as Tuple<
    Value,
    Count
  >;
}

/** The first `count` elements, all of which must be there; the list may be longer. @throws PenniError "internal" if it is shorter */
export function firstOf<Value, Count extends number>(
  list: readonly Value[],
  count: Count,
): Tuple<Value, Count> {
  if (list.length >= count) return tupleOf(count, (index) => at(list, index));
  throw new PenniError("internal", `a list is too short`, {
    expected: `${count} elements at least`,
    found: `${list.length}`,
  });
}

/** The names of the first inputs, which the operator requires. @throws PenniError "bad-model" if one is omitted */
export function inputsOf<Count extends number>(node: Node, count: Count): Tuple<string, Count> {
  return tupleOf(count, (index) => inputOf(node, index));
}

/** The names of the first outputs, which the node must have. @throws PenniError "bad-model" if one is omitted */
export function outputsOf<Count extends number>(node: Node, count: Count): Tuple<string, Count> {
  return tupleOf(count, (index) => outputOf(node, index));
}

/** The name of an input that may be omitted: then "", as ONNX writes it among the inputs of a node. */
export function inputOrOmitted({ inputs }: Pick<Node, "inputs">, index: number): string {
  return orDefault(inputs[index], "");
}

/** The name of an output that may be omitted: then "", as ONNX writes it among the outputs of a node. */
export function outputOrOmitted({ outputs }: Pick<Node, "outputs">, index: number): string {
  return orDefault(outputs[index], "");
}

/** What a map from names of values holds for an input: its type, its constant, its producer. Undefined if omitted. */
export function ofInput<Value>(
  map: ReadonlyMap<string, Value>,
  node: Pick<Node, "inputs">,
  index: number,
): Value | undefined {
  return hasInput(node, index) ? map.get(inputOrOmitted(node, index)) : undefined;
}

/** What a map from names of values holds for an output. Undefined if omitted. */
export function ofOutput<Value>(
  map: ReadonlyMap<string, Value>,
  { outputs }: Pick<Node, "outputs">,
  index: number,
): Value | undefined {
  const name = outputs[index];
  return name === undefined || name === "" ? undefined : map.get(name);
}
