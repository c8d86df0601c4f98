import { pictureFormat } from "../data/picture_format.js";
import type { Preprocessing } from "../data/preprocessing.js";
import { readModel } from "../files/model_files.js";
import { freshNames, renameValues, usedNames } from "../graph/edit.js";
import { PenniError } from "../graph/errors.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import { removeDeadNodes } from "../graph/passes/remove_dead_nodes.js";
import type { Graph } from "../graph/types.js";
import { inputImageSize } from "../measure/accuracy.js";
import { scoredClasses } from "../measure/classes.js";
import { importForCompression } from "../method/import_for_compression.js";
import { sharedSizes } from "../train/attention.js";
import { hasTraining, type Settings } from "./config.js";
import { atSize } from "./training_parts.js";

/** What of a preprocessing must be the same for two networks that see the same batch. */
const shared = ["mean", "std", "scale", "colour", "layout"] as const;

/**
 * Another classifier in the place of the original as what is learned from: imported, with the same input size, its scores
 * under the name of the model's.
 * @param preprocessing how the model takes pictures; the teacher takes them so too unless its metadata say otherwise
 * @throws PenniError "bad-option" if it takes other pictures or scores another number of classes
 */
export function teacherFor(model: Graph, given: Graph, preprocessing: Preprocessing): Graph {
  checkPictures(given, preprocessing);
  const size = inputImageSize(model, preprocessing);
  const teacher = importForCompression(size === undefined ? given : atSize(given, size, preprocessing));
  checkScores(model, teacher);
  const [wanted, scores] = [model.outputs[0], teacher.outputs[0]];
  if (wanted === undefined || scores === undefined)
    throw new PenniError("bad-model", "a network without outputs has nothing to learn from");
  const alone = removeDeadNodes({ ...teacher, outputs: [scores] });
  if (scores.name === wanted.name) return alone;
  const used = usedNames(alone);
  const other = freshNames(used)(wanted.name);
  return renameValues(
    alone,
    new Map([...(other === wanted.name ? [] : [[wanted.name, other] as const]), [scores.name, wanted.name]]),
  );
}

/** The same of a file. @throws PenniError as `teacherFor`, naming the file; what reading it throws */
export async function readTeacher(model: Graph, file: string, preprocessing: Preprocessing): Promise<Graph> {
  try {
    return teacherFor(model, await readModel(file), preprocessing);
  } catch (error) {
    throw error instanceof PenniError ? error.within({ file }) : error;
  }
}

/**
 * Whether the maps of a model and of its teacher can be compared, where the loss asks for that.
 * @param teacher the model itself where it is undefined
 * @throws PenniError "bad-option" if nothing is trained, or there are no maps of the same size
 */
export function checkAttention(model: Graph, teacher: Graph | undefined, settings: Settings): void {
  if (settings.loss.features === undefined) return;
  if (!hasTraining(settings))
    throw new PenniError("bad-option", "--teacher-features has nothing to change here", {
      expected: "a training",
      found: "none",
    });
  const own = fixBatch(importForCompression(model), 1);
  sharedSizes(own, teacher === undefined ? own : fixBatch(teacher, 1));
}

function checkPictures(teacher: Graph, preprocessing: Preprocessing): void {
  const format = pictureFormat(teacher);
  for (const property of shared) {
    const own = format.preprocessing[property];
    const isStated = ["metadata", "input"].includes(format.origins[property]);
    if (!isStated || String(own) === String(preprocessing[property])) continue;
    throw new PenniError("bad-option", "the network to learn from takes other pictures", {
      expected: `${property} ${String(preprocessing[property])}, as the model's`,
      found: `${property} ${String(own)}`,
      advice: "Learn from a network that was trained on the same pictures",
    });
  }
}

function checkScores(model: Graph, teacher: Graph): void {
  const [wanted, found] = [model, teacher].map((network) => scoredClasses(network)?.classes);
  if (wanted !== undefined && wanted === found) return;
  throw new PenniError("bad-option", "the network to learn from scores other classes", {
    expected: `${wanted ?? "no"} class scores, as the model has`,
    found: `${found ?? "no"} class scores`,
  });
}
