import { PenniError } from "../graph/errors.js";
import type { RunConfig } from "./config.js";

/**
 * Errors from within that name no file name the model's, and where it is about the images, them as well.
 * @throws PenniError what `work` throws
 */
export async function naming<Result>(
  { model, data }: Pick<RunConfig, "model" | "data">,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PenniError) || error.code === "interrupted") throw error;
    throw error.within({ file: error.code === "bad-data" ? `${model} with ${data}` : model });
  }
}
