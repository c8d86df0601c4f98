import { rm } from "node:fs/promises";
import path from "node:path";
import { type GivenImages, writeArrays } from "../data/arrays.js";
import { readModel } from "../files/model_files.js";
import { PenniError } from "../graph/errors.js";
import { scoredClasses } from "../measure/classes.js";
import { presets, type Settings } from "./config.js";
import { RunDirectory } from "./directory.js";
import type { PresetName } from "./names.js";
import { compress as compressRun, type RunListener } from "./pipeline.js";
import { type CompressRequest, prepareRun } from "./prepare.js";
import type { Summary } from "./summary.js";

/** A model, images and a place; everything else has a default. */
export interface CompressOptions extends Omit<CompressRequest, "data" | "preset" | "settings" | "seed"> {
  /**
   * As for `openDataset` ("images:photos"), a folder whose kind is guessed, or images in memory or as they come: those are
   * kept beside the run, in `OUT-images`, for the processes that train and for resuming.
   */
  readonly data: string | GivenImages;
  /** "calibrate": minutes, without labels. "fast" and "paper" train. */
  readonly preset?: PresetName;
  /** In place of the preset's. */
  readonly settings?: Partial<Settings>;
  /** Seed of everything random (0). */
  readonly seed?: number;
  readonly listener?: RunListener;
  /** Stops the run: it can go on with `compress(await RunDirectory.open(out))`. */
  readonly signal?: AbortSignal;
}

/**
 * Compresses a model with images, in a run directory, as `penni MODEL PICTURES` does.
 *
 * @example
 * const { model, original, compressed } = await compress({ model: "net.onnx", data: "images:photos", out: "run" });
 *
 * @throws PenniError what is wrong, naming file, node, operator or path; "interrupted" when the signal is aborted
 */
export async function compress(options: CompressOptions): Promise<Summary>;
/** Compresses, or goes on, in a run directory that was prepared (`prepareRun`) or opened. */
export async function compress(
  run: RunDirectory,
  listener?: RunListener,
  signal?: AbortSignal,
): Promise<Summary>;
export async function compress(
  given: CompressOptions | RunDirectory,
  listener?: RunListener,
  signal?: AbortSignal,
): Promise<Summary> {
  if (given instanceof RunDirectory) return compressRun(given, listener, signal);
  const { data, preset = "calibrate", settings = {}, seed = 0, ...request } = given;
  const prepared = (spec: string): Promise<RunDirectory> =>
    prepareRun({ ...request, data: spec, preset, settings: { ...presets[preset], ...settings }, seed });
  const run = typeof data === "string" ? await prepared(data) : await keptBeside(given, data, prepared);
  return compressRun(run, given.listener, given.signal);
}

/** Writes images in memory for a run that is prepared with them then. Their labels count the model's classes. */
async function keptBeside(
  { out, model }: Pick<CompressOptions, "out" | "model">,
  images: GivenImages,
  prepare: (spec: string) => Promise<RunDirectory>,
): Promise<RunDirectory> {
  await RunDirectory.checkFree(out);
  const folder = `${path.resolve(out)}-images`;
  const classes = images.classes ?? (await classesOf(model));
  await writeArrays(folder, { ...images, ...(classes === undefined ? {} : { classes }) });
  try {
    return await prepare(`arrays:${folder}`);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function classesOf(model: string): Promise<number | undefined> {
  try {
    return scoredClasses(await readModel(model))?.classes;
  } catch (error) {
    throw error instanceof PenniError ? error.within({ file: model }) : error;
  }
}
