import { readModel } from "../../files/model_files.js";
import { PenniError } from "../../graph/errors.js";
import type { Graph } from "../../graph/types.js";
import type { Try } from "../goal/schema.js";
import type { RunDirectory } from "./directory.js";
import type { Stage } from "./stage.js";

/** What the names of a try's stages end with. */
export const suffixOf = (number: number): string => `-${number}`;

/**
 * What a try goes on from: where pruning comes first, the best network so far, which was trained for most of the way.
 */
export async function startOf(
  stages: readonly Stage[],
  before: Graph,
  tries: readonly Try[],
  best: Try | undefined,
  run: RunDirectory,
): Promise<Graph> {
  const [first] = stages;
  const last = stages.at(-1);
  if (best === undefined || first?.name !== "prune" || last === undefined) return before;
  return readModel(run.stagePath(`${last.name}${suffixOf(tries.indexOf(best) + 1)}`));
}

/** A try's stages as those of the run. */
export async function adopt(stages: readonly Stage[], number: number, run: RunDirectory): Promise<Graph> {
  const suffix = suffixOf(number);
  let graph: Graph | undefined;
  for (const { name, remarks = [] } of stages) {
    for (const remark of remarks) await run.copy(`${remark}${suffix}.json`, `${remark}.json`);
    graph = await run.stage(name, () => readModel(run.stagePath(`${name}${suffix}`)));
  }
  if (graph === undefined) throw new PenniError("internal", "no stage depends on the goal");
  return graph;
}

/** Removes the networks of all tries but one. */
export async function removeTries(
  stages: readonly Stage[],
  tries: readonly Try[],
  kept: Try | undefined,
  run: RunDirectory,
): Promise<void> {
  for (const [index, one] of tries.entries()) {
    if (one !== kept) await removeTry(stages, index + 1, run);
  }
}

export async function removeTry(stages: readonly Stage[], number: number, run: RunDirectory): Promise<void> {
  const suffix = suffixOf(number);
  for (const { name, remarks = [] } of stages) {
    const others = remarks.map((remark) => `${remark}${suffix}.json`);
    await run.removeStage(`${name}${suffix}`, others);
  }
}
