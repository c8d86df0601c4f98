import { PenniError } from "../../graph/errors.js";
import type { Step } from "../program.js";

/** Throws the error for something that a program must not do. */
export type Complain = (
  problem: string,
  details?: { readonly expected?: string; readonly found?: string },
) => never;

const ADVICE = "This is a fault of Penni's compiler, not of the model: please report it with the model";

/** The error for something that is wrong with a program as a whole. */
export const complainOfProgram: Complain = (problem, details = {}) => {
  throw new PenniError("internal", `the compiled program is wrong: ${problem}`, {
    ...details,
    advice: ADVICE,
  });
};

/** The error for something that is wrong with a step or its kernel. */
export function complainOf({ kernel, node, op }: Pick<Step, "kernel" | "node" | "op">): Complain {
  return (problem, details = {}) => {
    const place = `the compiled program is wrong: kernel ${kernel.name}: ${problem}`;
    throw new PenniError("internal", place, { node, op, ...details, advice: ADVICE });
  };
}
