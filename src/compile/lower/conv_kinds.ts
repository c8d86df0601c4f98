import { present } from "../../graph/at.js";
import { countNonZeros } from "../../graph/tensor.js";
import { largestDivisor } from "../../ops/core/dims.js";
import { type ConvWork, fastestKind } from "../cost_model.js";
import { channelConvKernel } from "../kernels/channel_conv.js";
import { denseBlocking } from "../kernels/dense_blocking.js";
import { denseConvKernel, type TapConvolution } from "../kernels/dense_conv.js";
import { noEpilogue } from "../kernels/epilogue.js";
import { type PaddedPlanes, paddedLayout, spreadOverCache } from "../kernels/pad.js";
import type { PixelGrid } from "../kernels/pixel_blocks.js";
import {
  findNonZeros,
  inParts,
  POSITIONS_AT_ONCE,
  sparseConvKernel,
  sparseParts,
} from "../kernels/sparse_conv.js";
import { tapTables } from "../kernels/taps.js";
import type { Location } from "../program.js";
import { behind } from "../program_builder.js";
import type { ConvFactors, LoweringContext } from "./definition.js";
import { type DenseKernels, denseWeights } from "./dense_weights.js";

/**
 * Calls the kernels of a convolution, or of one of its groups, for one image. Made once for all images, as kernels are.
 * @param ends the epilogue's sides, and the output
 */
export type Convolve = (input: Location, ends: readonly Location[]) => void;

/** The weights [K, C, taps] of a convolution, or of one of its groups. */
export interface ConvWeights extends DenseKernels {
  readonly bias: Float32Array;
}

/** The same with what it costs in each form, which takes a pass over its weights. */
export interface CountedWeights extends ConvWeights {
  readonly work: ConvWork;
}

export function workOf({ weights, factors }: ConvWeights, inputs: number): ConvWork {
  return {
    dense: weights.length,
    nonZeros: countNonZeros(weights),
    factored: factors && {
      basis: inputs * factors.d * factors.taps,
      nonZeros: countNonZeros(factors.coefs),
    },
  };
}

/** Whichever kind is fastest, of one group. */
export function groupConvolution(
  context: LoweringContext,
  conv: TapConvolution,
  part: CountedWeights,
): Convolve {
  const { factors } = part;
  const kind = fastestKind(part.work, context.rates);
  if (kind === "factored" && factors !== undefined) {
    return factoredConvolution(context, conv, factors, part.bias);
  }
  if (kind === "sparse") return sparseConvolution(context, conv, part.weights, part.bias);
  return denseConvolution(context, conv, part);
}

function denseConvolution(context: LoweringContext, conv: TapConvolution, part: ConvWeights): Convolve {
  const { weights, bias } = part;
  const known = context.packedBlocks(weights);
  const tile = tileGrid(conv);
  const tiled = { ...conv, grid: tile };
  const blocking = denseBlocking(tiled, context, known);
  known.add(blocking.outputs);
  const tables = [
    denseWeights(context, conv, blocking, part),
    ...[...tapTables(conv.taps), bias].map((table) => context.weights(table)),
  ];
  const down = conv.grid.rows / tile.rows;
  const across = conv.grid.columns / tile.columns;
  const kernel = denseConvKernel(tiled, blocking, context.width, {
    count: down * across,
    weights: 0,
    inputs: down > 1 ? tile.rows * tile.inputRow : tile.columns,
    outputs: down > 1 ? tile.rows * tile.outputRow : tile.columns,
    bias: true,
  });
  const products = weights.length * conv.grid.rows * conv.grid.columns;
  return (input, ends) => context.call(kernel, [input, ...tables, ...ends], products);
}

/** Bytes of input that stay in a core's own cache while all output channels are made of them. */
const TILE_BYTES = 192 * 1024;

/** A tile of fewer positions would cost more in the borders of blocks than the nearer memory saves. */
const FEWEST_POSITIONS = 64;

/**
 * Equal parts of the output's positions, whose input all output channels read before the next part's: rows, or pieces
 * of one long row. The whole grid where its input is small, or is read fewer times than the weights would be.
 */
function tileGrid({ inputs, outputs, taps, grid }: TapConvolution): PixelGrid {
  const rowBytes = inputs * grid.inputRow * Float32Array.BYTES_PER_ELEMENT;
  const inputBytes = grid.rows * rowBytes;
  const weightBytes = inputs * outputs * taps.length * Float32Array.BYTES_PER_ELEMENT;
  if (inputBytes <= 2 * TILE_BYTES || weightBytes > TILE_BYTES) return grid;
  if (grid.rows > 1) return { ...grid, rows: largestDivisor(grid.rows, Math.floor(TILE_BYTES / rowBytes)) };
  const columns = largestDivisor(
    grid.columns,
    Math.floor(TILE_BYTES / (inputs * Float32Array.BYTES_PER_ELEMENT)),
  );
  return columns < FEWEST_POSITIONS ? grid : { ...grid, columns };
}

function sparseConvolution(
  context: LoweringContext,
  conv: TapConvolution,
  weights: Float32Array,
  bias: Float32Array,
  maps = 1,
): Convolve {
  const parts = sparseParts(conv, maps, context.width);
  const part = { ...conv, inputs: conv.inputs / parts, outputs: conv.outputs * parts };
  const nonZeros = findNonZeros(inParts(weights, conv, parts), part);
  const { inputs, inputPlane: plane, taps } = part;
  const counts = context.weights(nonZeros.counts);
  const tables = [
    counts,
    context.weights(nonZeros.steps, { kind: "steps", counts, inputs, maps, plane, taps }),
    context.weights(nonZeros.values, { kind: "runs", counts }),
    context.weights(bias),
  ];
  const kernel = sparseConvKernel(conv, nonZeros, parts, context);
  const products = nonZeros.values.length * conv.grid.rows * conv.grid.columns;
  return (input, ends) => context.call(kernel, [input, ...tables, ...ends], products);
}

/** The basis convolution, every input plane to d maps, then the sparse product with the coefficients. */
function factoredConvolution(
  context: LoweringContext,
  conv: TapConvolution,
  { coefs, basis, d, taps }: ConvFactors,
  bias: Float32Array,
): Convolve {
  const { rows, columns, inputRow } = conv.grid;
  const tileRows = rowsOfTiles(conv.grid, conv.inputs * d, context.width);
  const pixels = tileRows * columns;
  const mapPlane = spreadOverCache(pixels);
  const basisConv = channelConvKernel(
    {
      channels: conv.inputs,
      maps: d,
      taps: conv.taps,
      inputPlane: conv.inputPlane,
      outputPlane: mapPlane,
      grid: { ...conv.grid, rows: tileRows },
      shared: true,
      bias: false,
      epilogue: noEpilogue,
    },
    context.width,
  );
  const byTap = Float32Array.from({ length: taps * d }, (_, i) =>
    present(basis[(i % d) * taps + Math.floor(i / d)]),
  );
  const basisWeights = [
    context.weights(byTap, { kind: "blocks", outputs: d, block: d }),
    ...tapTables(conv.taps).map((table) => context.weights(table)),
  ];
  const pointwise: TapConvolution = {
    ...conv,
    inputs: conv.inputs * d,
    taps: [0],
    inputPlane: mapPlane,
    grid: { rows: 1, columns: pixels, inputRow: pixels, outputRow: pixels },
  };
  const product = sparseConvolution(context, pointwise, coefs, bias, d);
  return (input, ends) => {
    const maps = context.scratch(conv.inputs * d * mapPlane);
    for (let row = 0; row < rows; row += tileRows) {
      const tile = behind(input, row * inputRow);
      context.call(basisConv, [tile, ...basisWeights, maps], conv.inputs * d * taps * pixels);
      const ownEnds = ends.map((end) => behind(end, row * columns));
      product(maps, ownEnds);
    }
  };
}

/** Elements of the maps between the two stages that are worked on at once: best so many, so that they stay in a near cache. */
const TILE_ELEMENTS = 49152;
/** More than that cost so much more, and more than these are never taken. */
const FAR_COST = 1.15;
const MOST_TILE_ELEMENTS = 2 ** 17;

/** What a block of positions costs beside its vectors, in vectors: finding a weight and the place where it is used. */
const BLOCK_COST = 1.5;

/**
 * Rows of all tiles, alike, for which vectors and blocks of positions have the fewest lanes without work: maps of 7x7, row by
 * row, took three times as long.
 */
function rowsOfTiles({ rows, columns }: PixelGrid, maps: number, width: number): number {
  const costOf = (tileRows: number): number => {
    const positions = tileRows * columns;
    const vectors = Math.ceil(positions / width);
    const blocks = Math.ceil(vectors / POSITIONS_AT_ONCE);
    const cost = (vectors + BLOCK_COST * blocks) / positions;
    return positions * maps > TILE_ELEMENTS ? cost * FAR_COST : cost;
  };
  return divisorsOf(rows)
    .filter((tileRows) => tileRows === 1 || tileRows * columns * maps <= MOST_TILE_ELEMENTS)
    .reduce((best, tileRows) => (costOf(tileRows) <= costOf(best) ? tileRows : best));
}

const divisorsOf = (count: number): readonly number[] =>
  Array.from({ length: count }, (_, index) => index + 1).filter((divisor) => count % divisor === 0);

/** A depthwise convolution, perhaps with a multiplier. */
export function depthwiseConvolution(
  context: LoweringContext,
  { weights, bias }: ConvWeights,
  conv: TapConvolution,
  channels: number,
  padding: PaddedPlanes | undefined,
): Convolve {
  const taps = conv.taps.length;
  const maps = conv.outputs;
  const shared = repeats(weights, maps * taps);
  const borders = padding && { padding };
  const kernel = channelConvKernel(
    { ...conv, ...borders, channels, maps, shared, bias: true },
    context.width,
  );
  // From [channels, maps, taps] to [channels, taps, maps].
  const packed = Float32Array.from({ length: shared ? maps * taps : weights.length }, (_, i) => {
    const channel = Math.floor(i / (taps * maps));
    const tap = Math.floor(i / maps) % taps;
    return present(weights[(channel * maps + (i % maps)) * taps + tap]);
  });
  const outputs = packed.length / taps;
  const tables = [
    context.weights(packed, { kind: "blocks", outputs, block: maps }),
    ...[...tapTables(conv.taps), bias].map((table) => context.weights(table)),
  ];
  const macs = weights.length * conv.outputPlane;
  return (input, ends) => {
    const padded = padding === undefined ? [] : [context.scratch(paddedLayout(padding).plane)];
    context.call(kernel, [input, ...padded, ...tables, ...ends], macs);
  };
}

/** Whether all channels have the same kernels, as in a factored layer that was written out. */
function repeats(weights: Float32Array, perChannel: number): boolean {
  return weights.every((value, at) => value === weights[at % perChannel]);
}
