import type { OrtTensor } from "../execute/engine.js";
import { present } from "../graph/at.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { classifierInterface } from "./accuracy.js";
import { type OutputPart, outputParts, partOfEach } from "./output_parts.js";
import { type MeasuredImages, runOnImages } from "./run_on_images.js";

/** As a constant of this file, `present` costs nothing in the loops below. */
const read = present;

/** A part of an output with the unit of its errors, in its own unit. */
export interface MeasuredPart extends OutputPart {
  readonly deviation: number;
}

/** What errors of an output are counted in. */
export interface OutputUnit {
  readonly deviation: number;
  /** Of an output that is put together: what of it is of one kind, each with a unit of its own in place of that of all. */
  readonly parts?: readonly MeasuredPart[] | undefined;
}

/** How an output varies with the image, or why that cannot be said. */
export type OutputDeviation =
  | (OutputUnit & { readonly dims: readonly number[] })
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
  const parts = outputParts(network);
  const moments = new Map(outputs.map((output) => [output, new ElementMoments(parts.get(output))]));
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

  constructor(private readonly parts: readonly OutputPart[] = []) {}

  /** What the network makes of one image. */
  add(tensor: OrtTensor | undefined): void {
    if (tensor?.data instanceof Float32Array) this.addImage(tensor.data, tensor.dims);
    else this.problem ??= `it is ${tensor?.type ?? "missing"}, not float32`;
  }

  /** What it makes of several, image after image along the first axis. */
  addBatch(values: Float32Array, dims: readonly number[], images: number): void {
    if (images === 1) {
      this.addImage(values, dims);
      return;
    }
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
    const { problem, dims, mean } = this;
    if (problem !== undefined) return { problem };
    if (mean.length === 0) return { problem: "it is empty" };
    const { whole, parts } = this.sums();
    const found = this.deviationOf(whole);
    if ("problem" in found) return found;
    const varied = parts.flatMap(({ ranges, sums }) => {
      const own = this.deviationOf(sums);
      return "problem" in own ? [] : [{ ranges, ...own }];
    });
    return { ...found, dims: read(dims), ...(varied.length === 0 ? {} : { parts: varied }) };
  }

  /** Root mean squares, for images that tell no deviation; undefined where there is a problem besides. */
  get sizes(): OutputUnit | undefined {
    if (this.problem !== undefined) return undefined;
    const sizeOf = ({ squares, means, elements }: Sums): number =>
      Math.sqrt((squares / this.count + means) / elements);
    const { whole, parts } = this.sums();
    const sized = parts.flatMap(({ ranges, sums }) => {
      const deviation = sizeOf(sums);
      return deviation > 0 ? [{ ranges, deviation }] : [];
    });
    return { deviation: sizeOf(whole), ...(sized.length === 0 ? {} : { parts: sized }) };
  }

  /** Of all elements, and of those of each part. */
  private sums(): {
    readonly whole: Sums;
    readonly parts: readonly (OutputPart & { readonly sums: Sums })[];
  } {
    const { dims = [], mean, squares } = this;
    const none = (): Sums => ({ elements: 0, squares: 0, means: 0 });
    const whole = none();
    const parts = this.parts.map(({ ranges }) => ({ ranges, sums: none() }));
    const each = partOfEach(this.parts, dims.slice(1));
    for (let index = 0; index < mean.length; index++) {
      const part = parts[read(each[index % each.length])];
      addTo(whole, read(mean[index]), read(squares[index]));
      if (part !== undefined) addTo(part.sums, read(mean[index]), read(squares[index]));
    }
    return { whole, parts };
  }

  private deviationOf({ elements, squares, means }: Sums): { deviation: number } | { problem: string } {
    const deviation = Math.sqrt(squares / elements / this.count);
    if (!Number.isFinite(deviation)) return { problem: "it has values that are not finite" };
    const size = Math.sqrt(means / elements);
    if (deviation <= LEAST_VARIATION * size || deviation < LEAST_DEVIATION) return { problem: SAME_FOR_ALL };
    return { deviation };
  }
}

/** Of some elements. */
interface Sums {
  elements: number;
  /** Of squared distances from the means, over the images. */
  squares: number;
  /** Of squared means. */
  means: number;
}

function addTo(sums: Sums, mean: number, squares: number): void {
  sums.elements += 1;
  sums.squares += squares;
  sums.means += mean * mean;
}

/**
 * The unit that errors of an output are counted in, from what the original makes of the images: its deviation from image
 * to image; where these images tell none (there is one, or it is the same for all, or it has no rows for images), its
 * root mean square.
 */
export class ErrorUnit {
  private readonly moments: ElementMoments;
  private squares = 0;
  private elements = 0;

  /** @param parts of the output, if it has any */
  constructor(parts?: readonly OutputPart[]) {
    this.moments = new ElementMoments(parts);
  }

  add(values: Float32Array, dims: readonly number[], images: number): void {
    this.moments.addBatch(values, dims, images);
    this.squares = values.reduce((sum, value) => sum + value * value, this.squares);
    this.elements += values.length;
  }

  get value(): OutputUnit {
    const { result, sizes } = this.moments;
    if ("deviation" in result) return result;
    return sizes ?? { deviation: Math.sqrt(this.squares / this.elements) };
  }
}
