import { channels } from "./channels.js";
import { decomposition, pruning, shrinking } from "./compression.js";
import { exporting } from "./export.js";
import { type StageName, stageNames } from "./names.js";
import type { Stage, StageDefinition } from "./stage.js";
import { normalize, simplify } from "./start.js";
import { fineTune, recover, retrain } from "./training.js";

const definitions: { readonly [Name in StageName]: StageDefinition } = {
  simplify,
  normalize,
  channels,
  recover,
  decompose: decomposition,
  retrain,
  prune: pruning,
  "fine-tune": fineTune,
  shrink: shrinking,
  export: exporting,
};

/** The method, in order. Each stage's result is kept in `stages/`, and a resumed run skips what is there. */
export const stages: readonly Stage[] = stageNames.map((name) => ({ name, ...definitions[name] }));
