import { at, orDefault } from "../../graph/at.js";
import {
  binary,
  broadcast,
  constant,
  KernelBuilder,
  load,
  multiplyAdd,
  plus,
  times,
} from "../kernel_builder.js";
import type { Index, Kernel, Lanes, Value } from "../loops.js";
import { destination, type Epilogue, ended, finish } from "./epilogue.js";
import { overPixelBlocks } from "./pixel_blocks.js";

/**
 * Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2016, section 4.3): Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A makes 4x4
 * outputs of a 3x3 kernel g and 6x6 inputs d with 36 products instead of 144. Each of the 36 points is a matrix product
 * of its own, over channels, for all tiles.
 */
export const TILE = 4;
const SPAN = TILE + 2;
export const TAPS = 9;
export const POINTS = SPAN * SPAN;

type Matrix = readonly (readonly number[])[];

/**
 * Where the polynomials behind the filtering are evaluated, besides at infinity. With these, whose powers are exact,
 * float32 rounds 1.6 times as far as sums of products do; with the usual 0, 1, -1, 2, -2 six times.
 */
const nodes = [0, 3 / 4, -3 / 4, 3 / 2, -3 / 2];

/** Coefficients of the product of x - root, the lowest first. */
function polynomial(roots: readonly number[]): readonly number[] {
  return roots.reduce<readonly number[]>(
    (product, root) =>
      Array.from(
        { length: product.length + 1 },
        (_, power) =>
          (power === 0 ? 0 : at(product, power - 1)) -
          (power < product.length ? root * at(product, power) : 0),
      ),
    [1],
  );
}

const others = (node: number): readonly number[] => nodes.filter((other) => other !== node);
const powers = (node: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, power) => node ** power);

const inputMatrix: Matrix = [...nodes.map((node) => [...polynomial(others(node)), 0]), polynomial(nodes)];

const weightMatrix: Matrix = [
  ...nodes.map((node) => {
    const scale = others(node).reduce((product, other) => product * (node - other), 1);
    return powers(node, 3).map((power) => power / scale);
  }),
  [0, 0, 1],
];

const outputMatrix: Matrix = Array.from({ length: TILE }, (_, power) => [
  ...nodes.map((node) => node ** power),
  power === TILE - 1 ? 1 : 0,
]);

/** How the tiles of an image lie. */
export interface TileGrid {
  readonly rows: number;
  readonly columns: number;
}

/** Distances in planes whose columns are dealt to `TILE` segments, in elements: see `paddedLayout`. */
export interface DealtPlanes {
  readonly channels: number;
  readonly segment: number;
  readonly row: number;
  readonly plane: number;
}

/** A row of a matrix times values, without the terms that are 0. */
function combined(factors: readonly number[], term: (index: number) => Value): Value {
  let sum: Value | undefined;
  factors.forEach((factor, index) => {
    if (factor === 0) return;
    const value = term(index);
    if (sum === undefined) sum = factor === 1 ? value : binary("multiply", value, constant(factor));
    else if (factor === 1) sum = binary("add", sum, value);
    else if (factor === -1) sum = binary("subtract", sum, value);
    else sum = multiplyAdd(value, constant(factor), sum);
  });
  return orDefault<Value>(sum, constant(0));
}

/**
 * M v Mᵀ of a matrix and values that are read column by column.
 * @param columns how many columns v has
 * @param read the value in a row and column of v
 * @param write gets the value in a row and column of the result
 */
function transformed(
  k: KernelBuilder,
  lanes: Lanes,
  { matrix, columns }: { readonly matrix: Matrix; readonly columns: number },
  read: (row: number, column: number) => Value,
  write: (row: number, column: number, value: Value) => void,
): void {
  matrix.forEach((factors, y) => {
    const half = Array.from({ length: columns }, (_, column) => {
      const value = combined(factors, (row) => read(row, column));
      return k.value("half", lanes, value).read;
    });
    matrix.forEach((across, x) => {
      write(
        y,
        x,
        combined(across, (column) => at(half, column)),
      );
    });
  });
}

/**
 * Deals weights that are packed for the dense kernel, by blocks of outputs [inputs, 9, block], to taps [9, kernels].
 * Parameters: packed weights, taps.
 * @param distance from one tap to the next, in elements
 */
export function dealTaps(inputs: number, outputs: number, block: number, distance: number): Kernel {
  const k = new KernelBuilder("deal_taps", `${inputs * outputs} kernels of 3 x 3, tap by tap.`);
  const weights = k.input("weights");
  const taps = k.output("taps");
  const whole = outputs - (outputs % block);
  const dealBlock = (first: Index, count: number): void =>
    k.loop("input", 0, inputs, 1, (input) => {
      const kernel = k.index("kernel", plus(times(first, inputs), times(input, count))).read;
      const from = k.index("from", times(kernel, TAPS)).read;
      for (let tap = 0; tap < TAPS; tap++)
        for (let output = 0; output < count; output++)
          k.store(
            "scalar",
            taps,
            plus(kernel, tap * distance + output),
            load(weights, plus(from, tap * count + output)),
          );
    });
  k.loop("output", 0, whole, block, (first) => dealBlock(first, block));
  if (whole < outputs) dealBlock(whole, outputs - whole);
  return k.build();
}

/**
 * G g Gᵀ of all kernels: from [9, kernels] to [36, kernels].
 * Parameters: taps, transformed weights.
 * @param distance from one tap's, or one point's, weights to the next's, in elements
 */
export function winogradWeights(kernels: number, distance: number, width: number): Kernel {
  const k = new KernelBuilder("winograd_weights", `${kernels} kernels of 3 x 3 to ${POINTS} points.`);
  const taps = k.input("taps");
  const points = k.output("points");
  k.overElements(kernels, width, (lanes, i) => {
    transformed(
      k,
      lanes,
      { matrix: weightMatrix, columns: 3 },
      (row, column) => load(taps, plus((row * 3 + column) * distance, i)),
      (y, x, value) => k.store(lanes, points, plus((y * SPAN + x) * distance, i), value),
    );
  });
  return k.build();
}

/**
 * Bᵀ d B of all tiles: from dealt planes to [36, channels, tiles].
 * Parameters: input planes, points.
 * @param distance from one point to the next, in elements
 */
export function winogradInput(
  { channels, segment, row, plane }: DealtPlanes,
  tiles: TileGrid,
  distance: number,
  width: number,
): Kernel {
  const k = new KernelBuilder(
    `winograd_input_${channels}`,
    `${tiles.rows} x ${tiles.columns} tiles of ${channels} planes to ${POINTS} points.`,
  );
  const input = k.input("input");
  const points = k.output("points");
  const count = tiles.rows * tiles.columns;
  const grid = { ...tiles, inputRow: TILE * row, outputRow: tiles.columns };
  const columnAt = (x: number): number => (x % TILE) * segment + Math.floor(x / TILE);
  k.loop("channel", 0, channels, 1, (channel) => {
    overPixelBlocks(k, grid, width, { rows: 1, vectors: 1 }, (from, to, [cell]) => {
      if (cell === undefined) return;
      const origin = k.index("origin", plus(times(channel, plane), from, cell.input)).read;
      const place = k.index("place", plus(times(channel, count), to, cell.output)).read;
      transformed(
        k,
        "vector",
        { matrix: inputMatrix, columns: SPAN },
        (down, x) => load(input, plus(origin, down * row + columnAt(x))),
        (y, x, value) => k.store("vector", points, plus(place, (y * SPAN + x) * distance), value, cell.count),
      );
    });
  });
  return k.build();
}

/**
 * Aᵀ m A of all tiles with the bias: from [36, channels, tiles] to dealt planes without borders.
 * Parameters: points, bias [channels], dealt planes.
 * @param distance from one point to the next, in elements
 */
export function winogradOutput(
  { channels, segment, row, plane }: DealtPlanes,
  tiles: TileGrid,
  distance: number,
  width: number,
): Kernel {
  const k = new KernelBuilder(
    `winograd_output_${channels}`,
    `${POINTS} points to ${tiles.rows} x ${tiles.columns} tiles of ${channels} planes.`,
  );
  const points = k.input("points");
  const bias = k.input("bias");
  const output = k.output("output");
  const count = tiles.rows * tiles.columns;
  const grid = { ...tiles, inputRow: tiles.columns, outputRow: TILE * row };
  k.loop("channel", 0, channels, 1, (channel) => {
    const shift = k.value("shift", "vector", broadcast(bias, channel)).read;
    overPixelBlocks(k, grid, width, { rows: 1, vectors: 1 }, (from, to, [cell]) => {
      if (cell === undefined) return;
      const origin = k.index("origin", plus(times(channel, count), from, cell.input)).read;
      const place = k.index("place", plus(times(channel, plane), to, cell.output)).read;
      transformed(
        k,
        "vector",
        { matrix: outputMatrix, columns: SPAN },
        (down, x) => load(points, plus(origin, (down * SPAN + x) * distance)),
        (y, x, value) =>
          k.store(
            "vector",
            output,
            plus(place, y * row + x * segment),
            binary("add", value, shift),
            cell.count,
          ),
      );
    });
  });
  return k.build();
}

/** What of dealt rows is gathered to rows of an output. */
export interface GatheredRows {
  readonly channels: number;
  readonly rows: number;
  readonly columns: number;
  /** Distance of the output's planes. */
  readonly plane: number;
}

/**
 * Puts the segments of dealt rows together, with what follows the convolution.
 * Parameters: dealt planes, the epilogue's sides, output planes.
 */
export function gatherTiles(
  dealt: DealtPlanes,
  { channels, rows, columns, plane }: GatheredRows,
  epilogue: Epilogue,
  width: number,
): Kernel {
  const k = new KernelBuilder(
    `gather_${rows}x${columns}${epilogue.name}`,
    `${channels} planes of ${rows} x ${columns} out of rows dealt to ${TILE} segments.`,
  );
  const input = k.input("input");
  const ending = destination(k, epilogue);
  const whole = columns - (columns % TILE);
  k.loop("channel", 0, channels, 1, (channel) => {
    k.loop("row", 0, rows, 1, (row) => {
      const from = k.index("from", plus(times(channel, dealt.plane), times(row, dealt.row))).read;
      const to = k.index("to", plus(times(channel, plane), times(row, columns))).read;
      const move = (tile: Index, first: Index, count: number): void => {
        for (let x = 0; x < count; x++) {
          const place = plus(to, first, x);
          const value = load(input, plus(from, x * dealt.segment, tile));
          k.store("scalar", ending.output, place, ended({ k, lanes: "scalar" }, ending, place, value));
        }
      };
      k.loop("tile", 0, whole / TILE, 1, (tile) => move(tile, times(tile, TILE), TILE));
      move(whole / TILE, whole, columns - whole);
    });
    const grid = { rows, columns, outputRow: columns };
    finish(k, ending, times(channel, plane), { count: 1, distance: plane, grid }, width);
  });
  return k.build();
}
