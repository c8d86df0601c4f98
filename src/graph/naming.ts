import { PenniError } from "./errors.js";

/** Runs `work`; a PenniError that it throws and that names no file gets this one. */
export async function naming<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof PenniError ? error.within({ file }) : error;
  }
}
