export { type Augmentation, cifarAugmentation } from "./augment.js";
export {
  allIndices,
  type Batch,
  type BatchPlan,
  batches,
  type EpochOptions,
  type EvaluationOptions,
  planEpoch,
  planEvaluation,
} from "./batches.js";
export { readClassFile } from "./class_file.js";
export { withClassNames } from "./classes.js";
export {
  allocateImages,
  allocateSplit,
  type Dataset,
  type ImageSize,
  imagePixels,
  type LabelledSplit,
  labelsOf,
  type Split,
} from "./dataset.js";
export { type HeldOut, holdOut, sampleIndices } from "./hold_out.js";
export { type OpenOptions, openDataset } from "./open.js";
export {
  describePictureFormat,
  type PictureFormat,
  type PictureOptions,
  pictureFormat,
  takesColour,
} from "./picture_format.js";
export { prefetch } from "./prefetch.js";
export {
  CLASS_NAMES_KEY,
  imageDims,
  imagenetPreprocessing,
  PREPROCESSING_KEY,
  type Preprocessing,
  readClassNames,
  readPreprocessing,
} from "./preprocessing.js";
export { Random } from "./random.js";
