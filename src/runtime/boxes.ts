/**
 * penni/boxes: what detectors see in pictures, from outputs as those of YOLO's versions and of single-shot detectors are. It
 * imports nothing, so this one file can also be copied beside a model.
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

/** A box as whoever decodes a model's outputs gives it to `placeBoxes`: in pixels of the model's input. */
export type FoundBox = Omit<Box, "name">;

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
 * How one output holds boxes. "columns": [1, 4 + classes, boxes], centres, sizes and scores (YOLO since version 8); "rows": [1,
 * boxes, 5 + classes], centres, sizes, how certain the box is, scores (YOLOv5, v7, YOLOX); "plain": [1, boxes, 4 + classes],
 * centres and sizes or corners, scores (RT-DETR, turned columns); "chosen": [1, boxes, 6], corners, score and class of boxes
 * that need no further choice (YOLOv10, or an export with NMS).
 */
type BoxForm = "columns" | "rows" | "plain" | "chosen";

/** Boxes in one output. */
interface JoinedLayout {
  readonly form: BoxForm;
  readonly output: string;
  readonly boxes: number;
  readonly classes: number;
}

/** Boxes in one output, [1, boxes, 4], and their scores in another, [1, boxes, scores] or [1, scores, boxes]. */
interface PairLayout {
  readonly form: "pair";
  readonly places: string;
  readonly marks: string;
  readonly boxes: number;
  readonly classes: number;
  /** The classes, or one more: the background. */
  readonly scores: number;
  readonly isTurned: boolean;
}

type BoxLayout = JoinedLayout | PairLayout;

const CORNERS = 4;
/** Numbers of a chosen box: its corners, its score and its class. */
const CHOSEN = 6;
/** Of masks, which models of segmentation have behind the scores of a box. */
const MASKS = 32;

type Ports = Pick<BoxModel, "outputs" | "classNames">;

/** Undefined where the outputs, or class names, are not those of a detector. */
function boxLayout({ outputs, classNames }: Ports): BoxLayout | undefined {
  const [first, second, ...more] = outputs;
  const classes = classNames ? classNames.length : 0;
  if (first === undefined || more.length > 0 || classes === 0) return undefined;
  if (second === undefined) return joinedLayout(first, classes, 0);
  const hasMasks = second.dims.length === 4 && second.dims[1] === MASKS;
  return (hasMasks ? joinedLayout(first, classes, MASKS) : undefined) ?? pairLayout(first, second, classes);
}

type OutputPort = BoxModel["outputs"][number];

function joinedLayout({ name, dims }: OutputPort, classes: number, extra: number): JoinedLayout | undefined {
  const [batch, first, second] = dims;
  if (dims.length !== 3 || batch !== 1 || first === undefined || second === undefined) return undefined;
  const of = (form: BoxForm, boxes: number): JoinedLayout => ({ form, output: name, boxes, classes });
  if (first === CORNERS + classes + extra) return of("columns", second);
  if (second === CORNERS + 1 + classes + extra) return of("rows", first);
  // Which of both, for two classes, is told by the numbers.
  if (second === CHOSEN + extra) return of("chosen", first);
  if (second === CORNERS + classes + extra) return of("plain", first);
  return undefined;
}

/** In which order the two outputs come, their shapes say; where both could be either, their names. */
function pairLayout(first: OutputPort, second: OutputPort, classes: number): PairLayout | undefined {
  const found = [pairOf(first, second, classes), pairOf(second, first, classes)].filter(
    (layout) => layout !== undefined,
  );
  const named = found.filter(({ places, marks }) => /box|loc/i.test(places) && !/box|loc/i.test(marks));
  const [only, ...others] = found.length > 1 ? named : found;
  return others.length > 0 ? undefined : only;
}

function pairOf(places: OutputPort, marks: OutputPort, classes: number): PairLayout | undefined {
  const [boxes, corners, ...more] = inner(places);
  const [one, two, ...others] = inner(marks);
  if (boxes === undefined || corners !== CORNERS || more.length > 0 || others.length > 0) return undefined;
  const found = { form: "pair", places: places.name, marks: marks.name, boxes, classes } as const;
  const isScores = (count: number | undefined): count is number => count === classes || count === classes + 1;
  if (one === boxes && two === undefined && classes === 1) return { ...found, scores: 1, isTurned: false };
  if (one === boxes && isScores(two)) return { ...found, scores: two, isTurned: false };
  if (two === boxes && isScores(one)) return { ...found, scores: one, isTurned: true };
  return undefined;
}

/** The dimensions of one image, without those of a single element; none of what holds several images. */
const inner = ({ dims: [batch, ...dims] }: OutputPort): readonly number[] =>
  batch === 1 ? dims.filter((dim) => dim !== 1) : [];

/** Whether a model's outputs are boxes that `findBoxes` knows how to read: of a detector that names its classes. */
export function hasBoxes(model: Ports): boolean {
  return boxLayout(model) !== undefined;
}

/** Why `findBoxes` cannot read a model's outputs, and what can be done; undefined where it can. */
export function boxProblem(model: Ports): string | undefined {
  if (hasBoxes(model)) return undefined;
  const { outputs, classNames } = model;
  const count = classNames ? classNames.length : 0;
  const found = outputs.map(({ name, dims }) => `"${name}" [${dims.join(", ")}]`).join(", ");
  if (count === 0)
    return `which boxes outputs ${found} hold cannot be told without class names: name them, one a line, with compile --classes FILE`;
  const read = [
    `[1, ${CORNERS + count}, N]`,
    `[1, N, ${CORNERS + count}]`,
    `[1, N, ${CORNERS + 1 + count}]`,
    `[1, N, ${CHOSEN}]`,
    `[1, N, ${CORNERS}] beside [1, N, ${count}]`,
  ];
  return `outputs ${found} are no boxes of ${count} ${count === 1 ? "class" : "classes"} that can be told: expected ${read.join(" or ")}. ${isEither(outputs, count) ? EITHER : ""}${YOURSELF}`;
}

const EITHER = 'Which of both are boxes, their names do not tell: call one "boxes" and the other "scores". ';

const isEither = ([first, second]: BoxModel["outputs"], classes: number): boolean =>
  first !== undefined &&
  second !== undefined &&
  pairOf(first, second, classes) !== undefined &&
  pairOf(second, first, classes) !== undefined;

const YOURSELF =
  "Decode what run gives, and pass boxes of { left, top, width, height, score, index } in pixels of the model's input to placeBoxes(model, boxes, picture)";

/**
 * What a detector sees in a picture of any size, the most certain first.
 * @throws TypeError if the model is no detector that names its classes, does not say how it takes pictures, or gives numbers
 *   that are no boxes and no probabilities
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
  options: BoxOptions = {},
): readonly Box[] {
  const { inputs, outputs } = model;
  const layout = boxLayout(model);
  if (layout === undefined) throw new TypeError(`findBoxes: ${boxProblem(model)}`);
  const valuesOf = (name: string): OutputData => {
    const values = ArrayBuffer.isView(output) && outputs.length === 1 ? output : undefined;
    const found = values ?? (ArrayBuffer.isView(output) ? undefined : output[name]);
    if (found === undefined)
      throw new TypeError(`findBoxes: expected values of output "${name}", found none`);
    return found;
  };
  const numbers =
    layout.form === "pair" ? pairNumbers(layout, valuesOf) : joinedNumbers(layout, valuesOf(layout.output));
  const { leastScore = LEAST_SCORE, mostOverlap = MOST_OVERLAP } = options;
  const found = likelyBoxes(numbers, layout.boxes, leastScore, frameOf(inputs));
  // Whoever has chosen already is not corrected.
  return placeBoxes(model, found, picture, { leastScore, mostOverlap: numbers.isChosen ? 1 : mostOverlap });
}

const LEAST_SCORE = 0.25;
const MOST_OVERLAP = 0.45;

/**
 * Boxes that were decoded elsewhere, as `findBoxes` gives them: the most certain first, without doubles, where they are in the
 * picture.
 * @param found in pixels of the model's input
 * @param picture the size of the picture that they are in
 */
export function placeBoxes(
  model: BoxModel,
  found: readonly FoundBox[],
  picture: Pick<ImageLike, "width" | "height">,
  { leastScore = LEAST_SCORE, mostOverlap = MOST_OVERLAP }: BoxOptions = {},
): readonly Box[] {
  const { inputs, classNames, fit = {} } = model;
  const placing = placeOf(picture, frameOf(inputs), fit);
  const likely = found.filter(({ score }) => score >= leastScore).sort((a, b) => b.score - a.score);
  return withoutDoubles(likely.slice(0, MOST_LIKELY), mostOverlap).flatMap((one) => {
    const box = inPicture(one, placing, picture);
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

/** The numbers of boxes, wherever an output has them. */
interface BoxNumbers {
  /** The first to fourth number of a box's place. */
  placeOf(box: number, place: number): number;
  bestOf(box: number): readonly [score: number, index: number];
  /** Undefined where only the numbers tell. */
  readonly areCorners: boolean | undefined;
  /** Whether doubles were left out already. */
  readonly isChosen: boolean;
}

function joinedNumbers({ form, boxes, classes }: JoinedLayout, values: OutputData): BoxNumbers {
  const isColumns = form === "columns";
  const each = values.length / boxes;
  const numberOf = (box: number, place: number): number =>
    known(values[isColumns ? place * boxes + box : box * each + place]);
  const isWhole = (place: number): boolean => {
    for (let box = 0; box < boxes; box++) if (!Number.isInteger(numberOf(box, place))) return false;
    return true;
  };
  // Six numbers may also be those of one class with its box's certainty, or of two classes; but classes are whole numbers.
  const isPlain = form === "plain" || (form === "chosen" && classes === 2 && !isWhole(CHOSEN - 1));
  const isChosen =
    !isPlain && (form === "chosen" || (form === "rows" && classes === 1 && isWhole(CHOSEN - 1)));
  if (isChosen) {
    const bestOf = (box: number) => [numberOf(box, CORNERS), numberOf(box, CORNERS + 1)] as const;
    return { placeOf: numberOf, bestOf, areCorners: true, isChosen };
  }
  const hasCertainty = form === "rows";
  const first = CORNERS + (hasCertainty ? 1 : 0);
  const bestOf = (box: number): readonly [number, number] => {
    const [score, index] = largestOf(classes, (at) => numberOf(box, first + at));
    return [hasCertainty ? score * numberOf(box, CORNERS) : score, index];
  };
  return { placeOf: numberOf, bestOf, areCorners: isPlain ? undefined : false, isChosen };
}

/** @throws TypeError if the scores are no probabilities */
function pairNumbers(
  { places, marks, boxes, classes, scores, isTurned }: PairLayout,
  valuesOf: (name: string) => OutputData,
): BoxNumbers {
  const [coordinates, probabilities] = [valuesOf(places), valuesOf(marks)];
  const scoreOf = (box: number, at: number): number =>
    known(probabilities[isTurned ? at * boxes + box : box * scores + at]);
  expectProbabilities(marks, probabilities);
  const first = scores > classes && isFirstBackground(boxes, scores, scoreOf) ? 1 : 0;
  return {
    placeOf: (box, place) => known(coordinates[box * CORNERS + place]),
    bestOf: (box) => largestOf(classes, (at) => scoreOf(box, first + at)),
    areCorners: undefined,
    isChosen: false,
  };
}

/** Most of a picture is background, so its score is the larger one: that of the first class, or of the last. */
function isFirstBackground(
  boxes: number,
  scores: number,
  scoreOf: (box: number, at: number) => number,
): boolean {
  let lead = 0;
  for (let box = 0; box < boxes; box++) lead += scoreOf(box, 0) - scoreOf(box, scores - 1);
  return lead > 0;
}

function expectProbabilities(name: string, values: OutputData): void {
  let [least, most] = [0, 1];
  for (const value of values) {
    if (value < least) least = Number(value);
    if (value > most) most = Number(value);
  }
  if (least >= -TOLERANCE && most <= 1 + TOLERANCE) return;
  throw new TypeError(
    `findBoxes: the scores in output "${name}" are no probabilities: expected 0 to 1, found ${least.toPrecision(3)} to ${most.toPrecision(3)}. Export the model with the sigmoid or softmax behind them, or do it yourself. ${YOURSELF}`,
  );
}

/** Of roundings. */
const TOLERANCE = 1e-3;

function largestOf(
  classes: number,
  scoreOf: (index: number) => number,
): readonly [score: number, index: number] {
  let [best, index] = [Number.NEGATIVE_INFINITY, 0];
  for (let each = 0; each < classes; each++) {
    const score = scoreOf(each);
    if (score > best) [best, index] = [score, each];
  }
  return [best, index];
}

/** The boxes with at least that score, in pixels of the model's input. @throws TypeError if their sizes cannot be any */
function likelyBoxes(
  numbers: BoxNumbers,
  boxes: number,
  leastScore: number,
  frame: Extent,
): readonly FoundBox[] {
  const { placeOf: numberOf, bestOf } = numbers;
  let [largest, areOrdered, negative] = [0, true, 0];
  for (let box = 0; box < boxes; box++) {
    const [x, y, z, w] = [numberOf(box, 0), numberOf(box, 1), numberOf(box, 2), numberOf(box, 3)];
    largest = Math.max(largest, x, y, z, w);
    areOrdered &&= z >= x && w >= y;
    if (z < 0 || w < 0) negative += 1;
  }
  // Of boxes all over a picture some are smaller than they are far from its corner.
  const areCorners = numbers.areCorners ?? areOrdered;
  if (numbers.areCorners === undefined && !areCorners && negative > boxes * MOST_NEGATIVE) {
    throw new TypeError(
      `findBoxes: ${negative} of ${boxes} boxes have negative sizes: expected centres and sizes, or corners, found what is not decoded yet. ${YOURSELF}`,
    );
  }
  // A box within two pixels is none: such numbers are shares of the model's sides.
  const [across, down] = largest > 2 ? [1, 1] : [frame.width, frame.height];
  const found: FoundBox[] = [];
  for (let box = 0; box < boxes; box++) {
    const [score, index] = bestOf(box);
    if (!(score >= leastScore)) continue;
    const [x, y] = [numberOf(box, 0) * across, numberOf(box, 1) * down];
    const [z, w] = [numberOf(box, 2) * across, numberOf(box, 3) * down];
    const place = areCorners
      ? { left: x, top: y, width: z - x, height: w - y }
      : { left: x - z / 2, top: y - w / 2, width: z, height: w };
    found.push({ index, score, ...place });
  }
  return found;
}

/** A network may be wrong about a few. */
const MOST_NEGATIVE = 0.05;

function withoutDoubles(likely: readonly FoundBox[], mostOverlap: number): readonly FoundBox[] {
  const kept: FoundBox[] = [];
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
  { index, score, ...box }: FoundBox,
  placing: Placing,
  picture: Extent,
): FoundBox | undefined {
  const across = (x: number): number => within((x - placing.left) / placing.across, picture.width);
  const down = (y: number): number => within((y - placing.top) / placing.down, picture.height);
  const [left, top] = [across(box.left), down(box.top)];
  const [width, height] = [across(box.left + box.width) - left, down(box.top + box.height) - top];
  return width > 0 && height > 0 ? { index, score, left, top, width, height } : undefined;
}

const within = (value: number, most: number): number => Math.min(Math.max(value, 0), most);
