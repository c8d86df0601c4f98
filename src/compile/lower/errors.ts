import { PenniError } from "../../graph/errors.js";
import type { LoweringContext } from "./definition.js";

/** The error for a parameter that is computed while the model runs. */
export function notConstant({ node }: LoweringContext, what: string): PenniError {
  return new PenniError("unsupported", `${what} must be constant`, { node: node.name, op: node.op });
}

/** The error for a form of an operator that has no lowering. */
export function unsupported({ node }: LoweringContext, expected: string, found: string): PenniError {
  return new PenniError("unsupported", "this form of the operator cannot be compiled", {
    node: node.name,
    op: node.op,
    expected,
    found,
  });
}

/** Entries of a table that takes the place of arithmetic; integers beyond would not be exact in float32 either. */
const LONGEST_TABLE = 2 ** 22;

/** @throws PenniError "unsupported" for a table that only a damaged model would need */
export function checkTableLength({ node }: LoweringContext, length: number): void {
  if (length <= LONGEST_TABLE) return;
  throw new PenniError("unsupported", "an axis is too long to be compiled", {
    node: node.name,
    op: node.op,
    expected: `at most ${LONGEST_TABLE} positions`,
    found: `${length}`,
  });
}

/** Each column phase of a strided window has code of its own. */
const LARGEST_STRIDE = 1024;

/** @throws PenniError "unsupported" for a stride that only a damaged model would have */
export function checkStride({ node }: LoweringContext, stride: number): void {
  if (stride <= LARGEST_STRIDE) return;
  throw new PenniError("unsupported", "the stride is too large to be compiled", {
    node: node.name,
    op: node.op,
    expected: `at most ${LARGEST_STRIDE}`,
    found: `${stride}`,
  });
}

/** Each remainder of a transposed convolution's strides has code of its own; 32 in both directions make 1024. */
const MOST_PHASES = 4096;

/** @throws PenniError "unsupported" for strides that only a damaged model would have */
export function checkPhases({ node }: LoweringContext, phases: number): void {
  if (phases <= MOST_PHASES) return;
  throw new PenniError("unsupported", "the strides are too large to be compiled", {
    node: node.name,
    op: node.op,
    expected: `a product of at most ${MOST_PHASES}`,
    found: `${phases}`,
  });
}
