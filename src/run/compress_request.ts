import type { PictureFormat, PictureOptions } from "../data/picture_format.js";
import type { Settings } from "./config.js";
import type { OutputChoice } from "./outputs.js";
import type { ExpectedTraining } from "./training_time.js";

/** What the user asks for. */
export interface CompressRequest {
  /** An .onnx file. */
  readonly model: string;
  /** As for `openDataset`. */
  readonly data: string;
  /** Names of all classes in the order of the model's outputs: labels are matched to them by name. */
  readonly classes?: readonly string[];
  /** The run's directory: new or empty. */
  readonly out: string;
  readonly preset: string;
  readonly settings: Settings;
  /**
   * How outputs are matched where the loss has no part for the labels (`crossEntropy` is 0), by name; the others by
   * what they are.
   */
  readonly outputs?: ReadonlyMap<string, OutputChoice>;
  readonly seed: number;
  /** Dimensions of inputs that the model leaves open; its batch stays as it is. */
  readonly inputShapes?: ReadonlyMap<string, readonly number[]>;
  /** Compress the float32 network behind a quantized one. */
  readonly dequantize?: boolean;
  /** Told what was done to the model before the run, in a sentence. */
  readonly notice?: (text: string) => void;
  /** An .onnx file of a classifier of the same pictures, whose scores are learned from in place of the original's. */
  readonly teacher?: string;
  /** Put the result's weights into a file of their own, `model.onnx.data`; by default only where they must. */
  readonly externalData?: boolean;
  /** How the model takes pictures, in place of what it says itself. */
  readonly pictures?: PictureOptions;
  /**
   * Called, before anything runs, with how the model takes pictures, and what speaks against that (`pictureWarning`).
   */
  readonly onPictures?: (format: PictureFormat, warning: string | undefined) => Promise<void>;
  /** Called, before anything runs, with how long the training takes, if there is one (on processors only). */
  readonly onTraining?: (expected: ExpectedTraining) => void;
}
