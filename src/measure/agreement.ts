import { Tensor as OrtTensor } from "onnxruntime-common";
import { batches, planEvaluation } from "../data/batches.js";
import type { Split } from "../data/dataset.js";
import { imageDims, type Preprocessing } from "../data/preprocessing.js";
import type { Feeds } from "../execute/engine.js";
import { openSession } from "../execute/node.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { float32Interface } from "../ops/passes/float16.js";
import { bestClass, classifierInterface } from "./accuracy.js";

/** How far two classifiers are apart on the same images. */
export interface Agreement {
  /** Largest absolute difference of their outputs. NaN if one of them is not a number. */
  readonly difference: number;
  /** Largest absolute output of the first one. */
  readonly magnitude: number;
  /** Images for which both have the largest output at the same class. */
  readonly samePredictions: number;
  readonly images: number;
}

/** The largest difference of one output of two networks. */
export interface OutputDifference extends Pick<Agreement, "difference" | "magnitude"> {
  readonly output: string;
}

/** Two networks with the same input and outputs, and the images `indices` of a split to run them on. */
export interface Pair {
  readonly first: Graph;
  readonly second: Graph;
  readonly split: Split;
  readonly preprocessing: Preprocessing;
  readonly indices: Uint32Array;
  /** Threads of the runtime; by default one per core. */
  readonly threads?: number;
}

/** What both networks of a pair make of one batch. */
export interface PairBatch {
  readonly first: Feeds;
  readonly second: Feeds;
  /** Images of the batch, and how many of them, from the first, count. */
  readonly size: number;
  readonly count: number;
}

/** Images in a batch where neither network fixes it. */
const DEFAULT_BATCH = 64;

/**
 * The named float32 outputs of both networks of a pair, batch by batch.
 * @throws PenniError "bad-data" if the networks do not take the images; "unsupported" if an output is not float32
 */
export async function* runPair(
  pair: Pair,
  outputs: readonly string[],
): AsyncGenerator<PairBatch, void, undefined> {
  const { first, second, split, preprocessing, indices, threads } = pair;
  const fixed = [first, second].map((graph) => classifierInterface(graph, split, preprocessing).fixedBatch);
  const batch = fixed.find((size) => size !== undefined) ?? DEFAULT_BATCH;
  const { input } = classifierInterface(first, split, preprocessing);
  const dims = imageDims(split, preprocessing);
  const options = threads === undefined ? {} : { threads };
  const a = await openSession(float32Interface(first), options);
  const b = await openSession(float32Interface(second), options);
  try {
    for (const { images, size, count } of batches(planEvaluation(split, indices, { batch, preprocessing }))) {
      const feeds = { [input]: new OrtTensor("float32", images, [size, ...dims]) };
      yield { first: await a.run(feeds, outputs), second: await b.run(feeds, outputs), size, count };
    }
  } finally {
    await a.release();
    await b.release();
  }
}

/** Runs both networks on the images `indices` of a split and compares their first outputs. */
export async function largestDifference(
  first: Graph,
  second: Graph,
  split: Split,
  preprocessing: Preprocessing,
  indices: Uint32Array,
): Promise<Agreement> {
  const { output } = classifierInterface(first, split, preprocessing);
  let agreement: Agreement = { difference: 0, magnitude: 0, samePredictions: 0, images: 0 };
  for await (const batch of runPair({ first, second, split, preprocessing, indices }, [output])) {
    const [a, b] = [scores(batch.first, output, batch), scores(batch.second, output, batch)];
    agreement = {
      ...furthest(agreement, a, b),
      samePredictions: agreement.samePredictions + samePredictions(a, b, batch.count),
      images: agreement.images + batch.count,
    };
  }
  return agreement;
}

/** The largest difference of each of the named outputs of two networks. */
export async function outputDifferences(pair: Pair, outputs: readonly string[]): Promise<OutputDifference[]> {
  let found = outputs.map((output): OutputDifference => ({ output, difference: 0, magnitude: 0 }));
  for await (const batch of runPair(pair, outputs)) {
    found = found.map((before) => ({
      output: before.output,
      ...furthest(
        before,
        scores(batch.first, before.output, batch),
        scores(batch.second, before.output, batch),
      ),
    }));
  }
  return found;
}

/**
 * The values of an output for the images that count. What is not laid out image after image is taken whole.
 * @throws PenniError "unsupported" if it is not float32
 */
function scores(
  results: Feeds,
  output: string,
  { size, count }: Pick<PairBatch, "size" | "count">,
): Float32Array {
  const tensor = results[output];
  if (!(tensor?.data instanceof Float32Array)) {
    throw new PenniError("unsupported", `output "${output}" cannot be compared`, {
      expected: "float32",
      found: tensor?.type ?? "nothing",
    });
  }
  const [rows = 1] = tensor.dims;
  const isByImage = rows % size === 0;
  return isByImage ? tensor.data.subarray(0, (tensor.data.length / size) * count) : tensor.data;
}

function furthest(
  before: Pick<Agreement, "difference" | "magnitude">,
  a: Float32Array,
  b: Float32Array,
): Pick<Agreement, "difference" | "magnitude"> {
  let { difference, magnitude } = before;
  if (a.length !== b.length) difference = Number.NaN;
  a.forEach((value, index) => {
    // Math.max keeps a NaN.
    difference = Math.max(difference, Math.abs(value - (b[index] ?? Number.NaN)));
    magnitude = Math.max(magnitude, Math.abs(value));
  });
  return { difference, magnitude };
}

function samePredictions(a: Float32Array, b: Float32Array, count: number): number {
  const classes = a.length / count;
  const rowOf = (scored: Float32Array, image: number): Float32Array =>
    scored.subarray(image * classes, (image + 1) * classes);
  let same = 0;
  for (let image = 0; image < count; image++)
    if (bestClass(rowOf(a, image)) === bestClass(rowOf(b, image))) same += 1;
  return same;
}

/** Where the classes of an output are: see `ClassAxis` of the losses. */
export interface ComparedOutput {
  readonly output: string;
  /** Errors are counted in units of this. */
  readonly deviation: number;
  /** Axis of the classes, "each" where every element is one of its own (a sigmoid's); absent where there are none. */
  readonly axis?: number | "each";
}

/** How well an output agrees with the original's. */
export interface OutputAgreement {
  readonly output: string;
  /**
   * Root mean squared difference, in units of the original's deviation from image to image: 1 is the error of a
   * network that always gives the mean. For class scores up to a shift that all classes have in common. Null where a
   * value is not finite.
   */
  readonly error: number | null;
  /** Share of the positions (of the images, for a classifier) at which both choose the same class; 0 to 1. */
  readonly sameClass?: number | undefined;
}

interface Sums {
  squares: number;
  elements: number;
  same: number;
  positions: number;
}

/** Compares outputs with the original's, batch by batch. */
export class OutputComparison {
  private readonly sums: readonly { readonly compared: ComparedOutput; readonly sums: Sums }[];

  constructor(outputs: readonly ComparedOutput[]) {
    this.sums = outputs.map((compared) => ({
      compared,
      sums: { squares: 0, elements: 0, same: 0, positions: 0 },
    }));
  }

  /** @throws PenniError "unsupported" if an output is not float32, "internal" if the two do not have one size */
  add({ first, second, ...extent }: PairBatch): void {
    for (const { compared, sums } of this.sums) {
      const { output, axis } = compared;
      const [original, found] = [scores(first, output, extent), scores(second, output, extent)];
      if (original.length !== found.length)
        throw new PenniError("internal", `output "${output}" changed its size`);
      sums.elements += original.length;
      if (typeof axis === "number") addClasses(sums, original, found, first[output]?.dims ?? [], axis);
      else addElements(sums, original, found);
    }
  }

  get results(): readonly OutputAgreement[] {
    return this.sums.map(({ compared: { output, deviation, axis }, sums }) => {
      const error = Math.sqrt(sums.squares / sums.elements) / deviation;
      return {
        output,
        error: Number.isFinite(error) ? error : null,
        ...(axis === undefined ? {} : { sameClass: sums.same / sums.positions }),
      };
    });
  }
}

/** Elements by themselves; as probabilities, both are of the same class on the same side of one half. */
function addElements(sums: Sums, a: Float32Array, b: Float32Array): void {
  for (let index = 0; index < a.length; index++) {
    const [x, y] = [a[index] ?? 0, b[index] ?? 0];
    sums.squares += (x - y) ** 2;
    if (x > 0.5 === y > 0.5) sums.same += 1;
  }
  sums.positions += a.length;
}

/**
 * Scores of classes along an axis: of the same class where the largest is at the same index. A shift that all scores
 * of a position have in common is no error, as no probability depends on it (and those of probabilities is zero).
 */
function addClasses(
  sums: Sums,
  a: Float32Array,
  b: Float32Array,
  dims: readonly number[],
  axis: number,
): void {
  const classes = dims[axis] ?? 1;
  const stride = dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  for (let outer = 0; outer < a.length; outer += classes * stride)
    for (let first = outer; first < outer + stride; first++)
      addPosition(sums, a, b, { first, stride, classes });
  sums.positions += a.length / classes;
}

/** The scores of one position: `classes` of them, `stride` elements apart, from `first` on. */
interface Position {
  readonly first: number;
  readonly stride: number;
  readonly classes: number;
}

function addPosition(
  sums: Sums,
  a: Float32Array,
  b: Float32Array,
  { first, stride, classes }: Position,
): void {
  let [bestOfA, bestOfB] = [first, first];
  let [shift, squares] = [0, 0];
  for (let index = first, end = first + classes * stride; index < end; index += stride) {
    if ((a[index] ?? 0) > (a[bestOfA] ?? 0)) bestOfA = index;
    if ((b[index] ?? 0) > (b[bestOfB] ?? 0)) bestOfB = index;
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    shift += difference;
    squares += difference ** 2;
  }
  sums.squares += Math.max(0, squares - shift ** 2 / classes);
  if (bestOfA === bestOfB) sums.same += 1;
}
