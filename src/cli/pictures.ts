import type { Split } from "../data/dataset.js";
import type { PictureFormat } from "../data/picture_format.js";
import type { Preprocessing } from "../data/preprocessing.js";
import type { Graph } from "../graph/types.js";
import type { Output } from "./terminal.js";

/** Says how the model takes pictures and who says so, before anything runs. */
export async function printPictures(stream: Output, format: PictureFormat): Promise<void> {
  const { describePictureFormat } = await import("../data/picture_format.js");
  stream.write(`pictures: ${describePictureFormat(format)}\n`);
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
  if (warning !== undefined) printPictureWarning(stream, warning);
}

export function printPictureWarning(stream: Output, warning: string): void {
  stream.write(`warning: ${warning}\n`);
}
