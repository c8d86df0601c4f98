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
import type { Index, Kernel, Lanes, Pointer, Value } from "../loops.js";
import { destination, type Epilogue, ended, finish } from "./epilogue.js";
import { blockParts, overBlocks, toldNumber } from "./output_blocks.js";
import { spreadOverCache } from "./pad.js";
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

/** Rows of a transform that share sums, and what they are of a column of values. */
interface RowGroup {
  readonly rows: readonly number[];
  of(k: KernelBuilder, lanes: Lanes, term: (index: number) => Value): readonly Value[];
}

/** Opposite nodes stand beside each other, between 0 and infinity. */
const PAIRS = [1, 3] as const;

/** Of a matrix whose rows belong to nodes: those of opposite ones have the same even part, and opposite odd parts. */
function byRows(matrix: Matrix): readonly RowGroup[] {
  const single = (row: number): RowGroup => ({
    rows: [row],
    of: (_, __, term) => [combined(at(matrix, row), term)],
  });
  const pairs = PAIRS.map((row): RowGroup => {
    const part = (parity: number): readonly number[] =>
      at(matrix, row).map((factor, index) => (index % 2 === parity ? factor : 0));
    return {
      rows: [row, row + 1],
      of: (k, lanes, term) => {
        const [even, odd] = [part(0), part(1)].map(
          (factors) => k.value("part", lanes, combined(factors, term)).read,
        );
        if (even === undefined || odd === undefined) return [];
        return [binary("add", even, odd), binary("subtract", even, odd)];
      },
    };
  });
  return [single(0), ...pairs, single(matrix.length - 1)];
}

/** Of a matrix whose columns belong to nodes, row by row their powers: even ones need sums of opposite nodes' values. */
function byColumns(matrix: Matrix): readonly RowGroup[] {
  const [first, last] = [0, SPAN - 1];
  return [0, 1].map((parity) => {
    const rows = matrix.flatMap((_, row) => (row % 2 === parity ? [row] : []));
    return {
      rows,
      of: (k, lanes, term) => {
        const joined = PAIRS.map((index) => {
          const both = binary(parity === 0 ? "add" : "subtract", term(index), term(index + 1));
          return k.value("both", lanes, both).read;
        });
        return rows.map((row) => {
          const factors = [first, ...PAIRS, last].map((index) => at(at(matrix, row), index));
          const terms = [() => term(first), ...joined.map((value) => () => value), () => term(last)];
          return combined(factors, (index) => at(terms, index)());
        });
      },
    };
  });
}

const toInputPoints = byRows(inputMatrix);
const toWeightPoints = byRows(weightMatrix);
const toOutputs = byColumns(outputMatrix);

/**
 * M v Mᵀ of a matrix and values that are read column by column.
 * @param columns how many columns v has
 * @param read the value in a row and column of v
 * @param write gets the value in a row and column of the result
 */
function transformed(
  k: KernelBuilder,
  lanes: Lanes,
  { groups, columns }: { readonly groups: readonly RowGroup[]; readonly columns: number },
  read: (row: number, column: number) => Value,
  write: (row: number, column: number, value: Value) => void,
): void {
  for (const { rows, of } of groups) {
    const halves = Array.from({ length: columns }, (_, column) =>
      of(k, lanes, (row) => read(row, column)).map((value) => k.value("half", lanes, value).read),
    );
    rows.forEach((y, place) => {
      for (const group of groups) {
        const made = group.of(k, lanes, (column) => at(at(halves, column), place));
        group.rows.forEach((x, index) => {
          write(y, x, at(made, index));
        });
      }
    });
  }
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

/** The numbers that `dealTapsOnce` is told, so that layers of all sizes share it. */
export const dealtShape = (inputs: number, outputs: number, block: number, distance: number): Int32Array =>
  Int32Array.of(inputs, distance, ...blockParts(outputs, block));

/** `dealTaps` for once. Parameters: a shape as `dealtShape` makes it, packed weights, taps. */
export function dealTapsOnce(): Kernel {
  const k = new KernelBuilder("deal_taps_once", "Kernels of 3 x 3, tap by tap.");
  const shape = k.input("shape", "i32");
  const weights = k.input("weights");
  const taps = k.output("taps");
  const [inputs, distance] = [toldNumber(k, shape, 0), toldNumber(k, shape, 1)];
  overBlocks(k, shape, 2, (first, width) =>
    k.loop("input", 0, inputs, 1, (input) => {
      const kernel = k.index("kernel", plus(times(first, inputs), times(input, width))).read;
      k.loop("tap", 0, TAPS, 1, (tap) => {
        const from = k.index("from", plus(times(kernel, TAPS), times(tap, width))).read;
        const to = k.index("to", plus(kernel, times(tap, distance))).read;
        k.loop("output", 0, width, 1, (output) => {
          k.store("scalar", taps, plus(to, output), load(weights, plus(from, output)));
        });
      });
    }),
  );
  return k.build();
}

/**
 * The distance from one tap's, or one point's, weights to the next's, in elements: room for whole vectors.
 * @param width lanes of a vector
 */
export const weightsDistance = (kernels: number, width: number): number =>
  spreadOverCache(Math.ceil(kernels / width) * width);

/**
 * G g Gᵀ of all kernels: from [9, kernels] to [36, kernels], vector by vector, up to the end of the last one.
 * Parameters: taps, transformed weights.
 */
export function winogradWeights(kernels: number, width: number): Kernel {
  const k = new KernelBuilder("winograd_weights", `${kernels} kernels of 3 x 3 to ${POINTS} points.`);
  const [taps, points] = [k.input("taps"), k.output("points")];
  transformKernels(k, width, { taps, points, kernels, distance: weightsDistance(kernels, width) });
  return k.build();
}

/** The numbers that `winogradWeightsOnce` is told, so that layers of all sizes share it. */
export const transformShape = (kernels: number, width: number): Int32Array =>
  Int32Array.of(kernels, weightsDistance(kernels, width));

/** `winogradWeights` for once. Parameters: a shape as `transformShape` makes it, taps, transformed weights. */
export function winogradWeightsOnce(width: number): Kernel {
  const k = new KernelBuilder("winograd_weights_once", `Kernels of 3 x 3 to ${POINTS} points.`);
  const shape = k.input("shape", "i32");
  const [taps, points] = [k.input("taps"), k.output("points")];
  const [kernels, distance] = [toldNumber(k, shape, 0), toldNumber(k, shape, 1)];
  transformKernels(k, width, { taps, points, kernels, distance });
  return k.build();
}

interface KernelTransform {
  readonly taps: Pointer;
  readonly points: Pointer;
  readonly kernels: Index;
  readonly distance: Index;
}

function transformKernels(
  k: KernelBuilder,
  width: number,
  { taps, points, kernels, distance }: KernelTransform,
): void {
  k.loop("i", 0, kernels, width, (i) =>
    transformed(
      k,
      "vector",
      { groups: toWeightPoints, columns: 3 },
      (row, column) => load(taps, plus(times(distance, row * 3 + column), i)),
      (y, x, value) => k.store("vector", points, plus(times(distance, y * SPAN + x), i), value),
    ),
  );
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
        { groups: toInputPoints, columns: SPAN },
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
        { groups: toOutputs, columns: SPAN },
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
