import path from "node:path";
import type { Command, Option } from "commander";
import type { z } from "zod";
import { placedSpec } from "../data/spec.js";
import { at } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { fileOf } from "../sweep/identity.js";
import { studyOf } from "../sweep/search_of.js";
import {
  type Axis,
  gridSize,
  isTooLarge,
  type Range,
  type SweepSpec,
  sweepSpecSchema,
} from "../sweep/spec.js";
import type { AxisValue } from "../sweep/trial.js";
import { parsedValue, placedIn, readConfiguration } from "./config_file.js";
import { schemaProblem } from "./schema_problem.js";
import { sweepSchema } from "./sweep_schema.js";
import type { TrialSettings } from "./sweep_settings.js";

type SweepFile = z.infer<ReturnType<typeof sweepSchema>>;

/**
 * Reads a sweep file and checks all of it that can be checked without the model and the data.
 * @throws PenniError "bad-option" or "io" naming the file and the place in it
 */
export async function readSweepFile(file: string, compress: Command): Promise<SweepSpec> {
  const content = await readConfiguration(file);
  const schema = sweepSchema(compress);
  const checked = schema.safeParse(content);
  if (!checked.success) throw schemaProblem(file, "the sweep", schema, content, checked.error);
  const given = specOf(checked.data, orderedNames(content), path.dirname(file));
  const spec = { ...given, axes: withWholeRanges(file, given.axes, compress) };
  checkAxes(file, spec);
  checkValues(file, spec, compress);
  return spec;
}

/** The axes as the file has them; a schema gives them back in an order of its own. */
function orderedNames(content: unknown): readonly string[] {
  const axes: unknown =
    typeof content === "object" && content !== null ? Reflect.get(content, "axes") : undefined;
  return typeof axes === "object" && axes !== null ? Object.keys(axes) : [];
}

function specOf(
  { base, axes, search, halving }: SweepFile,
  names: readonly string[],
  folder: string,
): SweepSpec {
  const placed = (name: string, value: unknown): unknown => absolute(name, placedIn(folder, name, value));
  const given = new Map(Object.entries(axes));
  const entries = names.flatMap((name): (readonly [string, unknown])[] => {
    const axis = given.get(name);
    if (axis === undefined) return [];
    return [[name, Array.isArray(axis) ? axis.map((value) => placed(name, value)) : axis]];
  });
  return sweepSpecSchema.parse({
    base: Object.fromEntries(Object.entries(base).map(([name, value]) => [name, placed(name, value)])),
    axes: Object.fromEntries(entries),
    search,
    ...(halving === undefined ? {} : { halving }),
  });
}

/**
 * Ranges of settings that are whole numbers draw such ones, whether or not they say so.
 * @throws PenniError "bad-option" where one says otherwise
 */
function withWholeRanges(file: string, axes: SweepSpec["axes"], compress: Command): SweepSpec["axes"] {
  const entries = Object.entries(axes).map(([name, axis]): readonly [string, Axis] => {
    if (Array.isArray(axis) || axis.integer === true) return [name, axis];
    const option = compress.options.find((one) => one.attributeName() === name);
    if (option === undefined || !isWholeOnly(option, axis, file)) return [name, axis];
    const { min, max, integer = true } = axis;
    if (integer && Number.isInteger(min) && Number.isInteger(max)) return [name, { ...axis, integer }];
    throw new PenniError("bad-option", `axes.${name} is a range of whole numbers`, {
      file,
      expected: "whole numbers as min and max, and integer: true",
      found: JSON.stringify(axis),
    });
  });
  return Object.fromEntries(entries);
}

/** Whether an option takes a number within a range only if it is whole. */
function isWholeOnly(option: Option, { min, max }: Range, file: string): boolean {
  const isTaken = (value: number): boolean => {
    try {
      parsedValue(option, value, "", file);
      return true;
    } catch {
      return false;
    }
  };
  const middle = (min + max) / 2;
  const fraction = Number.isInteger(middle) ? middle + Math.min(0.5, (max - min) / 4) : middle;
  return !isTaken(fraction) && isTaken(Math.ceil(fraction));
}

/** A sweep goes on from any directory. */
function absolute(name: string, value: unknown): unknown {
  const file = fileOf(name, value);
  if (file !== undefined) return path.resolve(file);
  const placed = name === "data" && typeof value === "string" ? placedSpec(value) : undefined;
  return placed === undefined ? value : `${placed.kind}${path.resolve(placed.place)}`;
}

function checkAxes(file: string, { base, axes, search }: SweepSpec): void {
  const bad = (
    problem: string,
    details: { readonly expected?: string; readonly found?: string } = {},
  ): PenniError => new PenniError("bad-option", problem, { file, ...details });
  if (Object.keys(axes).length === 0) throw bad("axes are empty", { expected: "a setting with its values" });
  for (const [name, axis] of Object.entries(axes)) {
    if (name in base) throw bad(`axes.${name} is in base, too`, { expected: "one of them" });
    if (search.kind === "grid" && !Array.isArray(axis)) {
      const expected =
        "a list of values, or a search that draws from ranges (search.kind random, halton or tpe)";
      throw bad(`axes.${name} is a range, and a grid goes through lists`, { expected });
    }
  }
  for (const name of ["model", "data"])
    if (!(name in base) && !(name in axes))
      throw bad(`there is no ${name}`, { expected: `base.${name} or axes.${name}` });
  const size = gridSize(axes);
  if (search.kind === "grid" && isTooLarge(size))
    throw bad("the grid is too large", {
      expected: "at most 100,000 trials",
      found: size.toLocaleString("en-US"),
    });
}

/** Each value for itself, as its option reads it; those of a list must differ then. */
function checkValues(file: string, { base, axes }: SweepSpec, compress: Command): void {
  const check = (name: string, value: unknown, place: string): unknown => {
    const option = compress.options.find((one) => one.attributeName() === name);
    return option === undefined ? value : parsedValue(option, value, place, file);
  };
  for (const [name, value] of Object.entries(base))
    if (value !== undefined) check(name, value, `base.${name}`);
  for (const [name, axis] of Object.entries(axes)) {
    const known = new Set<string>();
    for (const [key, value] of placesOf(axis)) {
      const place = `axes.${name}${key}`;
      const read = JSON.stringify(check(name, value, place));
      if (known.has(read))
        throw new PenniError("bad-option", `${place} is there already`, {
          file,
          found: JSON.stringify(value),
        });
      known.add(read);
    }
  }
}

function placesOf(axis: Axis): readonly (readonly [place: string, value: AxisValue])[] {
  if (Array.isArray(axis)) return axis.map((value, index) => [`[${index}]`, value] as const);
  return [
    [".min", axis.min],
    [".max", axis.max],
  ];
}

/** Values of an axis that stand for all: all of a list, both ends of a range. */
const ends = (axis: Axis): readonly AxisValue[] => placesOf(axis).map(([, value]) => value);

type Values = Readonly<Record<string, AxisValue>>;

/**
 * Checks what trials will be made of, before the first one starts: settings that contradict each other (of a grid in
 * each trial; a search may come upon combinations that cannot be, but some must be possible), and each model with its
 * data. What these are is noted on the way.
 * @throws PenniError what is wrong, as `penni compress` would say it
 */
export async function checkTrials(spec: SweepSpec, settings: TrialSettings): Promise<void> {
  const all = spec.search.kind === "grid" ? gridValues(spec) : aroundFirst(spec);
  const possible: Values[] = [];
  let problem: unknown;
  for (const values of all) {
    try {
      await settings.optionsOf(values);
      possible.push(values);
    } catch (error) {
      const isRefusable =
        error instanceof PenniError && error.code === "bad-option" && spec.search.kind !== "grid";
      if (!isRefusable) throw error;
      problem ??= error;
    }
  }
  if (possible.length === 0) throw problem;
  await checkRungs(spec, possible, settings);
  await checkModels(possible, settings);
  for (const values of possible) await settings.digest(values);
}

/** @throws PenniError "bad-option" if no trial comes to the first rung: nothing would ever be stopped */
async function checkRungs(
  { halving }: SweepSpec,
  trials: readonly Values[],
  settings: TrialSettings,
): Promise<void> {
  if (halving === undefined || halving.stage === "recover") return;
  let most = 0;
  for (const values of trials) most = Math.max(most, await settings.epochsOf(values, halving.stage));
  const first = at(halving.rungs, 0);
  if (first <= most) return;
  throw new PenniError("bad-option", "halving.rungs[0] comes after the last epoch of every trial", {
    file: settings.file,
    expected: `at most ${most}, the epochs of stage ${halving.stage}`,
    found: `${first}`,
  });
}

function gridValues(spec: SweepSpec): readonly Values[] {
  const study = studyOf(spec, []);
  const found: Values[] = [];
  while (!study.isExhausted) found.push(study.ask().params);
  return found;
}

/** The first value of every axis, and for each axis all of its values beside the first ones of the others. */
function aroundFirst({ axes }: SweepSpec): readonly Values[] {
  const first = Object.fromEntries(
    Object.entries(axes).flatMap(([name, axis]) =>
      ends(axis)
        .slice(0, 1)
        .map((value) => [name, value]),
    ),
  );
  return Object.entries(axes).flatMap(([name, axis]) =>
    ends(axis).map((value) => ({ ...first, [name]: value })),
  );
}

/** Settings that decide whether a model and its data fit. */
const fitting = ["model", "data", "classes", "teacher", "loss", "preset"] as const;

async function checkModels(trials: readonly Values[], settings: TrialSettings): Promise<void> {
  const [{ checkRun }, { compressRequest }] = await Promise.all([
    import("../run/prepare.js"),
    import("./compress_request.js"),
  ]);
  const problems = new Map<string, unknown>();
  for (const values of trials) {
    const own = settings.settingsOf(values);
    const key = JSON.stringify(fitting.map((name) => own[name]));
    if (problems.has(key) && problems.get(key) === undefined) continue;
    const { model, data } = own;
    const place = { model: String(model), data: String(data), out: "" };
    try {
      await checkRun(await compressRequest(place, await settings.optionsOf(values)));
      problems.set(key, undefined);
    } catch (error) {
      // A target that a combination cannot reach: that trial will say so. Some combination must be possible.
      if (!(error instanceof PenniError) || error.code !== "bad-option") throw error;
      if (!problems.has(key)) problems.set(key, error);
    }
  }
  for (const problem of problems.values()) if (problem !== undefined) throw problem;
}
