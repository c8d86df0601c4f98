import { at, entryOf } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { type Dataset, type LabelledSplit, labelsOf, once, type Split } from "./dataset.js";
import { badData, someNames } from "./messages.js";

/** A name as it is compared: composed, as file systems may take it apart, and without blanks around it. */
export function comparedName(name: string): string {
  return name.normalize("NFC").trim();
}

/** Index of each name. @throws PenniError "bad-option" naming what is there twice */
export function indexOfNames(names: readonly string[], what: string): ReadonlyMap<string, number> {
  const indices = new Map<string, number>();
  for (const [index, name] of names.entries()) {
    const first = indices.get(comparedName(name));
    if (first !== undefined) {
      throw new PenniError("bad-option", `${what}: a class is named twice`, {
        expected: "every class once",
        found: `"${name}" as class ${first} and as class ${index}`,
      });
    }
    indices.set(comparedName(name), index);
  }
  return indices;
}

/** The names of classes that are not among `indices`. */
export function unknownNames(
  classNames: readonly string[],
  indices: ReadonlyMap<string, number>,
): readonly string[] {
  return classNames.filter((name) => !indices.has(comparedName(name)));
}

/**
 * The same images with the classes `names`, in that order: each label becomes the index of its class's name. The
 * dataset may have only some of the classes, in any order.
 * @param what says whose names these are
 * @throws PenniError "bad-option" if names or classes are there twice; "bad-data" naming the classes without a name,
 *   or if the images have no labels
 */
export function withClassNames(dataset: Dataset, names: readonly string[], what: string): Dataset {
  const { classNames } = dataset;
  if (classNames === undefined) {
    throw badData(dataset.name, `${what}: the images have no labels that class names could be of`, {
      expected: "one sub-folder per class, or a labelled data set",
      found: "images without classes",
    });
  }
  indexOfNames(classNames, dataset.name);
  const indices = indexOfNames(names, what);
  const unknown = unknownNames(classNames, indices);
  if (unknown.length > 0) {
    throw badData(
      dataset.name,
      `${what}: ${unknown.length} of ${classNames.length} classes are not among them`,
      {
        expected: someNames(names),
        found: someNames(unknown),
        advice: "Rename or remove these classes, or name the model's classes with --classes FILE",
      },
    );
  }
  const mapped = classNames.map((name) => entryOf(indices, comparedName(name)));
  const relabel = (split: Split): LabelledSplit => {
    const labels = labelsOf(split);
    const shared = new Uint16Array(new SharedArrayBuffer(2 * labels.length));
    labels.forEach((label, index) => {
      shared[index] = at(mapped, label);
    });
    return { ...split, labels: shared, classes: names.length };
  };
  return {
    ...dataset,
    classNames: names,
    train: once(async () => relabel(await dataset.train())),
    test: once(async () => relabel(await dataset.test())),
  };
}

/** The dataset with the number of its classes in every split that has labels. */
export function withClassCount(dataset: Dataset): Dataset {
  const classes = dataset.classNames?.length;
  if (classes === undefined) return dataset;
  const counted = (split: Split): Split => ({ ...split, classes });
  return {
    ...dataset,
    train: once(async () => counted(await dataset.train())),
    test: once(async () => counted(await dataset.test())),
  };
}
