import { PenniError } from "../../graph/errors.js";
import type { Graph } from "../../graph/types.js";
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
  let graph = before;
  const { settings } = run.config;
  for (const { name, apply, tidy, isLeftOut } of stages) {
    if (isLeftOut?.(settings) === true) continue;
    if (signal?.aborted === true) throw new PenniError("interrupted", `stopped before stage "${name}"`);
    listener.stage?.(name);
    const given = graph;
    graph = await run.stage(`${name}${passage.suffix}`, () => apply(given, context), listener.notice);
    if (passage.suffix === "") await tidy?.(run);
  }
  return graph;
}
