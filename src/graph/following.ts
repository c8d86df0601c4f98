import { inputOf } from "./at.js";
import type { GraphLinks } from "./links.js";
import type { Node } from "./types.js";
import { namesRead } from "./verify.js";

/** What is computed from some values, directly or through others, also in subgraphs that capture them. */
export interface Dependents {
  readonly nodes: ReadonlySet<Node>;
  /** The sources among them. */
  readonly values: ReadonlySet<string>;
}

/** @param nodes in the graph's order */
export function dependentsOf(nodes: readonly Node[], sources: Iterable<string>): Dependents {
  const values = new Set(sources);
  const found = new Set<Node>();
  for (const node of nodes) {
    if (!namesRead(node).some((name) => values.has(name))) continue;
    found.add(node);
    for (const output of node.outputs) if (output !== "") values.add(output);
  }
  return { nodes: found, values };
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
