import { PenniError } from "./errors.js";
import type { Node, Shape } from "./types.js";

/** The error for a node whose inputs contradict its operator. */
export function shapeError(node: Node, problem: string, expected?: string, found?: string): PenniError {
  return new PenniError("shape", problem, {
    node: node.name,
    op: node.op,
    ...(expected === undefined ? {} : { expected }),
    ...(found === undefined ? {} : { found }),
  });
}

export function describeShape(shape: Shape | undefined): string {
  return shape === undefined ? "unknown shape" : `[${shape.map((dim) => dim ?? "?").join(", ")}]`;
}
