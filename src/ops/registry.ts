import type { Node } from "../graph/types.js";
import { Add } from "./add.js";
import type { OpDefinition } from "./definition.js";
import { Relu } from "./relu.js";

const definitions: readonly OpDefinition[] = [Add, Relu];

const byType: ReadonlyMap<string, OpDefinition> = new Map(
  definitions.map((definition) => [definition.type, definition]),
);

/** The definition of a node's operator; undefined for custom domains and operators Penni does not know. */
export function findOp(node: Pick<Node, "op" | "domain">): OpDefinition | undefined {
  return node.domain === "" || node.domain === "ai.onnx" ? byType.get(node.op) : undefined;
}

/** Names of all operators that have a definition, sorted. */
export function knownOps(): readonly string[] {
  return [...byType.keys()].sort();
}
