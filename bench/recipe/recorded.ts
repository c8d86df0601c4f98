import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { PenniError } from "../../src/graph/errors.js";
import { type Arm, PAPER_PHASE, type Setting } from "./arms.js";

/** What a run was made with: words of the command line besides model, images, seed and directory. */
export type Options = readonly string[];

/** What an arm says today. */
export function optionsOf({ run }: Arm, setting: Setting): Options {
  if (run.by === "penni") return run.options(setting);
  const { retrain, fineTune } = run.parts(setting.epochs);
  const numbers = { "--epochs": retrain, "--fine-tune-epochs": fineTune, "--phase-epochs": PAPER_PHASE };
  return Object.entries(numbers).flat().map(String);
}

/** Beside a run's folder, which must be empty when the run begins. */
const fileOf = (folder: string): string => `${folder}.options.json`;

/** Options that a run was made with; undefined where it was made before they were recorded. */
export async function recordedOptions(folder: string): Promise<Options | undefined> {
  const file = fileOf(folder);
  if (!existsSync(file)) return undefined;
  return z.array(z.string()).parse(JSON.parse(await readFile(file, "utf8")));
}

/**
 * Records what a run is made with, where it begins.
 * @throws PenniError "bad-option" if it was begun with other options
 */
export async function recordOptions(folder: string, options: Options): Promise<void> {
  const known = await recordedOptions(folder);
  if (known === undefined) {
    // What was begun before may have been begun with anything.
    if (existsSync(folder)) return;
    await mkdir(path.dirname(folder), { recursive: true });
    await writeFile(fileOf(folder), `${JSON.stringify(options)}\n`);
    return;
  }
  if (isSame(known, options)) return;
  throw new PenniError("bad-option", "this run was begun with other options than its arm has now", {
    file: folder,
    expected: options.join(" "),
    found: known.join(" "),
    advice: `Remove ${folder} and ${fileOf(folder)}, or give another -o`,
  });
}

/** Files may lie elsewhere on another machine. */
export function isSame(one: Options, other: Options): boolean {
  const names = (options: Options): string => options.map((word) => path.basename(word)).join(" ");
  return names(one) === names(other);
}
