import { messageOf, PenniError } from "../errors.js";
import { isSelfChecking } from "../self_check.js";
import type { Graph } from "../types.js";
import { verifyGraph } from "../verify.js";

/** A rewrite of a graph. It returns the very same object if there was nothing to do. */
export interface Pass {
  readonly name: string;
  readonly apply: (graph: Graph) => Graph;
}

/** Called after every pass; throws where the graph is malformed. */
export type Verifier = (graph: Graph) => void;

/** In self-checks; undefined, nothing is checked. */
const selfCheck = (): Verifier | undefined => (isSelfChecking() ? verifyGraph : undefined);

/**
 * Applies passes in order.
 * @param verify default: `verifyGraph` in self-checks
 * @throws PenniError "internal" naming the pass after which `verify` failed.
 */
export function runPasses(
  graph: Graph,
  passes: readonly Pass[],
  verify: Verifier | undefined = selfCheck(),
): Graph {
  return passes.reduce((current, pass) => {
    const next = pass.apply(current);
    if (next !== current && verify !== undefined) verifyAfter(`pass ${pass.name}`, next, verify);
    return next;
  }, graph);
}

/** More rounds than any real graph needs: a chain is followed to its end within one round. */
const MOST_ROUNDS = 100;

/**
 * Applies passes again and again until none of them finds anything to do.
 * @param verify default: `verifyGraph` in self-checks
 * @throws PenniError "internal" if that never happens, or `verify` fails after a pass.
 */
export function runUntilStable(
  graph: Graph,
  passes: readonly Pass[],
  verify: Verifier | undefined = selfCheck(),
): Graph {
  let current = graph;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const next = runPasses(current, passes, verify);
    if (next === current) return current;
    current = next;
  }
  throw new PenniError("internal", "the simplification does not come to an end", {
    found: `${MOST_ROUNDS} rounds of ${passes.map((pass) => pass.name).join(", ")}`,
  });
}

/**
 * Checks what a step of the work left.
 * @param step that is named, as in "pass foldConstants"
 * @throws PenniError "internal" naming the step if `verify` fails
 */
export function verifyAfter(step: string, graph: Graph, verify: Verifier): void {
  try {
    verify(graph);
  } catch (error) {
    const message = messageOf(error);
    throw new PenniError("internal", `${step} left a malformed graph: ${message}`, {}, { cause: error });
  }
}
