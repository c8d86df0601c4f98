import { z } from "zod";
import { PenniError } from "../graph/errors.js";

const preprocessingSchema = z
  .object({
    mean: z.array(z.number()).min(1),
    std: z.array(z.number().positive()).min(1),
    scale: z.number().positive(),
    layout: z.literal("NCHW"),
    colour: z.literal("rgb"),
  })
  .refine(({ mean, std }) => mean.length === std.length, "mean and std have different lengths")
  .readonly();

/**
 * What turns uint8 pixels into a model's input: (pixel * scale - mean[channel]) / std[channel], as
 * [N, C, H, W] with the channels in the order red, green, blue.
 */
export type Preprocessing = z.infer<typeof preprocessingSchema>;

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
};

/**
 * Preprocessing with the mean or standard deviation that somebody states in place of its own.
 * Throws `PenniError` "bad-option" if they are not of the same number of channels then.
 */
export function overridePreprocessing(
  stated: Preprocessing,
  override: { readonly mean?: readonly number[]; readonly std?: readonly number[] },
): Preprocessing {
  const mean = [...(override.mean ?? stated.mean)];
  const std = [...(override.std ?? stated.std)];
  if (mean.length === std.length) return { ...stated, mean, std };
  throw new PenniError("bad-option", "mean and standard deviation have different numbers of channels", {
    expected: `${mean.length} as in the mean`,
    found: `${std.length}`,
    advice: "Give both --mean and --std",
  });
}

/**
 * The preprocessing that a model's metadata states, or undefined where it states none.
 * Throws `PenniError` "bad-model" if what it states cannot be understood.
 */
export function readPreprocessing(metadata: ReadonlyMap<string, string>): Preprocessing | undefined {
  return readMetadata(metadata, PREPROCESSING_KEY, preprocessingSchema);
}

/** The class names that a model's metadata states; undefined and errors as in `readPreprocessing`. */
export function readClassNames(metadata: ReadonlyMap<string, string>): readonly string[] | undefined {
  return readMetadata(metadata, CLASS_NAMES_KEY, z.array(z.string()));
}

function readMetadata<Value>(
  metadata: ReadonlyMap<string, string>,
  key: string,
  schema: z.ZodType<Value>,
): Value | undefined {
  const json = metadata.get(key);
  if (json === undefined) return undefined;
  const result = schema.safeParse(parseJson(json));
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new PenniError("bad-model", `the model's metadata entry "${key}" is not valid`, {
    expected: issue === undefined ? "valid JSON" : [...issue.path, issue.message].join(": "),
    found: json.length > 80 ? `${json.slice(0, 80)}...` : json,
    advice: "Remove or correct the entry.",
  });
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Values of all 256 pixel levels of every channel, float32 [channels, 256]. */
export type LevelTable = Float32Array;

/**
 * The model's input value for every channel and pixel level, rounded after each operation as float32
 * arithmetic does. Throws `PenniError` "bad-data" if the number of channels differs.
 */
export function levelTable(preprocessing: Preprocessing, channels: number): LevelTable {
  const { mean, std, scale } = preprocessing;
  if (mean.length !== channels) {
    throw new PenniError("bad-data", "the preprocessing does not fit the images", {
      expected: `mean and std of ${channels} channels`,
      found: `${mean.length}`,
      advice: `Give one mean and one std per channel (metadata entry "${PREPROCESSING_KEY}").`,
    });
  }
  return Float32Array.from({ length: 256 * channels }, (_, index) => {
    const channel = index >> 8;
    const scaled = Math.fround((index & 255) * scale);
    const centred = Math.fround(scaled - Math.fround(mean[channel] ?? 0));
    return centred / Math.fround(std[channel] ?? 1);
  });
}
