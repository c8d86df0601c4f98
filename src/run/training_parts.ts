import type { ImageSize } from "../data/dataset.js";
import { PenniError } from "../graph/errors.js";
import { imageAxes, imageInput } from "../graph/image_input.js";
import type { Preprocessing } from "../graph/image_metadata.js";
import { specializeInputs } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import type { TrainingPart } from "../train/plan.js";
import type { TrainingSettings } from "./training_config.js";

/** A stretch of a training at one size of the images. */
export interface ResolutionPart extends TrainingPart {
  readonly size: ImageSize;
  readonly epochs: number;
}

/**
 * The parts of a training, in order: those at other resolutions, in whole epochs (one that gets none is left out), and the
 * rest at the network's own size.
 */
export function trainingParts(
  { epochs, resolutions }: Pick<TrainingSettings, "epochs" | "resolutions">,
  native: ImageSize,
): readonly ResolutionPart[] {
  const parts: ResolutionPart[] = [];
  let share = 0;
  let epochsBefore = 0;
  for (const { width, height, share: own } of resolutions) {
    share += own;
    const end = Math.min(Math.round(share * epochs), Math.ceil(epochs) - 1);
    const part = { size: { width, height }, epochs: end - epochsBefore, epochsBefore, epochsInAll: epochs };
    if (part.epochs > 0) parts.push(part);
    epochsBefore = end;
  }
  const rest = { size: native, epochs: epochs - epochsBefore, epochsBefore, epochsInAll: epochs };
  return [...parts, rest];
}

/** The network for images of another size; its batch stays as it is. */
export function atSize(
  graph: Graph,
  { width, height }: ImageSize,
  { layout }: Pick<Preprocessing, "layout">,
): Graph {
  const { name, shape } = imageInput(graph);
  const channels = imageAxes(shape, layout)?.channels;
  if (typeof channels !== "number")
    throw new PenniError("internal", "a network that is trained has no image input");
  const image = layout === "NHWC" ? [height, width, channels] : [channels, height, width];
  return specializeInputs(graph, new Map([[name, [1, ...image]]]));
}
