import { at } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { type Layout, PREPROCESSING_KEY, type Preprocessing } from "../graph/image_metadata.js";
import { inputValue } from "../runtime/index.js";
import type { SplitShape } from "./dataset.js";

export {
  CLASS_NAMES_KEY,
  imagenetPreprocessing,
  type Layout,
  PREPROCESSING_KEY,
  type Preprocessing,
  readClassNames,
  readPreprocessing,
} from "../graph/image_metadata.js";

/** Values of all 256 levels of every channel of the images, float32 [channels, 256]. */
export type LevelTable = Float32Array;

/** How the levels of images are written into a model's input. */
export interface PixelWriting {
  /** By channel of the images (red, green, blue). */
  readonly levels: LevelTable;
  /** Where each channel of the images is in the model's input. */
  readonly places: readonly number[];
  readonly layout: Layout;
}

/**
 * How to write images of so many channels.
 * @throws PenniError "bad-data" if the preprocessing is for another number of channels
 */
export function pixelWriting(preprocessing: Preprocessing, channels: number): PixelWriting {
  const { mean, colour, layout } = preprocessing;
  if (mean.length !== channels) {
    throw new PenniError("bad-data", "the preprocessing does not fit the images", {
      expected: `mean and std of ${channels} channels`,
      found: `${mean.length}`,
      advice: `Give one mean and one std per channel (metadata entry "${PREPROCESSING_KEY}").`,
    });
  }
  const places = Array.from({ length: channels }, (_, channel) =>
    colour === "bgr" ? channels - 1 - channel : channel,
  );
  const levels = Float32Array.from({ length: 256 * channels }, (_, index) =>
    inputValue(index & 255, at(places, index >> 8), preprocessing),
  );
  return { levels, places, layout };
}

/** Of one image, as a model takes it: channels first or last. */
export type ModelImageDims = readonly [number, number, number];

export function imageDims(
  { channels, height, width }: Pick<SplitShape, "channels" | "height" | "width">,
  { layout }: Pick<Preprocessing, "layout">,
): ModelImageDims {
  return layout === "NHWC" ? [height, width, channels] : [channels, height, width];
}
