import { PenniError } from "../graph/errors.js";
import { imageAxes, imageInput } from "../graph/image_input.js";
import {
  type ColourOrder,
  FINITE_PREPROCESSING,
  FIT,
  imagenetPreprocessing,
  isFinitePreprocessing,
  isFit,
  type Layout,
  PAD,
  type Preprocessing,
  type ResizeMode,
  readPreprocessing,
} from "../graph/image_metadata.js";
import type { Graph } from "../graph/types.js";

/** What somebody says of how a model takes pictures, in place of what the model says. */
export interface PictureOptions {
  /** In the model's order of channels, in units of what `scale` makes of levels. */
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly color?: ColourOrder;
  /** What white becomes, before mean and std: 1 or 255, say. */
  readonly scale?: number;
  readonly layout?: Layout;
  readonly resize?: ResizeMode;
  /** The share of a larger picture's sides that is cut out of its middle; 1 for all of it. */
  readonly crop?: number;
  /** Levels of the frame of a letterbox: red, green, blue. */
  readonly padColor?: readonly number[];
}

/** Who says so: the user, the model's metadata, the model's input itself, the run that is resumed, or nobody. */
export type Origin = "option" | "metadata" | "input" | "run" | "default";

/** What of a preprocessing is chosen by itself. */
export type PictureProperty = "resize" | "crop" | "pad" | "colour" | "layout" | "scale" | "mean" | "std";

/** How a model takes pictures, and who says so. */
export interface PictureFormat {
  readonly preprocessing: Preprocessing;
  readonly origins: Readonly<Record<PictureProperty, Origin>>;
}

/** What a run began with. */
export function formatOfRun(preprocessing: Preprocessing): PictureFormat {
  const origin = "run";
  return {
    preprocessing,
    origins: {
      resize: origin,
      crop: origin,
      pad: origin,
      colour: origin,
      layout: origin,
      scale: origin,
      mean: origin,
      std: origin,
    },
  };
}

type Values = Pick<Preprocessing, "mean" | "std" | "scale" | "colour">;

const WHITE = 255;

/** Of grey pictures: ImageNet's, its channels together. */
const greyValues: Values = { mean: [0.449], std: [0.226], scale: 1 / WHITE, colour: "rgb" };

/** Levels as they are. */
const plainValues = (channels: number): Values => ({
  mean: new Array<number>(channels).fill(0),
  std: new Array<number>(channels).fill(1),
  scale: 1,
  colour: "rgb",
});

/**
 * How a model takes pictures: as the options say, else its metadata, else what its input shows, else as most do.
 * @throws PenniError "bad-option" if the options contradict each other or the input's type, "bad-model" for metadata
 *   that cannot be understood, "bad-data" for a model that has not one input
 */
export function pictureFormat(model: Graph, options: PictureOptions = {}): PictureFormat {
  const input = imageInput(model);
  const stated = readPreprocessing(model.metadata);
  const layout = options.layout ?? input.layout ?? stated?.layout ?? "NCHW";
  const takesLevels = input.elementType === "uint8";
  const channels = imageAxes(input.shape, layout)?.channels === 1 ? 1 : 3;
  const unstated = takesLevels ? plainValues(channels) : defaultValues(channels);
  const { values, origins } = withOptions(
    stated ?? unstated,
    stated !== undefined ? "metadata" : takesLevels ? "input" : "default",
    options,
  );
  if (takesLevels) expectLevels(values, input.name);
  expectFinite(values);
  const fit = fitOf(stated, options);
  const statedBy = (isOption: boolean): Origin =>
    isOption ? "option" : stated === undefined ? "default" : "metadata";
  return {
    // In the order of a run's configuration, which its checkpoints are compared by.
    preprocessing: {
      mean: values.mean,
      std: values.std,
      scale: values.scale,
      layout,
      colour: values.colour,
      ...fit,
      filter: imagenetPreprocessing.filter,
    },
    origins: {
      ...origins,
      resize: statedBy(options.resize !== undefined),
      crop: statedBy(options.crop !== undefined),
      pad: options.padColor !== undefined ? "option" : stated?.pad === undefined ? "default" : "metadata",
      colour: statedBy(options.color !== undefined),
      layout:
        options.layout === undefined && input.layout !== undefined
          ? "input"
          : statedBy(options.layout !== undefined),
    },
  };
}

/**
 * How pictures come to the model's size: what is not said by options is as the model states it, as far as it goes with
 * what they say.
 */
function fitOf(
  stated: Preprocessing | undefined,
  { resize: wanted, crop: share, padColor }: PictureOptions,
): Pick<Preprocessing, "resize" | "crop" | "pad"> {
  const resize = wanted ?? stated?.resize ?? imagenetPreprocessing.resize;
  const isLetterbox = resize === "letterbox";
  const crop = share ?? (isLetterbox ? undefined : stated?.crop);
  const pad = padColor ?? (isLetterbox ? (stated?.pad ?? PAD) : undefined);
  const fit = {
    resize,
    ...(crop === undefined || crop === 1 ? {} : { crop }),
    ...(pad === undefined ? {} : { pad: [...pad] }),
  };
  if (isFit(fit)) return fit;
  throw new PenniError("bad-option", "pictures cannot be resized like this", {
    expected: FIT,
    found: [
      `--resize ${resize}`,
      ...(crop === undefined ? [] : [`--crop ${crop}`]),
      ...(padColor === undefined ? [] : [`--pad-color ${padColor.join()}`]),
    ].join(" "),
  });
}

/** Whether a model, as far as its input shows, takes pictures in colour. */
export function takesColour(model: Graph): boolean {
  const [input, ...more] = model.inputs;
  if (input === undefined || more.length > 0) return false;
  const { shape, layout = "NCHW" } = imageInput(model);
  return imageAxes(shape, layout)?.channels === 3;
}

function defaultValues(channels: 1 | 3): Values {
  return channels === 1 ? greyValues : imagenetPreprocessing;
}

/**
 * Values with what the options say. Mean and standard deviation belong to a scale: with another one, they are 0 and 1
 * until stated. They also belong to colours, so they follow another order of the channels.
 */
function withOptions(
  { mean, std, scale, colour }: Values,
  origin: Origin,
  options: PictureOptions,
): { readonly values: Values; readonly origins: Readonly<Record<"scale" | "mean" | "std", Origin>> } {
  const wanted = options.scale === undefined ? scale : options.scale / WHITE;
  const isRescaled = Math.abs(wanted - scale) > 1e-6 * scale;
  const order = options.color ?? colour;
  const own = isRescaled ? plainValues(mean.length) : { mean, std };
  const ordered = (given: readonly number[]): number[] =>
    order === colour ? [...given] : given.toReversed();
  const values: Values = {
    mean: [...(options.mean ?? ordered(own.mean))],
    std: [...(options.std ?? ordered(own.std))],
    scale: wanted,
    colour: order,
  };
  expectSameLength(values);
  const from = (isOption: boolean): Origin => (isOption ? "option" : origin);
  return {
    values,
    origins: {
      scale: from(options.scale !== undefined),
      mean: from(options.mean !== undefined || isRescaled),
      std: from(options.std !== undefined || isRescaled),
    },
  };
}

function expectSameLength({ mean, std }: Values): void {
  if (mean.length === std.length) return;
  throw new PenniError("bad-option", "mean and standard deviation have different numbers of channels", {
    expected: `${mean.length} as in the mean`,
    found: `${std.length}`,
    advice: "Give both --mean and --std",
  });
}

function expectFinite({ mean, std, scale }: Values): void {
  if (isFinitePreprocessing({ mean, std, scale })) return;
  throw new PenniError("bad-option", "these options make pictures of numbers that no model can take", {
    expected: FINITE_PREPROCESSING,
    found: `scale ${WHITE * scale}, mean ${mean.join(", ")}, std ${std.join(", ")}`,
    advice: "Check --scale, --mean and --std",
  });
}

function expectLevels({ mean, std, scale }: Values, input: string): void {
  const isPlain =
    Math.abs(scale - 1) < 1e-6 && mean.every((value) => value === 0) && std.every((value) => value === 1);
  if (isPlain) return;
  throw new PenniError("bad-option", `the model's input "${input}" takes levels from 0 to 255 as they are`, {
    expected: "uint8: scale 255, mean 0, std 1",
    found: `scale ${WHITE * scale}, mean ${mean.join(", ")}, std ${std.join(", ")}`,
    advice: "Leave --scale, --mean and --std out",
  });
}

const originNames: Readonly<Record<Origin, string>> = {
  option: "option",
  metadata: "the model's metadata",
  input: "the model's input",
  run: "the run that goes on",
  default: "default",
};

const resizeNames: Readonly<Record<ResizeMode, string>> = {
  cover: "cut to proportion, bicubic",
  stretch: "stretched, bicubic",
  letterbox: "kept whole, bicubic",
};

/** One line on how a model takes pictures and who says so, for people. */
export function describePictureFormat({ preprocessing, origins }: PictureFormat): string {
  const { resize, crop, pad, colour, layout, scale, mean, std } = preprocessing;
  const numbers = (values: readonly number[]): string =>
    values.map((value) => Number(value.toPrecision(6))).join(" ");
  const texts: Readonly<Record<PictureProperty, string | undefined>> = {
    resize: resizeNames[resize],
    crop: crop === undefined ? undefined : `the middle ${Number((100 * crop).toFixed(1))} %`,
    pad: pad === undefined ? undefined : `a frame of ${pad.join(" ")}`,
    colour: mean.length === 1 ? "grey" : colour.toUpperCase(),
    layout,
    scale: `0 to ${Number((WHITE * scale).toPrecision(6))}`,
    mean: `mean ${numbers(mean)}`,
    std: `std ${numbers(std)}`,
  };
  const properties = (Object.keys(texts) as PictureProperty[]).filter((name) => texts[name] !== undefined);
  const sources = [...new Set(properties.map((property) => origins[property]))];
  return sources
    .map((source) => {
      const members = properties.filter((property) => origins[property] === source);
      return `${members.map((member) => texts[member]).join(", ")} (${originNames[source]})`;
    })
    .join("; ");
}
