import type { Tensor as OrtTensor } from "onnxruntime-common";
import type { Split } from "../../data/dataset.js";
import type { Feeds } from "../../execute/engine.js";
import { present } from "../../graph/at.js";
import { PenniError } from "../../graph/errors.js";
import { wrongClassCount } from "../../measure/classes.js";
import type { Compared } from "../../measure/output_change.js";

/** What can be compared of a network's outputs, as one batch of them shows. */
export type Comparable = Omit<Compared, "units">;

/** A batch of a network's outputs, and the labels of its images, where these are to be used. */
interface OutputBatch {
  readonly values: Feeds;
  readonly labels: BigInt64Array | undefined;
  readonly count: number;
}

/**
 * What can be compared of some outputs.
 * @throws PenniError "unsupported" if there is nothing, "bad-data" if the labels are not of the network's classes
 */
export function comparableOutputs(
  names: readonly string[],
  { values, labels, count }: OutputBatch,
  split: Split,
): Comparable {
  const outputs = names.filter((name) => tensorOf(values, name).type === "float32");
  const [first] = outputs;
  if (first === undefined) {
    const found = names.map((name) => `${name}: ${tensorOf(values, name).type}`).join(", ");
    throw new PenniError("unsupported", "the model has no output that can be compared", {
      expected: "float32",
      found,
      advice: "Export the network without what follows its last real computation",
    });
  }
  const classes = classCount(tensorOf(values, first).dims, count);
  const scores = classes === undefined ? undefined : { output: first, classes };
  const isLabelled = labels !== undefined && scores !== undefined;
  if (isLabelled) checkLabels(split, scores.classes, first);
  return { outputs, scores, isLabelled };
}

function checkLabels(split: Split, classes: number, output: string): void {
  if (split.classes !== undefined && split.classes !== classes)
    throw wrongClassCount(output, [1, classes], split.classes);
  const largest = present(split.labels, "the labels").reduce((most, label) => Math.max(most, label), 0);
  if (largest < classes) return;
  throw new PenniError(
    "bad-data",
    `the model's output "${output}" has too few classes for the data's labels`,
    {
      expected: `${largest + 1} or more`,
      found: `${classes}`,
      advice: "Choose the data set that the model was trained for, or compare outputs with --no-labels",
    },
  );
}

/** Classes of scores [batch, classes] or [batch, classes, 1, 1]; undefined for anything else. */
function classCount(dims: readonly number[], batch: number): number | undefined {
  const [images, classes, ...rest] = dims;
  if (images !== batch || classes === undefined || classes <= 1) return undefined;
  return rest.every((dim) => dim === 1) ? classes : undefined;
}

/**
 * Of nothing that is measured against values that are not finite could be said how large it is.
 * @throws PenniError "bad-data" if some are not
 */
export function checkFinite(outputs: readonly string[], values: Feeds): void {
  const output = outputs.find((name) => !float32Of(values, name).every(Number.isFinite));
  if (output === undefined) return;
  const value = float32Of(values, output).find((each) => !Number.isFinite(each));
  throw new PenniError("bad-data", `the model's output "${output}" is not finite for some images`, {
    expected: "numbers, which changes can be compared with",
    found: `${value}`,
    advice: "Check the model's weights and the images; penni eval counts such images",
  });
}

/** A value that the runtime was asked for. @throws PenniError "internal" if it is not there */
export function tensorOf(values: Feeds, name: string): OrtTensor {
  return present(values[name], `the value "${name}"`);
}

/** The numbers of such a value. @throws PenniError "internal" if they are not float32 */
export function float32Of(values: Feeds, name: string): Float32Array {
  const { data } = tensorOf(values, name);
  if (data instanceof Float32Array) return data;
  throw new PenniError("internal", `the value "${name}" is not float32`);
}
