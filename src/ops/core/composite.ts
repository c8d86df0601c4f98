import { PenniError } from "../../graph/errors.js";
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
export function compositeInputs(node: Node, count: number): readonly string[] {
  const inputs = node.inputs.slice(0, count);
  if (inputs.length === count && inputs.every((name) => name !== "")) return inputs;
  throw new PenniError("internal", "an input of a composite is missing", { node: node.name, op: node.op });
}

export function floatType(shape: readonly number[]): ValueType {
  return { elementType: "float32", shape };
}
