import { readClassNames } from "../graph/image_metadata.js";
import { boxProblem } from "../runtime/boxes.js";
import type { Model, OutputData } from "../runtime/types.js";
import { withoutControls } from "../text/destinations.js";
import type { Program } from "./program.js";

type ModelPort = Model<OutputData>["outputs"][number];

/** Anchors of a place, in detectors that were not decoded. */
const ANCHORS = 3;

/**
 * Why no boxes are drawn of a model whose outputs may be those of a detector; undefined of what has boxes, or is none.
 * In it are names of the model's: escape them in HTML.
 */
export function detectorNote(model: {
  readonly outputs: readonly ModelPort[];
  readonly classNames: readonly string[] | undefined;
}): string | undefined {
  if (!model.outputs.some((port) => mayBeBoxes(port, model.classNames?.length))) return undefined;
  const problem = boxProblem(model);
  return problem === undefined ? undefined : withoutControls(`If this is a detector: ${problem}.`);
}

/** What of a program its compiled model says of its outputs. */
export function statedOutputs({ outputs, metadata }: Pick<Program, "outputs" | "metadata">) {
  const ports = outputs.map(({ name, dims, elementType }): ModelPort => ({ name, dims, type: elementType }));
  return { outputs: ports, classNames: readClassNames(metadata) };
}

/** By the numbers that boxes have: four, with as many scores as there are classes, and their certainty. */
function mayBeBoxes({ dims }: ModelPort, classes: number | undefined): boolean {
  const rows = dims.slice(1).filter((dim) => dim !== 1);
  if (rows.length < 2) return false;
  const [first, last] = [rows[0], rows.at(-1)];
  if (last === 4) return true;
  if (classes === undefined) return rows.length === 2 && rows.some((dim) => dim > 4);
  const numbers = [4 + classes, 5 + classes, ANCHORS * (5 + classes)];
  return numbers.some((count) => count === first || count === last);
}
