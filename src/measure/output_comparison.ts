import { at, present } from "../graph/at.js";
import { type ClassFigures, ClassTally } from "./class_tally.js";
import { type PairBatch, scores } from "./pair.js";

/** As a constant of this file, `present` costs nothing in the loops below. */
const read = present;

/** Where the classes of an output are: see `ClassAxis` of the losses. */
export interface ComparedOutput {
  readonly output: string;
  /** Errors are counted in units of this: the original's deviation from image to image (`outputDeviations`). */
  readonly deviation: number;
  /** Axis of the classes, "each" where every element is one of its own (a sigmoid's); absent where there are none. */
  readonly axis?: number | "each";
}

/** How well an output agrees with the original's. */
export interface OutputAgreement extends ClassFigures {
  readonly output: string;
  /**
   * What Penni calls an error everywhere, shown in percent: the root mean squared difference from the original's output,
   * in units of the original's deviation from image to image. 0 where nothing changed, 1 for a network that always gives
   * the mean. For class scores up to a shift that all classes have in common. Null where a value is not finite, or where
   * the output changed its size.
   */
  readonly error: number | null;
}

interface Sums {
  squares: number;
  elements: number;
  readonly classes: ClassTally | undefined;
}

/** Compares outputs with the original's, batch by batch. */
export class OutputComparison {
  private readonly sums: readonly { readonly compared: ComparedOutput; readonly sums: Sums }[];

  constructor(outputs: readonly ComparedOutput[]) {
    this.sums = outputs.map((compared) => ({
      compared,
      sums: {
        squares: 0,
        elements: 0,
        classes: compared.axis === undefined ? undefined : new ClassTally(compared.axis),
      },
    }));
  }

  /** @throws PenniError "unsupported" if an output is not float32 */
  add({ first, second, ...extent }: PairBatch): void {
    for (const { compared, sums } of this.sums) {
      const { output, axis } = compared;
      const [original, found] = [scores(first, output, extent), scores(second, output, extent)];
      if (original.length !== found.length) {
        sums.squares = Number.NaN;
        continue;
      }
      const dims = read(first[output]).dims;
      sums.elements += original.length;
      sums.squares +=
        typeof axis === "number" ? shiftedSquares(original, found, dims, axis) : squares(original, found);
      sums.classes?.add(original, found, dims, extent.size);
    }
  }

  get results(): readonly OutputAgreement[] {
    return this.sums.map(({ compared: { output, deviation }, sums }) => {
      const error = sums.squares === 0 ? 0 : Math.sqrt(sums.squares / sums.elements) / deviation;
      if (!Number.isFinite(error)) return { output, error: null };
      return { output, error, ...sums.classes?.result };
    });
  }
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
