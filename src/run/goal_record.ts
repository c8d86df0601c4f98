import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { ioError } from "../files/atomic.js";
import { type Try, trySchema } from "../method/goal/schema.js";
import type { SearchBounds } from "../method/goal/search.js";
import type { RunDirectory } from "./directory.js";

const FILE = "search.json";

const endSchema = z.object({ fraction: z.number(), value: z.number().optional() }).readonly();

const recordSchema = z.object({
  /** Between what is searched. */
  least: endSchema,
  most: endSchema,
  /** What was to be tried first, where that was not plain. */
  first: z.number().optional(),
  tries: z.array(trySchema).readonly(),
});

/** `search.json`: what a run has tried to reach its goal, written after each try, so that none is made again. */
export interface GoalRecord extends SearchBounds {
  readonly first?: number | undefined;
  readonly tries: readonly Try[];
}

/** Undefined where nothing was written yet, or it cannot be read: then the search begins anew. */
export async function readGoalRecord(run: RunDirectory): Promise<GoalRecord | undefined> {
  const file = run.path(FILE);
  if (!existsSync(file)) return undefined;
  try {
    return recordSchema.safeParse(JSON.parse(await readFile(file, "utf8"))).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw ioError(file, "cannot read a file of the run", error);
  }
}

export async function writeGoalRecord(run: RunDirectory, record: GoalRecord): Promise<void> {
  await run.writeJson(FILE, record);
}
