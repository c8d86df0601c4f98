import type { Feeds } from "../execute/engine.js";
import { imageAxes, imageInput } from "../graph/image_input.js";
import { type Layout, readClassNames } from "../graph/image_metadata.js";
import type { Graph } from "../graph/types.js";
import { type Box, type BoxModel, boxesIn, hasBoxes, overlapOf } from "../runtime/boxes.js";
import type { ClassFigures } from "./class_tally.js";
import { type PairBatch, scores } from "./pair.js";

/** Two boxes of a class are one where they share so much of the area that they cover. */
const SAME = 0.5;

interface Detector extends BoxModel {
  /** Of its images. */
  readonly size: { readonly height: number; readonly width: number };
}

/** Counts which boxes two detectors find in the same images. */
export class BoxTally {
  /** Of the images; undefined where the model leaves it open. */
  private readonly size: { readonly height: number; readonly width: number } | undefined;
  private readonly classNames: readonly string[] | undefined;
  private isReadable = true;
  private both = 0;
  private either = 0;

  /** @param model whose outputs, by their shapes and the class names, may be boxes */
  constructor(
    model: Graph,
    private readonly outputs: readonly string[],
    layout: Layout,
  ) {
    const axes = imageAxes(imageInput(model).shape, layout);
    if (typeof axes?.height === "number" && typeof axes.width === "number")
      this.size = { height: axes.height, width: axes.width };
    this.classNames = readClassNames(model.metadata);
  }

  add(batch: PairBatch): void {
    const model = this.isReadable ? this.detectorOf(batch) : undefined;
    if (model === undefined) return;
    try {
      this.compare(model, batch);
    } catch (error) {
      // Numbers that are no boxes after all.
      if (!(error instanceof TypeError)) throw error;
      this.isReadable = false;
      [this.both, this.either] = [0, 0];
    }
  }

  private compare(model: Detector, batch: PairBatch): void {
    for (let image = 0; image < batch.count; image++) {
      const [first, second] = [
        this.found(model, batch.first, batch, image),
        this.found(model, batch.second, batch, image),
      ];
      const same = inBoth(first, second);
      this.both += same;
      this.either += first.length + second.length - same;
    }
  }

  /** Of the boxes that at least one of both has found, the share that both have, and how many these are; undefined where there are none. */
  get result(): Pick<ClassFigures, "overlap" | "answers"> | undefined {
    const { both, either } = this;
    return either === 0 ? undefined : { overlap: both / either, answers: either };
  }

  private detectorOf({ first, size }: PairBatch): Detector | undefined {
    const { size: image, classNames } = this;
    const outputs = this.outputs.map((name) => {
      const dims = first[name]?.dims;
      return { name, dims: dims?.[0] === size ? dims.with(0, 1) : [], type: "float32" };
    });
    if (image === undefined || !hasBoxes({ outputs, classNames })) return undefined;
    // The images are as the model takes them already.
    const input = { name: "image", dims: [1, 3, image.height, image.width], type: "float32" };
    return { size: image, inputs: [input], outputs, classNames, fit: { resize: "stretch" } };
  }

  private found(model: Detector, results: Feeds, batch: PairBatch, image: number): readonly Box[] {
    const values = this.outputs.map((name) => {
      const all = scores(results, name, batch);
      const each = all.length / batch.count;
      return [name, all.subarray(image * each, (image + 1) * each)] as const;
    });
    return boxesIn(model, Object.fromEntries(values), model.size);
  }
}

/** How many boxes of one list are in the other, each once: the most certain choose first. */
function inBoth(first: readonly Box[], second: readonly Box[]): number {
  const left = new Set(second);
  for (const box of first) {
    const candidates = [...left].filter(({ index }) => index === box.index);
    const best = candidates.reduce<readonly [Box | undefined, number]>(
      (found, other) => {
        const share = overlapOf(box, other);
        return share > found[1] ? [other, share] : found;
      },
      [undefined, SAME],
    );
    if (best[0] !== undefined) left.delete(best[0]);
  }
  return second.length - left.size;
}
