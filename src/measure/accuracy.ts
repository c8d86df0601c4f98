import { allIndices, type Batch } from "../data/batches.js";
import { type ImageSize, labelsOf, type Split } from "../data/dataset.js";
import { imageDims, type Preprocessing } from "../data/preprocessing.js";
import type { Provider } from "../execute/device.js";
import type { OrtTensor, Session } from "../execute/engine.js";
import { openSession } from "../execute/node.js";
import { present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { IMAGE_TYPES, imageAxes, imageInput } from "../graph/image_input.js";
import { elementCount } from "../graph/tensor.js";
import type { Dim, Graph, Shape } from "../graph/types.js";
import { float32Interface } from "../ops/passes/float16.js";
import { expectRow, wrongClassCount } from "./classes.js";
import { feedChosen, runEach } from "./run_on_images.js";

export interface EvaluationSettings {
  /** Images in a batch (100); a model with a fixed batch dimension keeps its own. */
  readonly batch?: number;
  /** Which images of the split, in which order; by default all. */
  readonly indices?: Uint32Array;
  /** Threads of the runtime; by default one per core. */
  readonly threads?: number;
  /** Where the model runs; by default the CPU. */
  readonly provider?: Provider;
  /** Gets 1 for each image that is right and 0 for the others, at its position among `indices`. */
  readonly hits?: Uint8Array;
  /** Gets the class of the best score of each image, -1 where it has none, at its position among `indices`. */
  readonly answers?: Int32Array;
  /** Called after each batch with the number of images that are done, and how many there are. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface Accuracy {
  readonly correct: number;
  readonly total: number;
  /** correct / total. */
  readonly top1: number;
  /** Images with a score that is not a number: they have no best class and are not correct. */
  readonly undecided: number;
  /** Wall-clock time of preparing and running all batches, loading the model excluded. */
  readonly seconds: number;
}

/** How images go in and class scores come out of a classifier. */
export interface ClassifierInterface {
  readonly input: string;
  readonly output: string;
  /** The batch dimension, where the model fixes it. */
  readonly fixedBatch: number | undefined;
}

const DEFAULT_BATCH = 100;
const describe = (shape: Shape | undefined): string =>
  shape === undefined ? "a value of unknown shape" : `[${shape.map((dim) => dim ?? "?").join(", ")}]`;

const accepts = (dim: Dim, size: number): boolean => typeof dim !== "number" || dim === size;

/** Whether one of the axes can be the channels of pictures; what is not known can. */
const takesPictures = (shape: Shape | undefined): boolean =>
  [shape?.[1], shape?.[3]].some((dim) => typeof dim !== "number" || dim === 1 || dim === 3);

/**
 * Height and width of the images that a model takes; undefined where it leaves them open.
 * @throws PenniError "bad-data" if it takes something of another number of dimensions, or has not one input
 */
export function inputImageSize(
  model: Graph,
  { layout }: Pick<Preprocessing, "layout">,
): ImageSize | undefined {
  const { name, shape } = imageInput(model);
  if (shape !== undefined && shape.length !== 4) {
    throw new PenniError("bad-data", `the model's input "${name}" does not take images`, {
      expected: "4 dimensions: [N, channels, height, width] or [N, height, width, channels]",
      found: describe(shape),
      advice: "Export the model with such an input",
    });
  }
  const { height, width } = imageAxes(shape, layout) ?? {};
  return typeof height === "number" && typeof width === "number" ? { width, height } : undefined;
}

/**
 * Checks, before anything runs, that a model takes images of this size in this layout and gives a score per class.
 * @throws PenniError "bad-data" naming the input or output, what fits and what was found.
 */
export function classifierInterface(
  model: Graph,
  images: Pick<Split, "channels" | "height" | "width">,
  preprocessing: Pick<Preprocessing, "layout">,
): ClassifierInterface {
  const { name, elementType, shape } = imageInput(model);
  if (elementType !== undefined && !IMAGE_TYPES.includes(elementType)) {
    throw new PenniError("bad-data", `the model's input "${name}" does not take images`, {
      expected: IMAGE_TYPES.join(", "),
      found: elementType,
      advice: "Export the model with an input of float32, or of uint8 for levels from 0 to 255",
    });
  }
  const dims = imageDims(images, preprocessing);
  const fits =
    shape === undefined || (shape.length === 4 && dims.every((size, axis) => accepts(shape[axis + 1], size)));
  if (!fits) {
    throw new PenniError("bad-data", `the model's input "${name}" does not fit the data's images`, {
      expected: describe(shape),
      found: `images [N, ${dims.join(", ")}] (${preprocessing.layout})`,
      advice: takesPictures(shape)
        ? "Choose the data set that the model was trained for, or another --layout"
        : "Pictures have 3 channels, or 1 where they are grey: export the model with an input of so many",
    });
  }
  const [output] = model.outputs;
  if (output === undefined) throw new PenniError("bad-model", "the model has no output");
  const batch = shape?.[0];
  return {
    input: name,
    output: output.name,
    fixedBatch: typeof batch === "number" ? batch : undefined,
  };
}

/** Classes that the model scores, from the dimensions of what it computed. */
function checkScores(scores: OrtTensor, output: string, batch: number, split: Split): number {
  const classes = scores.dims.slice(1).reduce((product, dim) => product * dim, 1);
  const largest = labelsOf(split).reduce((most, label) => Math.max(most, label), 0);
  const fits = scores.type === "float32" && scores.dims[0] === batch && scores.dims.length >= 2;
  if (fits && split.classes !== undefined && classes !== split.classes)
    throw wrongClassCount(output, scores.dims, split.classes);
  if (fits && classes > largest) {
    expectRow(output, scores.dims);
    return classes;
  }
  throw new PenniError("bad-data", `the model's output "${output}" is no score per class of the data`, {
    expected: `float32 [${batch}, ${largest + 1} or more]`,
    found: `${scores.type} [${scores.dims.join(", ")}]`,
    advice: "Choose a classifier, and the data set that it was trained for",
  });
}

/** Index of the largest score, the first of equals. */
function bestClass(scores: Float32Array): number {
  return scores.reduce((best, score, index) => (score > present(scores[best]) ? index : best), 0);
}

/** Index of the largest score; -1 where one is not a number, as nothing is decided by it. */
export function decidedClass(scores: Float32Array): number {
  return scores.some(Number.isNaN) ? -1 : bestClass(scores);
}

interface BatchScore {
  readonly correct: number;
  readonly undecided: number;
}

/** Of this batch's images, to be filled in. */
interface Judged {
  readonly hits: Uint8Array | undefined;
  readonly answers: Int32Array | undefined;
}

function judge(scores: Float32Array, classes: number, batch: Batch, { hits, answers }: Judged): BatchScore {
  let correct = 0;
  let undecided = 0;
  for (let row = 0; row < batch.count; row++) {
    const own = scores.subarray(row * classes, (row + 1) * classes);
    const answer = decidedClass(own);
    const isUndecided = answer < 0;
    const isRight = !isUndecided && BigInt(answer) === batch.labels?.[row];
    if (isUndecided) undecided++;
    if (isRight) correct++;
    if (hits !== undefined) hits[row] = Number(isRight);
    if (answers !== undefined) answers[row] = answer;
  }
  return { correct, undecided };
}

/** @throws PenniError "bad-data" if there is no image: a share of nothing says nothing */
export function expectImages(count: number, what: string): void {
  if (count > 0) return;
  throw new PenniError("bad-data", `there are no ${what} to measure on`, {
    expected: "at least 1 image",
    found: "0",
    advice:
      "Give more images: where there is no folder of test images, a fifth of every class becomes the test images, of " +
      "which a class of one image gives none",
  });
}

/**
 * Top-1 accuracy of a classifier on images of a split, computed by ONNX Runtime.
 * @throws PenniError "bad-data" if model, images and classes do not fit, or the images have no labels, "bad-model" if it
 *   does not run.
 */
export async function evaluate(
  model: Graph,
  split: Split,
  preprocessing: Preprocessing,
  settings: EvaluationSettings = {},
): Promise<Accuracy> {
  const ports = classifierInterface(model, split, preprocessing);
  labelsOf(split);
  const { threads, provider } = settings;
  const session = await openSession(float32Interface(model), {
    ...(threads === undefined ? {} : { threads }),
    ...(provider === undefined ? {} : { provider }),
  });
  try {
    return await evaluateSession(session, ports, split, preprocessing, settings);
  } finally {
    await session.release();
  }
}

/** Numbers in the images of one batch: 1 GiB of float32. */
const LARGEST_BATCH_ELEMENTS = 2 ** 28;

function checkBatch(size: number, elements: number): void {
  if (size >= 1 && elements <= LARGEST_BATCH_ELEMENTS) return;
  throw new PenniError("bad-data", "batches of this size cannot be made", {
    expected: `at least 1 image, at most ${LARGEST_BATCH_ELEMENTS} numbers`,
    found: `${size} images, ${elements} numbers`,
    advice: "Choose another --batch, or export the model with a dynamic batch",
  });
}

/**
 * The same of whatever runs a classifier.
 * @param session gives the classifier's output for a batch of images, float32 [batch, classes, 1...]
 */
export async function evaluateSession(
  session: Pick<Session, "run">,
  { input, output, fixedBatch }: ClassifierInterface,
  split: Split,
  preprocessing: Preprocessing,
  {
    batch: wanted = DEFAULT_BATCH,
    indices = allIndices(split),
    hits,
    answers,
    onProgress,
  }: EvaluationSettings,
): Promise<Accuracy> {
  const size = fixedBatch ?? wanted;
  checkBatch(size, size * elementCount(imageDims(split, preprocessing)));
  const started = performance.now();
  let correct = 0;
  let undecided = 0;
  let done = 0;
  const images = feedChosen({ split, indices, preprocessing }, { input, batch: size });
  for await (const { results, ...batch } of runEach(session, images, [output])) {
    const scores = results[output];
    if (scores === undefined) throw new PenniError("internal", `the runtime left out output "${output}"`);
    const classes = checkScores(scores, output, size, split);
    const record = { hits: hits?.subarray(done), answers: answers?.subarray(done) };
    const score = judge(scores.data as Float32Array, classes, batch, record);
    correct += score.correct;
    undecided += score.undecided;
    done += batch.count;
    onProgress?.(done, indices.length);
  }
  const seconds = (performance.now() - started) / 1000;
  return { correct, total: done, top1: done === 0 ? 0 : correct / done, undecided, seconds };
}
