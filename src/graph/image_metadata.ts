import { at } from "./at.js";
import { PenniError } from "./errors.js";
import { EXPORTER_NAMES_KEY, exporterClassNames, exporterPreprocessing } from "./exporter_metadata.js";
import { parseJson } from "./json.js";

/** Order of the axes of a model's image input. */
export const layouts = ["NCHW", "NHWC"] as const;
export type Layout = (typeof layouts)[number];

/** Order of the channels of a model's image input. */
export const colourOrders = ["rgb", "bgr"] as const;
export type ColourOrder = (typeof colourOrders)[number];

/** How a picture comes to the model's size: cut to its proportions, stretched, or whole with a frame around it. */
export const resizeModes = ["cover", "stretch", "letterbox"] as const;
export type ResizeMode = (typeof resizeModes)[number];

/**
 * What turns a picture into a model's input: resized (`imageLevels` in src/runtime is the one definition of that), then
 * (level * scale - mean[channel]) / std[channel] of levels 0 to 255, in the model's order of channels and axes. A
 * preprocessing of one channel is for grey pictures.
 */
export interface Preprocessing {
  /** In the model's order of channels, in units of scaled levels. */
  readonly mean: number[];
  /** As many as in `mean`, all above 0. */
  readonly std: number[];
  readonly scale: number;
  readonly layout: Layout;
  readonly colour: ColourOrder;
  readonly resize: ResizeMode;
  /**
   * The share of a larger picture's sides that is cut out of its middle, above 0 and below 1, in thousandths; absent where
   * all of it is taken.
   */
  readonly crop?: number | undefined;
  /** With "letterbox": levels of the frame, red, green and blue. */
  readonly pad?: number[] | undefined;
  /** The resize's weights, widened where pictures shrink; there is one kind. */
  readonly filter: "cubic";
}

/** The key of `metadata_props` under which a model carries its preprocessing as JSON. */
export const PREPROCESSING_KEY = "penni.preprocessing";

/** The key of `metadata_props` under which a model carries its class names, a JSON array of strings. */
export const CLASS_NAMES_KEY = "penni.classNames";

/** What nearly every published ImageNet model expects, and the CIFAR-10 models in ../shared too. */
export const imagenetPreprocessing: Preprocessing = {
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  scale: 1 / 255,
  layout: "NCHW",
  colour: "rgb",
  resize: "cover",
  filter: "cubic",
};

/**
 * The preprocessing that a model's metadata states, in Penni's words or an exporter's, or undefined where it states none.
 * @throws PenniError "bad-model" if what it states cannot be understood
 */
export function readPreprocessing(metadata: ReadonlyMap<string, string>): Preprocessing | undefined {
  return readMetadata(metadata, PREPROCESSING_KEY, preprocessingOf) ?? exporterPreprocessing(metadata);
}

/** The class names that a model's metadata states; undefined and errors as in `readPreprocessing`. */
export function readClassNames(metadata: ReadonlyMap<string, string>): readonly string[] | undefined {
  const stated = readMetadata(metadata, CLASS_NAMES_KEY, (value) =>
    isListOf(value, isText) ? value : "a list of strings",
  );
  return stated ?? exporterClassNames(metadata);
}

/** Metadata that name no classes. */
export function withoutClassNames(metadata: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...metadata].filter(([key]) => key !== CLASS_NAMES_KEY && key !== EXPORTER_NAMES_KEY));
}

/** The value, or what was expected of it. */
type Checked<Value> = Value | string;

// Checked by hand: this runs in browsers too, where a library for it would weigh more than the compiler.
function preprocessingOf(value: unknown): Checked<Preprocessing> {
  if (typeof value !== "object" || value === null) return "an object";
  // Models from before resize and filter were stated were measured on pictures cut to their proportions.
  const stated = { resize: "cover", filter: "cubic", ...value } as Readonly<Record<string, unknown>>;
  const { mean, std, scale, layout, colour, resize, filter } = stated;
  if (!isListOf(mean, isNumber) || mean.length === 0) return "mean: a list of numbers";
  if (!isListOf(std, isPositive)) return "std: a list of numbers above 0";
  if (mean.length !== std.length) return "mean and std of the same length";
  if (!isPositive(scale)) return "scale: a number above 0";
  if (!isOneOf(layouts, layout)) return expectation("layout", layouts);
  if (!isOneOf(colourOrders, colour)) return expectation("colour", colourOrders);
  if (!isOneOf(resizeModes, resize)) return expectation("resize", resizeModes);
  if (filter !== "cubic") return 'filter: "cubic"';
  const { crop, pad } = stated;
  const fit = { resize, ...(crop === undefined ? {} : { crop }), ...(pad === undefined ? {} : { pad }) };
  if (!isFit(fit)) return FIT;
  if (!isFinitePreprocessing({ mean, std, scale })) return FINITE_PREPROCESSING;
  return { mean, std, scale, layout, colour, ...fit, filter };
}

/** What `isFit` asks for, for people. */
export const FIT =
  "crop: thousandths above 0 and below 1, not with letterbox; pad, with letterbox only: three whole numbers from 0 to 255";

type Fit = Pick<Preprocessing, "resize" | "crop" | "pad">;

/** Whether crop and pad are possible, and go with the way pictures are resized. */
export function isFit(fit: Readonly<Record<keyof Fit, unknown>> | object): fit is Fit {
  const { resize, crop, pad } = fit as Readonly<Partial<Record<keyof Fit, unknown>>>;
  if (!isOneOf(resizeModes, resize)) return false;
  const isLetterbox = resize === "letterbox";
  const isCrop = crop === undefined || (!isLetterbox && isShare(crop));
  return isCrop && (isLetterbox ? isColour(pad) : pad === undefined);
}

const isShare = (value: unknown): boolean =>
  isPositive(value) && value < 1 && Number.isInteger(Number((1000 * value).toFixed(6)));

const isColour = (value: unknown): boolean =>
  isListOf(value, isNumber) &&
  value.length === 3 &&
  value.every((level) => Number.isInteger(level) && level >= 0 && level <= 255);

/** The frame of a letterbox where nobody says another: the grey that detectors made usual. */
export const PAD: readonly number[] = [114, 114, 114];

/** What `isFinitePreprocessing` asks for, for people. */
export const FINITE_PREPROCESSING = "scale, mean and std that make every level a finite float32 number";

/** Whether all levels become numbers that float32 has: finite, and of finite means and deviations above 0. */
export function isFinitePreprocessing({
  mean,
  std,
  scale,
}: Pick<Preprocessing, "mean" | "std" | "scale">): boolean {
  const { fround } = Math;
  // Between black and white levels are in between.
  return mean.every((each, channel) =>
    [0, 255].every((level) => {
      const centred = fround(fround(level * scale) - fround(each));
      return Number.isFinite(fround(centred / fround(at(std, channel))));
    }),
  );
}

const isOneOf = <Name extends string>(names: readonly Name[], value: unknown): value is Name =>
  names.some((name) => name === value);

const expectation = (field: string, names: readonly string[]): string =>
  `${field}: ${names.map((name) => `"${name}"`).join(" or ")}`;

function isListOf<Element>(
  value: unknown,
  isElement: (element: unknown) => element is Element,
): value is Element[] {
  return Array.isArray(value) && value.every(isElement);
}

const isText = (value: unknown): value is string => typeof value === "string";
const isNumber = (value: unknown): value is number => Number.isFinite(value);
const isPositive = (value: unknown): value is number => isNumber(value) && value > 0;

function readMetadata<Value extends object>(
  metadata: ReadonlyMap<string, string>,
  key: string,
  check: (value: unknown) => Checked<Value>,
): Value | undefined {
  const json = metadata.get(key);
  if (json === undefined) return undefined;
  const value = parseJson(json);
  const checked = value === undefined ? "JSON" : check(value);
  if (typeof checked !== "string") return checked;
  throw new PenniError("bad-model", `the model's metadata entry "${key}" is not valid`, {
    expected: checked,
    found: json.length > 80 ? `${json.slice(0, 80)}...` : json,
    advice: "Remove or correct the entry",
  });
}
