import type { ImageLike, Model } from "penni/runtime";

/** Something that was found, in pixels of the picture. */
export interface Found {
  readonly name: string;
  /** From 0 to 1. */
  readonly score: number;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

const LOWEST_SCORE = 0.4;
/** Two boxes that share more of their common area than this are one. */
const LARGEST_OVERLAP = 0.5;

/** What a detector sees in a picture, best first. */
export function detect(model: Model, picture: ImageLike): readonly Found[] {
  const [input] = model.inputs;
  const [output] = model.outputs;
  const [, , height = 0, width = 0] = input?.dims ?? [];
  const [, rows = 0, count = 0] = output?.dims ?? [];
  const values = model.run(model.prepare(picture));
  const found: Found[] = [];
  for (let box = 0; box < count; box++) {
    const [x = 0, y = 0, w = 0, h = 0, ...scores] = Array.from(
      { length: rows },
      (_, row) => values[row * count + box] ?? 0,
    );
    const score = Math.max(...scores);
    if (score < LOWEST_SCORE) continue;
    const name = model.classNames?.[scores.indexOf(score)] ?? `${scores.indexOf(score)}`;
    found.push({ name, score, left: x - w / 2, top: y - h / 2, width: w, height: h });
  }
  return withoutDoubles(found).map((one) => inPicture(one, picture, { width, height }));
}

function withoutDoubles(found: readonly Found[]): readonly Found[] {
  const kept: Found[] = [];
  for (const one of found.toSorted((a, b) => b.score - a.score))
    if (!kept.some((other) => other.name === one.name && overlap(other, one) > LARGEST_OVERLAP))
      kept.push(one);
  return kept;
}

/** The share of two boxes' area that both have. */
function overlap(a: Found, b: Found): number {
  const across = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const down = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  const both = Math.max(across, 0) * Math.max(down, 0);
  return both / (a.width * a.height + b.width * b.height - both);
}

/** Undoes the letterbox: the picture lies in the middle of the model's input, as large as it fits. */
function inPicture(found: Found, picture: Size, model: Size): Found {
  const scale = Math.min(model.width / picture.width, model.height / picture.height);
  const left = (model.width - picture.width * scale) / 2;
  const top = (model.height - picture.height * scale) / 2;
  return {
    ...found,
    left: (found.left - left) / scale,
    top: (found.top - top) / scale,
    width: found.width / scale,
    height: found.height / scale,
  };
}
