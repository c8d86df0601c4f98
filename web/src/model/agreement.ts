import { Tensor } from "onnxruntime-common";
import { at, present } from "../../../src/graph/at.js";
import type { Graph } from "../../../src/graph/types.js";
import { OutputComparison } from "../../../src/measure/output_comparison.js";
import { ErrorUnit } from "../../../src/measure/output_deviation.js";
import { outputParts } from "../../../src/measure/output_parts.js";

/** One output of a network for one picture. */
export interface OutputValues {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** Float32 outputs by name, for one picture. */
export type Answer = Readonly<Record<string, OutputValues>>;

/** How far a network's answers are from the original's. */
export interface Agreement {
  readonly pictures: number;
  /** Root mean squared difference in units of the original's deviation from picture to picture; the largest of all outputs. */
  readonly error: number | undefined;
  /** Share of pictures with the same best class; undefined where there are no classes. */
  readonly sameClass: number | undefined;
}

/**
 * Compares answers to the same pictures with the original's, as Penni's reports do.
 * @param network the original, which says what of its outputs is of one kind
 */
export function agreementOf(
  network: Graph,
  original: readonly Answer[],
  changed: readonly Answer[],
): Agreement {
  const parts = outputParts(network);
  const [first] = original;
  const compared = Object.entries(first ?? {}).map(([output, { dims }]) => {
    const unit = new ErrorUnit(parts.get(output));
    for (const answer of original) {
      const values = answer[output];
      if (values !== undefined) unit.add(values.data, values.dims, 1);
    }
    return { output, ...unit.value, ...(isRowOfScores(dims) ? { axis: 1 } : {}) };
  });
  const comparison = new OutputComparison(compared);
  for (const [index, answer] of original.entries())
    comparison.add({ first: tensors(answer), second: tensors(at(changed, index)), size: 1, count: 1 });
  const { results } = comparison;
  const errors = results.flatMap(({ error }) => (error === null ? [] : [error]));
  const classes = results.flatMap(({ sameClass }) => (sameClass === undefined ? [] : [sameClass]));
  const areFinite = errors.length > 0 && errors.length === results.length;
  return {
    pictures: original.length,
    error: areFinite ? Math.max(...errors) : undefined,
    sameClass: classes.length === 0 ? undefined : Math.min(...classes),
  };
}

export const isRowOfScores = (dims: readonly number[]): boolean =>
  dims.length === 2 && dims[0] === 1 && present(dims[1]) > 1;

function tensors(answer: Answer): Readonly<Record<string, Tensor>> {
  return Object.fromEntries(
    Object.entries(answer).map(([name, { data, dims }]) => [name, new Tensor("float32", data, dims)]),
  );
}

/** A class and how probable it is, 0 to 1. */
export interface Score {
  readonly name: string;
  readonly probability: number;
}

/** The most probable classes of a row of scores; undefined where an answer has none. */
export function bestClasses(
  answer: Answer,
  names: readonly string[] | undefined,
  count: number,
): readonly Score[] | undefined {
  const [only, ...more] = Object.values(answer);
  if (only === undefined || more.length > 0 || !isRowOfScores(only.dims)) return undefined;
  return probabilities([...only.data])
    .map((probability, index) => ({ name: names?.[index] ?? `class ${index}`, probability }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, count);
}

/** Scores as they are if they are probabilities, else their softmax. */
function probabilities(scores: readonly number[]): readonly number[] {
  const sum = scores.reduce((total, score) => total + score, 0);
  if (scores.every((score) => score >= 0 && score <= 1) && Math.abs(sum - 1) < 1e-3) return scores;
  const most = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - most));
  const all = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / all);
}
