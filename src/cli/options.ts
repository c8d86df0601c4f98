import { type Command, InvalidArgumentError, Option } from "commander";
import type { ImageSize } from "../data/dataset.js";
import { devices } from "../execute/device.js";
import { PenniError } from "../graph/errors.js";

/** Parser of an option that is a whole number from `minimum`. */
export function wholeNumber(minimum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && Number.isSafeInteger(value) && value >= minimum) return value;
    throw new InvalidArgumentError(`expected a whole number from ${minimum}, found "${text}"`);
  };
}

/** The option --device. */
export function deviceOption(purpose: string): Option {
  return new Option("--device <name>", purpose).choices(devices).default("cpu");
}

/** The option --classes. */
export function classesOption(): Option {
  return new Option(
    "--classes <file>",
    "names of the model's classes in the order of its outputs, one per line or a JSON array: labels are matched by name",
  );
}

/** The names in the file of --classes. */
export async function classNamesOf({
  classes,
}: {
  readonly classes?: string;
}): Promise<readonly string[] | undefined> {
  if (classes === undefined) return undefined;
  const { readClassFile } = await import("../data/class_file.js");
  return readClassFile(classes);
}

/** Parser of an option that is a list of numbers, one per channel: "0.485,0.456,0.406". */
export function numberList(text: string): readonly number[] {
  const parts = text.split(",").map((part) => part.trim());
  const values = parts.map(Number);
  if (parts.every((part) => part !== "") && values.every(Number.isFinite)) return values;
  throw new InvalidArgumentError(`expected numbers with commas between, found "${text}"`);
}

/** Like `numberList`, all above zero. */
export function positiveList(text: string): readonly number[] {
  const values = numberList(text);
  if (values.every((value) => value > 0)) return values;
  throw new InvalidArgumentError(`expected numbers above 0, found "${text}"`);
}

/** Parser of an option that is a size in pixels: "224x160", width first, or "224" for a square. */
export function imageSize(text: string): ImageSize {
  const [width = 0, height = width, ...more] = text.split("x").map(Number);
  const valid = [width, height].every((size) => Number.isSafeInteger(size) && size > 0);
  if (valid && more.length === 0) return { width, height };
  throw new InvalidArgumentError(`expected WIDTHxHEIGHT, found "${text}"`);
}

/** The options that say how a model takes pixels. */
export function addPreprocessingOptions(command: Command): Command {
  return command
    .option(
      "--mean <r,g,b>",
      "mean per channel, of pixels from 0 to 1 (default: the model's metadata, or ImageNet's)",
      numberList,
    )
    .option("--std <r,g,b>", "standard deviation per channel, likewise", positiveList);
}

/** Dimensions for the inputs of a model, by name. */
export type InputShapes = ReadonlyMap<string, readonly number[]>;

/** Parser of a repeatable option NAME:1x3x32x32. */
export function inputShape(text: string, previous: InputShapes = new Map()): InputShapes {
  const colon = text.lastIndexOf(":");
  const dims = text
    .slice(colon + 1)
    .split("x")
    .map(Number);
  if (colon > 0 && dims.every((dim) => Number.isSafeInteger(dim) && dim > 0)) {
    return new Map([...previous, [text.slice(0, colon), dims]]);
  }
  throw new InvalidArgumentError(`expected NAME:1x3x32x32, found "${text}"`);
}

/** Runs `work`; a PenniError that it throws and that names no file gets this one. */
export async function naming<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof PenniError ? error.within({ file }) : error;
  }
}

/** Parser of an option that is a number in [minimum, maximum]. */
export function numberBetween(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && value >= minimum && value <= maximum) return value;
    throw new InvalidArgumentError(`expected a number from ${minimum} to ${maximum}, found "${text}"`);
  };
}

/** Parser of an option that is a number of basis kernels, or "auto". */
export function basisSize(text: string): number | "auto" {
  return text === "auto" ? "auto" : wholeNumber(1)(text);
}
