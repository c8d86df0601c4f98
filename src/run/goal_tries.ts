import { readModel } from "../files/model_files.js";
import type { Try } from "../method/goal/schema.js";
import type { RunDirectory } from "./directory.js";
import type { StageName, TrySuffix } from "./stages/names.js";
import { type Progress, progressAfter, type Stage } from "./stages/stage.js";

/** What the names of a try's stages end with. */
export const suffixOf = (number: number): Exclude<TrySuffix, ""> => `-${number}`;

/** Under which a stage's network is kept in a try. */
const nameOf = (name: StageName, number: number): `${StageName}${TrySuffix}` => `${name}${suffixOf(number)}`;

/**
 * What a try goes on from: where pruning comes first, the best network so far, which was trained for most of the way.
 */
export function startOf(
  stages: readonly Stage[],
  before: Progress,
  tries: readonly Try[],
  best: Try | undefined,
  run: RunDirectory,
): Progress {
  const [first] = stages;
  const last = stages.at(-1);
  if (best === undefined || first?.name !== "prune" || last === undefined) return before;
  const file = run.stagePath(nameOf(last.name, tries.indexOf(best) + 1));
  return { ...before, file };
}

/** A try's stages as those of the run. */
export async function adopt(
  stages: readonly Stage[],
  before: Progress,
  number: number,
  run: RunDirectory,
): Promise<Progress> {
  const suffix = suffixOf(number);
  let progress = before;
  for (const stage of stages) {
    const { name, remarks = [] } = stage;
    for (const remark of remarks) await run.copy(`${remark}${suffix}.json`, `${remark}.json`);
    await run.complete(name, () => readModel(run.stagePath(nameOf(name, number))));
    progress = progressAfter(stage, progress, name, run);
  }
  return progress;
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
    await run.removeStage(nameOf(name, number), others);
  }
}
