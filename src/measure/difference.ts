import type { Split } from "../data/dataset.js";
import type { Preprocessing } from "../data/preprocessing.js";
import { listOf, orDefault, present } from "../graph/at.js";
import type { Graph } from "../graph/types.js";
import { classifierInterface } from "./accuracy.js";
import { type OutputPart, partOfEach } from "./output_parts.js";
import { type Pair, runPair, scores } from "./pair.js";
import { PredictionTally } from "./predictions.js";

/**
 * How far an output of two networks is apart at most, in the output's own unit: for networks that ought to compute the
 * same. How much one has lost against the other is its error: see `OutputAgreement`.
 */
export interface Difference {
  /** Largest absolute difference. NaN if one of the values is not a number. */
  readonly difference: number;
  /** Largest absolute value of the first network. */
  readonly magnitude: number;
}

/** The largest difference of one output. */
export interface OutputDifference extends Difference {
  readonly output: string;
}

/** The largest difference of two classifiers' scores, and their predictions. */
export interface ClassifierDifference extends Difference {
  /** Images for which both have the largest score at the same class. */
  readonly samePredictions: number;
  readonly images: number;
}

const NONE: Difference = { difference: 0, magnitude: 0 };

/** Runs both networks on the images `indices` of a split and compares their first outputs. */
export async function largestDifference(
  first: Graph,
  second: Graph,
  split: Split,
  preprocessing: Preprocessing,
  indices: Uint32Array,
): Promise<ClassifierDifference> {
  const { output } = classifierInterface(first, split, preprocessing);
  let found = NONE;
  const predictions = new PredictionTally();
  for await (const batch of runPair({ first, second, split, preprocessing, indices }, [output])) {
    const [a, b] = [scores(batch.first, output, batch), scores(batch.second, output, batch)];
    found = furthest(found, a, b);
    predictions.add(a, b, a.length / batch.count);
  }
  return { ...found, samePredictions: predictions.same, images: predictions.images };
}

/**
 * The largest difference of each of the named outputs of two networks; of each of its parts, where an output has some, and
 * of what belongs to none of them.
 */
export async function outputDifferences(
  pair: Pair,
  outputs: readonly string[],
  parts: ReadonlyMap<string, readonly OutputPart[]> = new Map(),
): Promise<readonly OutputDifference[]> {
  const found = new Map(outputs.map((output) => [output, new Map<number, Difference>()]));
  for await (const batch of runPair(pair, outputs)) {
    for (const [output, differences] of found) {
      const [a, b] = [scores(batch.first, output, batch), scores(batch.second, output, batch)];
      const dims = present(batch.first[output]).dims.slice(1);
      addByPart(differences, a, b, partOfEach(listOf(parts, output), dims));
    }
  }
  return [...found].flatMap(([output, differences]) =>
    [...differences.values()].map((difference) => ({ output, ...difference })),
  );
}

/** @param each the part of each number of an image */
function addByPart(found: Map<number, Difference>, a: Float32Array, b: Float32Array, each: Int8Array): void {
  for (const part of new Set(each)) {
    const isOfPart = (_: number, index: number): boolean => each[index % each.length] === part;
    found.set(part, furthest(found.get(part) ?? NONE, a.filter(isOfPart), b.filter(isOfPart)));
  }
}

function furthest(before: Difference, a: Float32Array, b: Float32Array): Difference {
  let { difference, magnitude } = before;
  if (a.length !== b.length) difference = Number.NaN;
  a.forEach((value, index) => {
    // Math.max keeps a NaN, which stands for what outputs of another size lack.
    difference = Math.max(difference, Math.abs(value - orDefault(b[index], Number.NaN)));
    magnitude = Math.max(magnitude, Math.abs(value));
  });
  return { difference, magnitude };
}
