import { inputOf } from "./at.js";
import type { GraphLinks } from "./links.js";
import type { Node } from "./types.js";

/** The sources and every value that is computed from one of them, directly or through others. @param nodes in the graph's order */
export function valuesDependingOn(nodes: readonly Node[], sources: Iterable<string>): ReadonlySet<string> {
  const dependent = new Set(sources);
  for (const node of nodes) {
    if (!node.inputs.some((name) => dependent.has(name))) continue;
    for (const output of node.outputs) if (output !== "") dependent.add(output);
  }
  return dependent;
}

/** Operators that give a value another shape and leave its elements in their order. */
export const reshapingOps: ReadonlySet<string> = new Set([
  "Flatten",
  "Identity",
  "Reshape",
  "Squeeze",
  "Unsqueeze",
]);

/** Operators that leave a value's elements as they are, but elsewhere. */
export const movingOps: ReadonlySet<string> = new Set([...reshapingOps, "Transpose"]);

/** What a value was before these operators, of one input each, were applied to it; itself where none was. */
export function beforeOps(
  producers: GraphLinks["producers"],
  value: string,
  ops: ReadonlySet<string>,
): string {
  const node = producers.get(value);
  if (node === undefined || node.domain !== "" || !ops.has(node.op)) return value;
  return beforeOps(producers, inputOf(node, 0), ops);
}
