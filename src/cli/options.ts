import { type Command, InvalidArgumentError, Option } from "commander";
import { namedShape } from "../build/named_shape.js";
import type { ImageSize } from "../data/dataset.js";
import type { PictureOptions } from "../data/picture_format.js";
import { devices } from "../execute/device.js";
import { colourOrders, type Layout, layouts, resizeModes } from "../graph/image_metadata.js";
import { accepting, type OptionParser } from "./accepted.js";

/** Parser of an option that is a whole number from `minimum` (to `maximum`). */
export function wholeNumber(minimum: number, maximum = Number.MAX_SAFE_INTEGER): OptionParser<number> {
  const accepts = { kind: "number", minimum, maximum, whole: true } as const;
  const range = maximum === Number.MAX_SAFE_INTEGER ? `from ${minimum}` : `from ${minimum} to ${maximum}`;
  return accepting(accepts, (text) => {
    const value = Number(text);
    if (text.trim() !== "" && Number.isSafeInteger(value) && value >= minimum && value <= maximum)
      return value;
    throw new InvalidArgumentError(`expected a whole number ${range}, found "${text}"`);
  });
}

/** Processes that one machine is asked to run at a time: more than that is a mistake. */
export const MOST_JOBS = 1024;

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
export const numberList = accepting({ kind: "numbers" }, (text): readonly number[] => {
  const parts = text.split(",").map((part) => part.trim());
  const values = parts.map(Number);
  if (parts.every((part) => part !== "") && values.every(Number.isFinite)) return values;
  throw new InvalidArgumentError(`expected numbers with commas between, found "${text}"`);
});

/** Like `numberList`, all above zero. */
export const positiveList = accepting({ kind: "numbers" }, (text): readonly number[] => {
  const values = numberList(text);
  if (values.every((value) => value > 0)) return values;
  throw new InvalidArgumentError(`expected numbers above 0, found "${text}"`);
});

/** A size in pixels, or undefined where the text is none from 1 to `most`. */
export function wholeSize(text: string, most: number): number | undefined {
  const size = Number(text);
  return Number.isSafeInteger(size) && size > 0 && size <= most ? size : undefined;
}

/** "224x160", width first, or "224" for a square; undefined where the text is no such size. */
export function sidesOf(text: string, most: number): ImageSize | undefined {
  const parts = text.split("x");
  const [width, height = width] = parts.map((part) => wholeSize(part, most));
  if (width === undefined || height === undefined || parts.length > 2) return undefined;
  return { width, height };
}

/** Parser of an option that is a size in pixels: "224x160", width first, or "224" for a square. */
export function imageSize(text: string): ImageSize {
  const size = sidesOf(text, Number.MAX_SAFE_INTEGER);
  if (size !== undefined) return size;
  throw new InvalidArgumentError(`expected WIDTHxHEIGHT, found "${text}"`);
}

/** The options that say how a model takes pixels. */
export function addPreprocessingOptions(command: Command): Command {
  return command
    .option(
      "--mean <list>",
      "mean per channel of the model, on its scale (default: the model's metadata, or ImageNet's)",
      numberList,
    )
    .option("--std <list>", "standard deviation per channel, likewise", positiveList)
    .option(
      "--scale <white>",
      "pixels go from 0 to this before mean and std: 1 or, with mean 0 and std 1 unless given, 255",
      numberBetween(1e-6, 1e6),
    )
    .addOption(new Option("--color <order>", "order of the model's channels").choices(colourOrders))
    .addOption(
      new Option("--layout <name>", "axes of the model's input, where its shape leaves that open").argParser(
        layoutName,
      ),
    )
    .addOption(
      new Option(
        "--resize <mode>",
        "cut pictures to the model's proportions, stretch them, or keep them whole in a frame (letterbox)",
      ).choices(resizeModes),
    )
    .option(
      "--crop <share>",
      "resize pictures for more pixels and take this share of the sides from the middle: 0.875 is 224 of 256 (default: 1)",
      positiveShare,
    )
    .option("--pad-color <r,g,b>", "levels of a letterbox's frame (default: 114,114,114)", numberList);
}

function layoutName(text: string): Layout {
  const layout = layouts.find((name) => name === text.toUpperCase());
  if (layout !== undefined) return layout;
  throw new InvalidArgumentError(`expected nchw or nhwc, found "${text}"`);
}

/** The names of the options of `addPreprocessingOptions`. */
export const pictureOptions = [
  "mean",
  "std",
  "scale",
  "color",
  "layout",
  "resize",
  "crop",
  "padColor",
] as const;

/** Those that are given. */
export function givenPictureOptions(options: PictureOptions): PictureOptions {
  return Object.fromEntries(
    pictureOptions.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
  );
}

/** Dimensions for the inputs of a model, by name. */
export type InputShapes = ReadonlyMap<string, readonly number[]>;

/** Parser of a repeatable option NAME:1x3x32x32. */
export const inputShape = accepting<InputShapes>({ kind: "shapes" }, (text, previous = new Map()) => {
  const named = namedShape(text);
  if (named !== undefined) return new Map([...previous, named]);
  throw new InvalidArgumentError(`expected NAME:1x3x32x32, found "${text}"`);
});

/** Parser of an option that is a number in [minimum, maximum]. */
export function numberBetween(minimum: number, maximum: number): OptionParser<number> {
  return accepting({ kind: "number", minimum, maximum, whole: false }, (text) => {
    const value = Number(text);
    if (text.trim() !== "" && value >= minimum && value <= maximum) return value;
    throw new InvalidArgumentError(`expected a number from ${minimum} to ${maximum}, found "${text}"`);
  });
}

/** Parser of an option that is a share of something, of which nothing at all makes no sense. */
export const positiveShare = accepting(
  { kind: "number", minimum: 0, maximum: 1, whole: false },
  (text): number => {
    const value = Number(text);
    if (text.trim() !== "" && value > 0 && value <= 1) return value;
    throw new InvalidArgumentError(`expected a number above 0, up to 1, found "${text}"`);
  },
);

/** Parser of an option that is a number of basis kernels, or "auto". */
export function basisSize(text: string): number | "auto" {
  return text === "auto" ? "auto" : wholeNumber(1)(text);
}
