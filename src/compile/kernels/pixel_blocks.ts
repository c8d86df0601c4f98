import type { KernelBuilder } from "../kernel_builder.js";
import { plus, times } from "../kernel_builder.js";
import type { Index } from "../loops.js";

/** How the output positions of a convolution lie in its input and output, all in elements. */
export interface PixelGrid {
  readonly rows: number;
  readonly columns: number;
  /** Distance in the input of two output rows. Neighbouring columns are neighbours. */
  readonly inputRow: number;
  readonly outputRow: number;
}

/** One vector of neighbouring output positions, relative to its block. */
export interface Cell {
  readonly input: number;
  readonly output: number;
  /** Lanes to be stored where the row is narrower than a vector. */
  readonly count: number | undefined;
}

export interface BlockShape {
  readonly rows: number;
  readonly vectors: number;
}

/** A grid whose rows follow each other without gaps, in input and output, as one long row. */
export function flattened(grid: PixelGrid): PixelGrid {
  const { rows, columns, inputRow, outputRow } = grid;
  if (inputRow !== columns || outputRow !== columns) return grid;
  const all = rows * columns;
  return { rows: 1, columns: all, inputRow: all, outputRow: all };
}

/** The blocks of at most `most` vectors of which the fewest cover the grid; among these the widest, as even as possible. */
export function blockShape(grid: PixelGrid, width: number, most: number): BlockShape {
  const across = Math.ceil(grid.columns / width);
  let best: BlockShape = { rows: 1, vectors: 1 };
  let fewest = Number.POSITIVE_INFINITY;
  for (let vectors = Math.min(across, most); vectors >= 1; vectors--) {
    const rows = Math.min(grid.rows, Math.floor(most / vectors));
    const count = Math.ceil(grid.rows / rows) * Math.ceil(across / vectors);
    if (count >= fewest) continue;
    fewest = count;
    best = { rows: evenSize(grid.rows, rows), vectors: evenSize(across, vectors) };
  }
  return best;
}

/** The size of the larger parts where `count` is split into parts of at most `most` as evenly as possible. */
function evenSize(count: number, most: number): number {
  return Math.ceil(count / Math.ceil(count / most));
}

/** Equal parts of something, and how many there are: a list of all would be as long as files like. */
export interface Run {
  readonly size: number;
  readonly count: number;
}

/** The sizes in vectors of all blocks that a grid is covered with. */
export function blockSizes(grid: PixelGrid, width: number, shape: BlockShape): readonly Run[] {
  const across = evenParts(Math.ceil(grid.columns / width), shape.vectors);
  return wholeParts(grid.rows, shape.rows).flatMap((rows) =>
    across.map((run) => ({ size: rows.size * run.size, count: rows.count * run.count })),
  );
}

/** As few parts as can be, of at most `most`, that differ by one at most; the larger ones first. */
function evenParts(count: number, most: number): readonly Run[] {
  const parts = Math.ceil(count / most);
  const smaller = Math.floor(count / Math.max(1, parts));
  const larger = count - smaller * parts;
  return [
    { size: smaller + 1, count: larger },
    { size: smaller, count: parts - larger },
  ].filter((run) => run.count > 0);
}

function wholeParts(count: number, size: number): readonly Run[] {
  return [
    { size, count: Math.floor(count / size) },
    { size: count % size, count: 1 },
  ].filter((run) => run.count > 0 && run.size > 0);
}

/**
 * Covers a grid with blocks of vectors. The last vector of a row ends with the row, and may compute some positions a
 * second time; only rows narrower than a vector are stored in part.
 * @param body gets a block's position in input and output, and its vectors
 */
export function overPixelBlocks(
  k: KernelBuilder,
  grid: PixelGrid,
  width: number,
  shape: BlockShape,
  body: (input: Index, output: Index, cells: readonly Cell[]) => void,
): void {
  const overRows = (rows: number, y: Index): void => {
    const inputRow = times(y, grid.inputRow);
    const outputRow = times(y, grid.outputRow);
    const cells = (starts: readonly number[]): readonly Cell[] =>
      Array.from({ length: rows }, (_, row) =>
        starts.map((start) => ({
          input: row * grid.inputRow + start,
          output: row * grid.outputRow + start,
          count: grid.columns < width ? grid.columns : undefined,
        })),
      ).flat();
    const block = (vectors: number, x: Index): void => {
      const starts = Array.from({ length: vectors }, (_, index) => index * width);
      body(plus(inputRow, x), plus(outputRow, x), cells(starts));
    };
    let start = 0;
    for (const { size: vectors, count } of evenParts(Math.ceil(grid.columns / width), shape.vectors)) {
      const end = start + vectors * width * count;
      // The last block of a row that does not end with a vector is moved back.
      const whole = end > grid.columns ? count - 1 : count;
      const step = vectors * width;
      const after = start + whole * step;
      k.loop("x", start, after, step, (x) => block(vectors, x));
      if (whole < count) body(inputRow, outputRow, cells(lastStarts(grid.columns, width, after)));
      start = end;
    }
  };
  const wholeRows = grid.rows - (grid.rows % shape.rows);
  k.loop("y", 0, wholeRows, shape.rows, (y) => overRows(shape.rows, y));
  if (wholeRows < grid.rows) overRows(grid.rows - wholeRows, wholeRows);
}

/** Where the vectors begin that cover the columns from `whole` on. */
function lastStarts(columns: number, width: number, whole: number): readonly number[] {
  const starts: number[] = [];
  for (let start = whole; start < columns; start += width) {
    starts.push(Math.max(0, Math.min(start, columns - width)));
  }
  return starts;
}
