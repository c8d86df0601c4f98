/**
 * penni/boxes: what detectors see in pictures, from outputs as those of YOLO's versions are. It imports nothing, so this one
 * file can also be copied beside a model.
 *
 * @module penni/boxes
 *
 * @example
 * for (const { name, score, left, top, width, height } of findBoxes(model, picture)) draw(left, top, width, height);
 */

import type { Fit, ImageLike, Model, OutputData } from "./types.js";

export interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Something that was found, in pixels of the picture and within it. */
export interface Box extends Rectangle {
  /** Of the class. */
  readonly index: number;
  /** The class in words. */
  readonly name: string;
  /** How certain it is, from 0 to 1. */
  readonly score: number;
}

/** Which boxes are given. */
export interface BoxOptions {
  /** The least score, from 0 to 1 (0.25). */
  readonly leastScore?: number | undefined;
  /** Of two boxes of a class that share more than this of the area that they cover, from 0 to 1, the less certain one is left out (0.45). */
  readonly mostOverlap?: number | undefined;
}

/** What `run` of a model gives. */
type Output = OutputData | Readonly<Record<string, OutputData>>;

/** What of a model says where its boxes are. */
export type BoxModel = Pick<Model<Output>, "inputs" | "outputs" | "classNames" | "fit">;

/**
 * How an output holds boxes. "columns": [1, 4 + classes, boxes], centres, sizes and scores (YOLO since version 8); "rows": [1,
 * boxes, 5 + classes], centres, sizes, how certain the box is, scores (YOLOv5, v7, YOLOX); "chosen": [1, boxes, 6], corners,
 * score and class of boxes that need no further choice (YOLOv10, or an export with NMS).
 */
type BoxForm = "columns" | "rows" | "chosen";

interface BoxLayout {
  readonly form: BoxForm;
  readonly boxes: number;
  readonly classes: number;
}

const CORNERS = 4;
/** Numbers of a chosen box: its corners, its score and its class. */
const CHOSEN = 6;
/** Of masks, which models of segmentation have behind the scores of a box. */
const MASKS = 32;

/** Undefined where the outputs, or class names, are not those of a detector. */
function boxLayout({ outputs, classNames }: Pick<BoxModel, "outputs" | "classNames">): BoxLayout | undefined {
  const [output, masks, ...more] = outputs;
  const classes = classNames ? classNames.length : 0;
  if (output === undefined || more.length > 0 || classes === 0 || output.dims.length !== 3) return undefined;
  const [batch, first, second] = output.dims;
  if (batch !== 1 || first === undefined || second === undefined) return undefined;
  if (masks !== undefined && (masks.dims.length !== 4 || masks.dims[1] !== MASKS)) return undefined;
  const extra = masks === undefined ? 0 : MASKS;
  if (first === CORNERS + classes + extra) return { form: "columns", boxes: second, classes };
  if (second === CORNERS + 1 + classes + extra) return { form: "rows", boxes: first, classes };
  if (second === CHOSEN + extra) return { form: "chosen", boxes: first, classes };
  return undefined;
}

/** Whether a model's outputs are boxes that `findBoxes` knows how to read: of a detector that names its classes. */
export function hasBoxes(model: Pick<BoxModel, "outputs" | "classNames">): boolean {
  return boxLayout(model) !== undefined;
}

/**
 * What a detector sees in a picture of any size, the most certain first.
 * @throws TypeError if the model is no detector that names its classes, or does not say how it takes pictures
 */
export function findBoxes(
  model: BoxModel & Pick<Model<Output>, "prepare" | "run">,
  picture: ImageLike,
  options: BoxOptions = {},
): readonly Box[] {
  return boxesIn(model, model.run(model.prepare(picture)), picture, options);
}

/**
 * The same of an output that is there already.
 * @param picture the size of the picture that it is for
 * @throws TypeError as `findBoxes`
 */
export function boxesIn(
  model: BoxModel,
  output: Output,
  picture: Pick<ImageLike, "width" | "height">,
  { leastScore = 0.25, mostOverlap = 0.45 }: BoxOptions = {},
): readonly Box[] {
  const { inputs, outputs, classNames, fit = {} } = model;
  const layout = boxLayout(model);
  const [port] = outputs;
  const values = ArrayBuffer.isView(output) ? output : port && output[port.name];
  if (layout === undefined || values === undefined) {
    const found = outputs.map(({ dims }) => `[${dims.join(", ")}]`).join(", ");
    throw new TypeError(
      "findBoxes: expected class names and an output [1, 4 + classes, boxes], [1, boxes, 5 + classes] or [1, boxes, 6], " +
        `found ${classNames ? classNames.length : "no"} class names and ${found}`,
    );
  }
  const inside = frameOf(inputs);
  const placing = placeOf(picture, inside, fit);
  const [likely, largest] = likelyBoxes(values, layout, leastScore);
  // A box within two pixels is none: such numbers are shares of the model's sides.
  const unit = largest > 2 ? { width: 1, height: 1 } : inside;
  const chosen = layout.form === "chosen" ? likely : withoutDoubles(likely, mostOverlap);
  return chosen.flatMap((one) => {
    const box = inPicture(one, unit, placing, picture);
    return box === undefined ? [] : [{ ...box, name: classNames?.[one.index] ?? `${one.index}` }];
  });
}

/** What must be there, as this file counted it. A constant: a function's name would be looked up for every number. */
const known = (value: number | undefined): number => {
  if (value === undefined) throw new Error("penni/boxes: a value is missing");
  return value;
};

/** More than anybody looks at; what is compared with each other is a square of it. */
const MOST_LIKELY = 1000;

/** A box in units of the model's output. */
type Likely = Omit<Box, "name">;

/** The boxes with at least that score, most certain first, and the largest coordinate of all. */
function likelyBoxes(
  values: OutputData,
  { form, boxes, classes }: BoxLayout,
  leastScore: number,
): readonly [likely: readonly Likely[], largest: number] {
  const isColumns = form === "columns";
  const each = values.length / boxes;
  const numberOf = (box: number, place: number): number =>
    known(values[isColumns ? place * boxes + box : box * each + place]);
  const all = Array.from({ length: boxes }, (_, box) => box);
  // A class of its own and the certainty of a single one look alike but for their numbers: classes are whole.
  const isChosen =
    form === "chosen" ||
    (form === "rows" && classes === 1 && all.every((box) => Number.isInteger(numberOf(box, CHOSEN - 1))));
  const likely: Likely[] = [];
  let largest = 0;
  for (const box of all) {
    const [x, y, z, w] = [numberOf(box, 0), numberOf(box, 1), numberOf(box, 2), numberOf(box, 3)];
    for (const value of [x, y, z, w]) if (value > largest) largest = value;
    const [score, index] = isChosen
      ? [numberOf(box, CORNERS), numberOf(box, CORNERS + 1)]
      : bestOf(numberOf, box, form, classes);
    if (!(score >= leastScore)) continue;
    const [left, top, width, height] = isChosen ? [x, y, z - x, w - y] : [x - z / 2, y - w / 2, z, w];
    likely.push({ index, score, left, top, width, height });
  }
  return [likely.sort((a, b) => b.score - a.score).slice(0, MOST_LIKELY), largest];
}

function bestOf(
  numberOf: (box: number, place: number) => number,
  box: number,
  form: BoxForm,
  classes: number,
): readonly [score: number, index: number] {
  const first = form === "rows" ? CORNERS + 1 : CORNERS;
  let [best, index] = [Number.NEGATIVE_INFINITY, 0];
  for (let each = 0; each < classes; each++) {
    const score = numberOf(box, first + each);
    if (score > best) [best, index] = [score, each];
  }
  return [form === "rows" ? best * numberOf(box, CORNERS) : best, index];
}

function withoutDoubles(likely: readonly Likely[], mostOverlap: number): readonly Likely[] {
  const kept: Likely[] = [];
  for (const one of likely)
    if (!kept.some((other) => other.index === one.index && overlapOf(other, one) > mostOverlap))
      kept.push(one);
  return kept;
}

/** The share of the area that two rectangles cover that both have, 0 to 1 (intersection over union). */
export function overlapOf(a: Rectangle, b: Rectangle): number {
  const across = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const down = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  const both = Math.max(across, 0) * Math.max(down, 0);
  return both === 0 ? 0 : both / (a.width * a.height + b.width * b.height - both);
}

interface Extent {
  readonly width: number;
  readonly height: number;
}

/** The pixels of the model's one input. */
function frameOf([input]: BoxModel["inputs"]): Extent {
  const [, first, second, third] = input ? input.dims : [];
  const isFirst = first === 1 || first === 3;
  const [height, width] = isFirst ? [second, third] : [first, second];
  return { height: known(height), width: known(width) };
}

/** Where a picture lies in the model's input: its first corner there, and how large one of its pixels is. */
interface Placing {
  readonly left: number;
  readonly top: number;
  readonly across: number;
  readonly down: number;
}

/** As `prepare` puts it there. */
function placeOf({ width, height }: Extent, inside: Extent, { resize = "cover", crop = 1 }: Fit): Placing {
  const [across, down] = [inside.width / width, inside.height / height];
  if (resize === "letterbox") {
    const scale = Math.min(across, down);
    const [columns, rows] = [wholeSide(scale * width), wholeSide(scale * height)];
    return {
      left: Math.floor((inside.width - columns) / 2),
      top: Math.floor((inside.height - rows) / 2),
      across: columns / width,
      down: rows / height,
    };
  }
  const larger = Math.max(across, down);
  const [x, y] = resize === "stretch" ? [across / crop, down / crop] : [larger / crop, larger / crop];
  return {
    left: (inside.width - x * width) / 2,
    top: (inside.height - y * height) / 2,
    across: x,
    down: y,
  };
}

const wholeSide = (side: number): number => Math.max(1, Math.round(side));

/** Undefined where nothing of a box is in the picture. */
function inPicture(
  { index, score, ...box }: Likely,
  unit: Extent,
  placing: Placing,
  picture: Extent,
): Likely | undefined {
  const across = (x: number): number =>
    within((x * unit.width - placing.left) / placing.across, picture.width);
  const down = (y: number): number => within((y * unit.height - placing.top) / placing.down, picture.height);
  const [left, top] = [across(box.left), down(box.top)];
  const [width, height] = [across(box.left + box.width) - left, down(box.top + box.height) - top];
  return width > 0 && height > 0 ? { index, score, left, top, width, height } : undefined;
}

const within = (value: number, most: number): number => Math.min(Math.max(value, 0), most);
