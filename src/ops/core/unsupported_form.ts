import { PenniError } from "../../graph/errors.js";
import type { Node } from "../../graph/types.js";

/** The error for a form of an operator that has no gradient, or none in simpler operators. */
export function unsupportedForm(node: Node, what: string, expected: string, found: string): PenniError {
  return new PenniError("unsupported", `this form of the operator has no ${what}`, {
    node: node.name,
    op: node.op,
    expected,
    found,
    advice:
      "Replace the operator; where it is in the way of training only, a method without training does (--preset calibrate)",
  });
}

/** The error for a parameter that is computed while the model runs. */
export function mustBeConstant(node: Node, what: string): PenniError {
  return new PenniError("unsupported", `${what} must be constant`, { node: node.name, op: node.op });
}

/** Far more entries than the tables of any real layer have; a file may claim any number. */
const LARGEST_TABLE = 2 ** 22;

/** @throws PenniError "unsupported" for a table that only a damaged model would need */
export function checkTable(node: Node, entries: number): void {
  if (entries <= LARGEST_TABLE) return;
  throw new PenniError("unsupported", "this form of the operator needs too large a table", {
    node: node.name,
    op: node.op,
    expected: `at most ${LARGEST_TABLE} entries`,
    found: `${entries}`,
  });
}
