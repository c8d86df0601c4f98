import { at, orDefault, present } from "../graph/at.js";

/** As a constant of this file, `present` costs nothing in the loops below. */
const read = present;
/** How well the classes that two networks choose agree, by the figure that suits what the output is. */
export interface ClassFigures {
  /**
   * Of a classifier, [N, K]: share of the images for which both choose the same class; of a class map, [N, K, H, W]:
   * share of the positions. 0 to 1. Absent where always naming one class would do nearly as well.
   */
  readonly sameClass?: number | undefined;
  /** What `sameClass` is a share of. */
  readonly classOf?: "image" | "position" | undefined;
  /**
   * Of the scores of boxes, anchors or steps of a sequence, of masks, and wherever one class is nearly everywhere: of what
   * at least one of the two has found (a class other than the original's commonest; a probability above one half), the
   * share that both have, 0 to 1. What is background to both is no merit. Absent where neither has found anything.
   */
  readonly overlap?: number | undefined;
  /** How many images, positions or found things the share is of. */
  readonly answers?: number | undefined;
}

/** Where the original has one class at more than this share of all positions, that both have the same one says little. */
const MOST_COMMON = 0.9;

/** What one choice of a class is for: a whole image, a place in a map, or a box, an anchor or a step of a sequence. */
type Level = "image" | "position" | "item";

/** Counts which classes two networks choose, and decides by what the output is which figure tells how well they agree. */
export class ClassTally {
  private level: Level = "item";
  /** By class: choices of the original, and of both networks at the same position; holes where there are none. */
  private readonly original: number[] = [];
  private readonly both: number[] = [];
  private total = 0;

  constructor(private readonly axis: number | "each") {}

  /**
   * @param dims of the whole batch
   * @param size images in the batch
   */
  add(original: Float32Array, found: Float32Array, dims: readonly number[], size: number): void {
    this.level = levelOf(this.axis, dims, size);
    if (this.axis === "each") {
      const side = (value: number): number => (value > 0.5 ? 1 : 0);
      for (let index = 0; index < original.length; index++)
        this.count(side(read(original[index])), side(read(found[index])));
      return;
    }
    const classes = at(dims, this.axis);
    const stride = dims.slice(this.axis + 1).reduce((product, dim) => product * dim, 1);
    for (let outer = 0; outer < original.length; outer += classes * stride)
      for (let first = outer; first < outer + stride; first++)
        this.count(largest(original, first, stride, classes), largest(found, first, stride, classes));
  }

  get result(): ClassFigures {
    const commonest = this.original.reduce(
      (best, count, index) => (count > orDefault(this.original[best], 0) ? index : best),
      0,
    );
    const isVaried = orDefault(this.original[commonest], 0) <= MOST_COMMON * this.total;
    if (this.level !== "item" && isVaried && this.total > 0) {
      const same = this.both.reduce((sum, count) => sum + count, 0);
      return { sameClass: same / this.total, classOf: this.level, answers: this.total };
    }
    // Of probabilities the background is what lies below one half, however much it is.
    return overlap(this.both, this.total, this.axis === "each" && this.level === "item" ? 0 : commonest);
  }

  private count(original: number, found: number): void {
    this.total += 1;
    this.original[original] = orDefault(this.original[original], 0) + 1;
    if (original === found) this.both[original] = orDefault(this.both[original], 0) + 1;
  }
}

function overlap(both: readonly number[], total: number, background: number): ClassFigures {
  const either = total - orDefault(both[background], 0);
  if (either === 0) return {};
  const same = both.reduce((sum, count, index) => (index === background ? sum : sum + count), 0);
  return { overlap: same / either, answers: either };
}

function levelOf(axis: number | "each", dims: readonly number[], size: number): Level {
  const isByImage = dims[0] === size;
  if (axis === "each") return isByImage && dims.length === 2 && dims[1] === 1 ? "image" : "item";
  if (axis !== 1 || !isByImage) return "item";
  return dims.length === 2 ? "image" : "position";
}

/** The first of the largest of `classes` scores, `stride` elements apart, from `first` on. */
function largest(values: Float32Array, first: number, stride: number, classes: number): number {
  let best = 0;
  for (let index = 1; index < classes; index++)
    if (read(values[first + index * stride]) > read(values[first + best * stride])) best = index;
  return best;
}
