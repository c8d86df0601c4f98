import { PenniError } from "../graph/errors.js";
import type { Node } from "../graph/types.js";

/** The error for a form of an operator that has no gradient, or none in simpler operators. */
export function unsupportedForm(node: Node, what: string, expected: string, found: string): PenniError {
  return new PenniError("unsupported", `this form of the operator has no ${what}`, {
    node: node.name,
    op: node.op,
    expected,
    found,
    advice: "Use a method that needs no training, or replace the operator",
  });
}

/** The error for a parameter that is computed while the model runs. */
export function mustBeConstant(node: Node, what: string): PenniError {
  return new PenniError("unsupported", `${what} must be constant`, { node: node.name, op: node.op });
}
