import { at, present } from "../graph/at.js";
import { type ClassFigures, ClassTally } from "./class_tally.js";
import type { MeasuredPart, OutputUnit } from "./output_deviation.js";
import { partOfEach, type Range } from "./output_parts.js";
import { type PairBatch, scores } from "./pair.js";

/** As a constant of this file, `present` costs nothing in the loops below. */
const read = present;

/** An output, and what its errors are counted in: the original's deviation from image to image (`outputDeviations`). */
export interface ComparedOutput extends OutputUnit {
  readonly output: string;
  /** Axis of the classes, "each" where every element is one of its own (a sigmoid's); absent where there are none. */
  readonly axis?: number | "each";
}

/** How well an output agrees with the original's. */
export interface OutputAgreement extends ClassFigures {
  readonly output: string;
  /**
   * What Penni calls an error everywhere, shown in percent: the root mean squared difference from the original's output,
   * in units of the original's deviation from image to image. 0 where nothing changed, 1 for a network that always gives
   * the mean. For class scores up to a shift that all classes have in common. Of an output that is put together from parts
   * of several kinds, the largest of theirs. Null where a value is not finite, or where the output changed its size.
   */
  readonly error: number | null;
  /** Of each part of an output that is put together. */
  readonly parts?: readonly PartAgreement[] | undefined;
}

/** How well a part of an output agrees with the original's. */
export interface PartAgreement {
  /** Along every axis but the first, that of images: from and to, which does not belong to it. */
  readonly ranges: readonly Range[];
  readonly error: number | null;
}

/** Compares outputs with the original's, batch by batch. */
export class OutputComparison {
  private readonly compared: readonly OutputChanges[];

  constructor(outputs: readonly ComparedOutput[]) {
    this.compared = outputs.map((output) => new OutputChanges(output));
  }

  /** @throws PenniError "unsupported" if an output is not float32 */
  add(batch: PairBatch): void {
    for (const changes of this.compared) changes.add(batch);
  }

  get results(): readonly OutputAgreement[] {
    return this.compared.map(({ result }) => result);
  }
}

/** How one output changed. */
class OutputChanges {
  private squares = 0;
  private elements = 0;
  private readonly classes: ClassTally | undefined;
  private readonly parts: readonly PartChanges[];

  constructor(private readonly compared: ComparedOutput) {
    const { axis, parts = [] } = compared;
    this.classes = axis === undefined ? undefined : new ClassTally(axis);
    this.parts = parts.map((part) => ({ part, squares: 0, elements: 0 }));
  }

  add({ first, second, ...extent }: PairBatch): void {
    const { output, axis } = this.compared;
    const [original, found] = [scores(first, output, extent), scores(second, output, extent)];
    if (original.length !== found.length) {
      this.squares = Number.NaN;
      return;
    }
    const dims = read(first[output]).dims;
    this.elements += original.length;
    this.squares +=
      typeof axis === "number" ? shiftedSquares(original, found, dims, axis) : squares(original, found);
    if (this.parts.length > 0) this.addParts(original, found, dims);
    this.classes?.add(original, found, dims, extent.size);
  }

  private addParts(original: Float32Array, found: Float32Array, dims: readonly number[]): void {
    const each = partOfEach(
      this.parts.map(({ part }) => part),
      dims.slice(1),
    );
    for (let index = 0; index < original.length; index++) {
      const part = this.parts[read(each[index % each.length])];
      if (part === undefined) continue;
      part.elements += 1;
      part.squares += (read(original[index]) - read(found[index])) ** 2;
    }
  }

  get result(): OutputAgreement {
    const { output, deviation } = this.compared;
    const { squares: all, elements } = this;
    const whole = errorOf({ squares: all, elements }, deviation);
    const classes = whole === null ? undefined : this.classes?.result;
    if (this.parts.length === 0 || whole === null) return { output, error: whole, ...classes };
    const parts = this.parts.map(({ part, ...changes }) => ({
      ranges: part.ranges,
      error: errorOf(changes, part.deviation),
    }));
    const errors = parts.map(({ error }) => error);
    const largest = errors.every((error) => error !== null) ? Math.max(...errors) : null;
    return { output, error: largest, parts, ...classes };
  }
}

interface PartChanges {
  readonly part: MeasuredPart;
  squares: number;
  elements: number;
}

/** Null where it is not finite. */
function errorOf(
  { squares, elements }: { readonly squares: number; readonly elements: number },
  deviation: number,
): number | null {
  const error = squares === 0 ? 0 : Math.sqrt(squares / elements) / deviation;
  return Number.isFinite(error) ? error : null;
}

function squares(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, index) => sum + (value - read(b[index])) ** 2, 0);
}

/**
 * Squared difference of scores of classes along an axis. A shift that all scores of a position have in common is no
 * error, as no probability depends on it (and those of probabilities is zero).
 */
function shiftedSquares(a: Float32Array, b: Float32Array, dims: readonly number[], axis: number): number {
  const classes = at(dims, axis);
  const stride = dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  let sum = 0;
  for (let outer = 0; outer < a.length; outer += classes * stride) {
    for (let first = outer; first < outer + stride; first++) {
      let [shift, square] = [0, 0];
      for (let index = first; index < first + classes * stride; index += stride) {
        const difference = read(a[index]) - read(b[index]);
        shift += difference;
        square += difference ** 2;
      }
      sum += Math.max(0, square - shift ** 2 / classes);
    }
  }
  return sum;
}
