import { PenniError } from "../graph/errors.js";
import { PREPROCESSING_KEY, type Preprocessing } from "../graph/image_metadata.js";

export {
  CLASS_NAMES_KEY,
  imagenetPreprocessing,
  PREPROCESSING_KEY,
  type Preprocessing,
  readClassNames,
  readPreprocessing,
} from "../graph/image_metadata.js";

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
