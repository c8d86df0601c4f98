import type { OrtTensor } from "../execute/engine.js";
import { present } from "../graph/at.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { classifierInterface } from "./accuracy.js";
import { type MeasuredImages, runOnImages } from "./run_on_images.js";

/** As a constant of this file, `present` costs nothing in the loops below. */
const read = present;

/** How an output varies with the image, or why that cannot be said. */
export type OutputDeviation =
  | { readonly deviation: number; readonly dims: readonly number[] }
  | { readonly problem: string };

/** An output that varies by less than this share of its size is the same for every image, rounding aside. */
const LEAST_VARIATION = 1e-6;
/** What is said of such an output. */
export const SAME_FOR_ALL = "it is the same for every image";
/** Its inverse is a float32 number. */
const LEAST_DEVIATION = 1e-30;

/**
 * How far outputs of a network differ from image to image: the root of the variance over the images, averaged over
 * the elements, each image by itself (a batch of one). Predicting the mean of every element has this error.
 * @param outputs names of float32 outputs
 * @returns by output name
 */
export async function outputDeviations(
  network: Graph,
  outputs: readonly string[],
  { threads, ...images }: MeasuredImages,
): Promise<ReadonlyMap<string, OutputDeviation>> {
  if (outputs.length === 0) return new Map();
  const { input } = classifierInterface(network, images.split, images.preprocessing);
  const moments = new Map(outputs.map((output) => [output, new ElementMoments()]));
  const run = { input, batch: 1, outputs };
  for await (const { results } of runOnImages(fixBatch(network, 1), images, run, { threads }))
    for (const [output, sums] of moments) sums.add(results[output]);
  return new Map([...moments].map(([output, sums]) => [output, sums.result]));
}

/** Mean and variance of every element of an output (Welford 1962). */
class ElementMoments {
  private dims: readonly number[] | undefined;
  private problem: string | undefined;
  private count = 0;
  private mean = new Float64Array();
  private squares = new Float64Array();

  /** What the network makes of one image. */
  add(tensor: OrtTensor | undefined): void {
    if (tensor?.data instanceof Float32Array) this.addImage(tensor.data, tensor.dims);
    else this.problem ??= `it is ${tensor?.type ?? "missing"}, not float32`;
  }

  /** What it makes of several, image after image along the first axis. */
  addBatch(values: Float32Array, dims: readonly number[], images: number): void {
    if (dims[0] !== images) {
      this.problem ??= "it is not laid out image after image";
      return;
    }
    const size = values.length / images;
    for (let image = 0; image < images; image++)
      this.addImage(values.subarray(image * size, (image + 1) * size), dims.with(0, 1));
  }

  private addImage(data: Float32Array, dims: readonly number[]): void {
    if (this.problem !== undefined) return;
    if (this.dims === undefined) {
      this.dims = [...dims];
      this.mean = new Float64Array(data.length);
      this.squares = new Float64Array(data.length);
    }
    if (this.dims.join() !== dims.join()) {
      this.problem = "its size depends on the image";
      return;
    }
    this.count += 1;
    for (let index = 0; index < data.length; index++) {
      const value = read(data[index]);
      const before = value - read(this.mean[index]);
      const mean = read(this.mean[index]) + before / this.count;
      this.mean[index] = mean;
      this.squares[index] = read(this.squares[index]) + before * (value - mean);
    }
  }

  get result(): OutputDeviation {
    const { problem, dims, mean, squares, count } = this;
    if (problem !== undefined) return { problem };
    if (mean.length === 0) return { problem: "it is empty" };
    const average = (values: Float64Array): number =>
      values.reduce((sum, each) => sum + each, 0) / values.length;
    const deviation = Math.sqrt(average(squares) / count);
    if (!Number.isFinite(deviation)) return { problem: "it has values that are not finite" };
    const size = Math.sqrt(average(mean.map((value) => value * value)));
    if (deviation <= LEAST_VARIATION * size || deviation < LEAST_DEVIATION) return { problem: SAME_FOR_ALL };
    return { deviation, dims: read(dims) };
  }
}

/**
 * The unit that errors of an output are counted in, from what the original makes of the images: its deviation from image
 * to image; where these images tell none (there is one, or it is the same for all, or it has no rows for images), its
 * root mean square.
 */
export class ErrorUnit {
  private readonly moments = new ElementMoments();
  private squares = 0;
  private elements = 0;

  add(values: Float32Array, dims: readonly number[], images: number): void {
    this.moments.addBatch(values, dims, images);
    this.squares = values.reduce((sum, value) => sum + value * value, this.squares);
    this.elements += values.length;
  }

  get value(): number {
    const { result } = this.moments;
    return "deviation" in result ? result.deviation : Math.sqrt(this.squares / this.elements);
  }
}
