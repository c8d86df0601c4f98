import { PenniError } from "../../graph/errors.js";
import { verifyAfter } from "../../graph/passes/pass.js";
import { isSelfChecking } from "../../graph/self_check.js";
import type { Graph } from "../../graph/types.js";
import { verifyTypes } from "../../ops/inference/verify.js";
import type { Settings } from "./config.js";
import type { RunContext, StageName } from "./context.js";
import type { RunDirectory } from "./directory.js";

export interface Stage {
  readonly name: StageName;
  /** The network after the stage, from the network before it. */
  readonly apply: (graph: Graph, context: RunContext) => Promise<Graph> | Graph;
  /** Whether a run has no such stage. */
  readonly isLeftOut?: (settings: Settings) => boolean;
  /** Removes what the stage kept for being resumed. */
  readonly tidy?: (run: RunDirectory) => Promise<void>;
  /** What the stage says besides: files of a run, whose names end with the suffix of the passage before ".json". */
  readonly remarks?: readonly string[];
}

/** Stages one after the other, in the passage of the context; what an earlier attempt has done is read. */
export async function runStages(
  stages: readonly Stage[],
  before: Graph,
  context: RunContext,
): Promise<Graph> {
  const { run, listener, signal, passage } = context;
  // What is wrong with the model that came in is no stage's fault.
  if (isSelfChecking()) verifyTypes(before);
  let graph = before;
  const { settings } = run.config;
  for (const { name, apply, tidy, isLeftOut } of stages) {
    if (isLeftOut?.(settings) === true) continue;
    if (signal?.aborted === true) throw new PenniError("interrupted", `stopped before stage "${name}"`);
    listener.stage?.(name);
    const given = graph;
    graph = await run.stage(`${name}${passage.suffix}`, () => apply(given, context), listener.notice);
    if (isSelfChecking()) verifyAfter(`stage "${name}"`, graph, verifyTypes);
    if (passage.suffix === "") await tidy?.(run);
  }
  return graph;
}
