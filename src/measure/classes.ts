import { comparedName, indexOfNames, unknownNames, withClassNames } from "../data/classes.js";
import { type Dataset, noticesOf } from "../data/dataset.js";
import { shownName, someNames } from "../data/messages.js";
import { readClassNames } from "../data/preprocessing.js";
import { at, present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import { elementCount } from "../graph/tensor.js";
import type { Graph, Shape } from "../graph/types.js";
import { inferGraph } from "../ops/inference/infer.js";

/** The first output of a model, where labels meet it. */
export interface ScoredClasses {
  readonly output: string;
  /** For one image. */
  readonly shape: readonly number[];
  /** Scores of one image. */
  readonly classes: number;
}

/** Where a model with labels is right or wrong, if its shape says so before anything runs; else undefined. */
export function scoredClasses(model: Graph): ScoredClasses | undefined {
  const [output] = model.outputs;
  const shape = output === undefined ? undefined : (inferredShape(model, output.name) ?? output.type?.shape);
  if (output === undefined || shape === undefined) return undefined;
  const scores = shape.slice(1);
  if (scores.length === 0 || !scores.every((dim) => typeof dim === "number")) return undefined;
  return { output: output.name, shape: [1, ...scores], classes: elementCount(scores) };
}

function inferredShape(model: Graph, output: string): Shape | undefined {
  try {
    return inferGraph(fixBatch(model, 1)).types.get(output)?.shape;
  } catch (error) {
    // What cannot be said beforehand is seen when the model runs.
    if (error instanceof PenniError) return undefined;
    throw error;
  }
}

/** Whether a model may score classes, [N, K] or [N, K, 1, 1]; only a shape that is known can deny it. */
export function mayScoreClasses(model: Graph): boolean {
  const scored = scoredClasses(model);
  if (scored === undefined) return true;
  return at(scored.shape, 1) > 1 && scored.shape.slice(2).every((dim) => dim === 1);
}

const CLASSES_ADVICE =
  "Choose the data set that the model was trained for, name the model's classes with --classes FILE (one per line, in " +
  "the order of its outputs), or use images without labels (images:DIR)";

/** The refusal of labels of one number of classes for a model that scores another. */
export function wrongClassCount(output: string, shape: readonly number[], found: number): PenniError {
  const classes = elementCount(shape.slice(1));
  return new PenniError("bad-data", `the model's output "${output}" does not score the classes of the data`, {
    expected: `images of ${classes} ${classes === 1 ? "class" : "classes"}, as in [${shape.join(", ")}]`,
    found: `${found} ${found === 1 ? "class" : "classes"}`,
    advice: CLASSES_ADVICE,
  });
}

/** @throws PenniError "bad-data" with both numbers if labels of so many classes do not fit the model's scores */
export function checkClassCount(model: Graph, classes: number | undefined): void {
  const scored = scoredClasses(model);
  if (scored === undefined || classes === undefined) return;
  if (scored.classes !== classes) throw wrongClassCount(scored.output, scored.shape, classes);
  expectRow(scored.output, scored.shape);
}

/**
 * One score is the largest whatever the image, and boxes times coordinates can be as many as classes.
 * @throws PenniError "bad-data" unless an output [batch, ...] has one axis of two elements or more for each image
 */
export function expectRow(output: string, [, ...axes]: readonly number[]): void {
  const long = axes.filter((size) => size !== 1).length;
  if (long === 1) return;
  throw new PenniError("bad-data", `the model's output "${output}" does not score classes`, {
    expected: "one score for each class, of 2 classes or more, as in [1, 10] or [1, 10, 1, 1]",
    found: `[1${axes.map((size) => `, ${size}`).join("")}]${long === 0 ? ", a single score" : ""}`,
    advice: "Choose a classifier, or use images without labels (images:DIR)",
  });
}

/**
 * The dataset with its labels as the model's outputs count them: by name where the user gives the names of all classes,
 * or where the model's metadata have names that the data's classes are among; else in the order of the data's classes,
 * which must be as many as the model scores.
 * @param given names of all classes in the order of the outputs
 * @throws PenniError "bad-data" or "bad-option" naming what does not fit, with both numbers where it is the count
 */
export function fitClasses(model: Graph, dataset: Dataset, given?: readonly string[]): Dataset {
  if (given !== undefined) {
    checkNameCount(model, given);
    return sayingOrder(dataset, withClassNames(dataset, given, "--classes"));
  }
  const { classNames } = dataset;
  if (classNames === undefined) return dataset;
  const stated = statedNames(model);
  const fitted = stated === undefined ? dataset : byStatedNames(dataset, classNames, stated);
  checkClassCount(model, fitted.classNames?.length);
  const unusable = unusableNames(model);
  return unusable === undefined ? fitted : { ...fitted, notices: [...noticesOf(fitted), unusable] };
}

/** Says that labels were matched by name, unless that changes none. */
function sayingOrder(given: Dataset, fitted: Dataset): Dataset {
  const classNames = present(fitted.classNames);
  if (given.classNames?.join("\n") === classNames.join("\n")) return fitted;
  return { ...fitted, notices: [...noticesOf(fitted), describeMatched(classNames.length)] };
}

/** Says that labels were matched to a model's classes by their names. */
export function describeMatched(classes: number): string {
  return `classes are matched by name to the ${classes} of the model`;
}

/** The names by which `fitClasses` has matched a dataset's labels; undefined where it took them in their order. */
export function matchedNames(given: Dataset, fitted: Dataset): readonly string[] | undefined {
  return fitted.classNames === given.classNames ? undefined : fitted.classNames;
}

/** @throws PenniError "bad-option" with both numbers if there are not as many names as the model has scores */
export function checkNameCount(model: Graph, names: readonly string[]): void {
  const scored = scoredClasses(model);
  if (scored === undefined || scored.classes === names.length) return;
  throw new PenniError("bad-option", "there are not as many class names as the model has scores", {
    expected: `${scored.classes} names for output "${scored.output}" [${scored.shape.join(", ")}]`,
    found: `${names.length}: ${someNames(names)}`,
    advice: "Give one name per output, in their order",
  });
}

/** The class names of a model's metadata, if they can be the names of its scores. */
export function statedNames(model: Graph): readonly string[] | undefined {
  const stated = readClassNames(model.metadata);
  const count = scoredClasses(model)?.classes ?? stated?.length;
  const isDistinct = new Set(stated?.map(comparedName)).size === stated?.length;
  return isDistinct && stated.length === count ? stated : undefined;
}

/**
 * Says so where a model's metadata name its classes, but not one for each of the scores that its output is: other than
 * as many, or one name twice. Undefined where the names fit, or the output is no list of scores.
 */
export function unusableNames(model: Graph): string | undefined {
  const stated = readClassNames(model.metadata);
  if (stated === undefined || stated.length === 0 || statedNames(model) !== undefined) return undefined;
  const scored = scoredClasses(model);
  if (scored === undefined || !mayScoreClasses(model)) return undefined;
  const reason =
    stated.length === scored.classes
      ? "one of them twice"
      : `output "${shownName(scored.output)}" scores ${scored.classes}`;
  return `the model's metadata name ${stated.length} classes, ${reason}: its class names are not used`;
}

function byStatedNames(dataset: Dataset, classNames: readonly string[], stated: readonly string[]): Dataset {
  const indices = indexOfNames(stated, "the model's class names");
  const unknown = unknownNames(classNames, indices);
  if (unknown.length === 0)
    return sayingOrder(dataset, withClassNames(dataset, stated, "the model's class names"));
  const isPlain = unknown.length === classNames.length || classNames.length === stated.length;
  if (isPlain && isInOrder(classNames, indices))
    return { ...dataset, notices: [...noticesOf(dataset), ...namesDiffer(classNames, stated, unknown)] };
  throw new PenniError("bad-data", "only some classes of the data are among the model's class names", {
    file: dataset.name,
    expected: someNames(stated),
    found: someNames(unknown),
    advice: "Rename or remove these classes, or name the model's classes with --classes FILE",
  });
}

/** Says so where a model's metadata name classes otherwise than the data do, and labels go by their order. */
export function otherNames(model: Graph, classNames: readonly string[]): readonly string[] {
  const stated = statedNames(model);
  if (stated === undefined) {
    const unusable = unusableNames(model);
    return unusable === undefined ? [] : [unusable];
  }
  return namesDiffer(classNames, stated, unknownNames(classNames, indexOfNames(stated, "class names")));
}

function namesDiffer(
  classNames: readonly string[],
  stated: readonly string[],
  unknown: readonly string[],
): readonly string[] {
  const [first] = unknown;
  if (first === undefined || classNames.length !== stated.length) return [];
  const other = at(stated, classNames.indexOf(first));
  return [
    `${unknown.length} of ${stated.length} classes have other names in the model ("${shownName(first)}" for "${shownName(other)}"): classes are taken in their order`,
  ];
}

/** Whether each class that has a name in common with the model's stands where the model's does. */
function isInOrder(classNames: readonly string[], indices: ReadonlyMap<string, number>): boolean {
  return classNames.every((name, index) => (indices.get(comparedName(name)) ?? index) === index);
}
