import { Random } from "../data/random.js";
import { hasInput, inputOf, outputOf } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { elementCount, numericData } from "../graph/tensor.js";
import type { Node } from "../graph/types.js";
import type { TypedBuilder } from "../ops/inference/builder.js";
import { DROPOUT_RATIO } from "../ops/operators/dropout.js";

/** A value of which elements are left out at random in every step, by an input that it is multiplied with. */
export interface DroppedValue {
  /** Of the step: float32, 0 or 1 / (1 - ratio) for each element. */
  readonly input: string;
  readonly dims: readonly number[];
  /** Share of the elements that are left out, above 0, below 1. */
  readonly ratio: number;
}

/**
 * Appends a Dropout node in its form for training (Srivastava et al. 2014).
 * @returns undefined where it leaves nothing out
 * @throws PenniError "unsupported" if how much is left out is computed, or impossible
 */
export function emitDropout(
  b: TypedBuilder,
  node: Node,
  floatInput: (name: string, dims: readonly number[]) => string,
): DroppedValue | undefined {
  // What says itself that it trains has no gradient; what gives its mask away needs one.
  const isPlain = !hasInput(node, 2) && node.outputs.length === 1;
  const ratio = isPlain ? ratioOf(b, node) : 0;
  if (ratio === 0) {
    b.append(node);
    return undefined;
  }
  const x = inputOf(node, 0);
  const dims = b.dims(x);
  const input = floatInput(`penni/dropout/${outputOf(node, 0)}`, dims);
  b.append({ ...node, op: "Mul", inputs: [x, input], attributes: new Map() });
  return { input, dims, ratio };
}

function ratioOf(b: TypedBuilder, node: Node): number {
  if (!hasInput(node, 1)) return DROPOUT_RATIO;
  const tensor = b.constantTensor(inputOf(node, 1));
  const [ratio] = tensor === undefined ? [] : numericData(tensor);
  if (ratio !== undefined && ratio >= 0 && ratio < 1) return ratio;
  throw new PenniError("unsupported", "the share that Dropout leaves out cannot be trained with", {
    node: node.name,
    op: node.op,
    expected: "a constant from 0 to below 1",
    found: ratio === undefined ? "a value that is computed" : `${ratio}`,
  });
}

/** What separates the random numbers of dropout from all others of a training. */
const DROPOUT_STREAM = 4;

/** Draws what is left out, from the number of the step alone. */
export class DropoutFactors {
  private readonly factors = new Map<string, Float32Array>();

  /** @param keys that the random numbers depend on besides: the seed, and where the stage stands in its training */
  constructor(private readonly keys: readonly number[]) {}

  /** For a step, by input. The arrays are reused: they are valid until the next step. */
  draw(values: readonly DroppedValue[], step: number): ReadonlyMap<string, Float32Array> {
    values.forEach(({ input, dims, ratio }, index) => {
      const factors = this.factors.get(input) ?? new Float32Array(elementCount(dims));
      this.factors.set(input, factors);
      const random = new Random(DROPOUT_STREAM, ...this.keys, step, index);
      const kept = 1 / (1 - ratio);
      for (let at = 0; at < factors.length; at++) factors[at] = random.uniform() < ratio ? 0 : kept;
    });
    return this.factors;
  }
}
