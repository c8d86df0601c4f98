import { int, ints } from "../../src/graph/attributes.js";
import { CLASS_NAMES_KEY, PREPROCESSING_KEY } from "../../src/graph/image_metadata.js";
import { float32Tensor, int64Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { node, smallGraph } from "../../support/small_models.js";
import { shares } from "./example.js";

const SIZE = 64;
const CELL = 8;
const CELLS = SIZE / CELL;

/** Centre, width and height of every cell's box, in pixels of the model: [1, 4, CELLS * CELLS]. */
function boxes(): readonly number[] {
  const cells = Array.from({ length: CELLS * CELLS }, (_, index) => index);
  return [
    ...cells.map((cell) => (cell % CELLS) * CELL + CELL / 2),
    ...cells.map((cell) => Math.floor(cell / CELLS) * CELL + CELL / 2),
    ...cells.map(() => CELL),
    ...cells.map(() => CELL),
  ];
}

/**
 * A detector with an output as YOLO's since version 8 have it, [1, 4 + classes, boxes]: a box for each cell of 8 pixels, its
 * score the mean of red in it. A letterbox is how it takes pictures.
 */
export function redSquareDetector(): Graph {
  const graph = smallGraph(
    [1, 3, SIZE, SIZE],
    [
      node("AveragePool", ["x"], "means", { kernel_shape: ints([CELL, CELL]), strides: ints([CELL, CELL]) }),
      node("Slice", ["means", "zero", "one", "one"], "red"),
      node("Reshape", ["red", "rows"], "scores"),
      node("Concat", ["boxes", "scores"], "y", { axis: int(1) }),
    ],
    {
      zero: int64Tensor([1], [0]),
      one: int64Tensor([1], [1]),
      rows: int64Tensor([3], [1, 1, CELLS * CELLS]),
      boxes: float32Tensor([1, 4, CELLS * CELLS], boxes()),
    },
  );
  const preprocessing = { ...shares, resize: "letterbox", pad: [0, 0, 0] };
  return {
    ...graph,
    metadata: new Map([
      [CLASS_NAMES_KEY, JSON.stringify(["square"])],
      [PREPROCESSING_KEY, JSON.stringify(preprocessing)],
    ]),
  };
}
