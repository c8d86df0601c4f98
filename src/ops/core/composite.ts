import { at } from "../../graph/at.js";
import { inputsOf, type Tuple } from "../../graph/operands.js";
import type { Attribute, Node, ValueType } from "../../graph/types.js";
import type { Emitter } from "./emitter.js";

/** The domain of Penni's own composites. */
export const PENNI_DOMAIN = "penni";

/** Emits a composite; the outputs that are not needed are omitted. Returns all output names, "" for those. */
export function emitComposite(
  b: Emitter,
  op: string,
  inputs: readonly string[],
  needed: readonly boolean[],
  attributes: Readonly<Record<string, Attribute | undefined>> = {},
): readonly string[] {
  const outputs = needed.map((isNeeded) => (isNeeded ? b.freshName(op) : ""));
  b.emit(op, inputs, { outputs, domain: PENNI_DOMAIN, attributes });
  return outputs;
}

/** All `count` inputs of a composite, none of which is optional. */
export function compositeInputs<Count extends number>(node: Node, count: Count): Tuple<string, Count> {
  return inputsOf(node, count);
}

/** `emitComposite` of one that has one output, which is needed. */
export function emitCompositeValue(
  b: Emitter,
  op: string,
  inputs: readonly string[],
  attributes: Readonly<Record<string, Attribute | undefined>> = {},
): string {
  return at(emitComposite(b, op, inputs, [true], attributes), 0);
}

export function floatType(shape: readonly number[]): ValueType {
  return { elementType: "float32", shape };
}
