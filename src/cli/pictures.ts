import type { Split } from "../data/dataset.js";
import type { PictureFormat } from "../data/picture_format.js";
import type { Preprocessing } from "../data/preprocessing.js";
import type { Graph } from "../graph/types.js";
import type { Output } from "./terminal.js";

/** Says how the model takes pictures, who says so and what speaks against it, before anything runs. */
export async function printPictures(stream: Output, format: PictureFormat, warning?: string): Promise<void> {
  const { describePictureFormat } = await import("../data/picture_format.js");
  stream.write(`pictures: ${describePictureFormat(format)}\n`);
  if (warning !== undefined) stream.write(`warning: ${warning}\n`);
}

/** Says so where pictures look to a model unlike those that it was trained on. */
export async function warnOfPictures(
  stream: Output,
  model: Graph,
  split: Split,
  preprocessing: Preprocessing,
): Promise<void> {
  const [{ allIndices }, { sampleIndices }, { PLAUSIBILITY_IMAGES, pictureWarning }] = await Promise.all([
    import("../data/batches.js"),
    import("../data/hold_out.js"),
    import("../measure/plausibility.js"),
  ]);
  const indices = sampleIndices(allIndices(split), PLAUSIBILITY_IMAGES, 0);
  const warning = await pictureWarning(model, { split, indices, preprocessing });
  if (warning !== undefined) stream.write(`warning: ${warning}\n`);
}
