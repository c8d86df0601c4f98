import { present } from "../../graph/at.js";
import { PenniError } from "../../graph/errors.js";
import { countNonZeros, elementCount } from "../../graph/tensor.js";
import { mergeFactors } from "../../layers/decomposition.js";
import { groupCount } from "../../layers/groups.js";
import { largestDivisor } from "../../ops/core/dims.js";
import { convGeometry } from "../../ops/families/conv_geometry.js";
import type { ConvGeometry } from "../../ops/families/conv_gradient.js";
import { type ConvWork, fastestKind } from "../cost_model.js";
import { channelConvKernel } from "../kernels/channel_conv.js";
import {
  denseBlocking,
  denseConvKernel,
  packDenseWeights,
  type TapConvolution,
} from "../kernels/dense_conv.js";
import { noEpilogue } from "../kernels/epilogue.js";
import {
  type PaddedLayout,
  type PaddedPlanes,
  paddedLayout,
  padKernel,
  sharesCacheSet,
  spreadOverCache,
} from "../kernels/pad.js";
import { flattened, type PixelGrid } from "../kernels/pixel_blocks.js";
import { findNonZeros, sparseConvKernel } from "../kernels/sparse_conv.js";
import { tapTables } from "../kernels/taps.js";
import type { Location } from "../program.js";
import { behind } from "../program_builder.js";
import type { ConvFactors, Lower, LoweringContext } from "./definition.js";
import { checkStride, unsupported } from "./errors.js";
import { copyStrided, viewOf } from "./movement.js";
import { fasterTiles, winogradConvolution } from "./winograd.js";

/** How one image of a convolution's input is made ready for kernels that know no borders. */
interface Preparation {
  readonly layout: PaddedLayout;
  /** Borders that kernels which take plane after plane make themselves. */
  readonly padding?: PaddedPlanes;
  prepare(input: Location): Location;
}

/**
 * Calls the kernels of a convolution, or of one of its groups, for one image. Made once for all images, as kernels are.
 * @param ends the residual, if there is one, and the output
 */
type Convolve = (input: Location, ends: readonly Location[]) => void;

/** The weights of a convolution [K, C/groups, taps], and how it is to be computed. */
interface ConvPlan {
  readonly geometry: ConvGeometry;
  readonly weights: Float32Array;
  readonly bias: Float32Array;
  readonly factors: ConvFactors | undefined;
}

/** Convolution over one or two axes with a constant weight, in the form that the cost model finds fastest. */
export const lowerConv: Lower = (context) => {
  const axes = context.inputDims(0).length - 2;
  if (axes > 2) throw unsupported(context, "one or two spatial axes", `${axes}`);
  const geometry = convGeometry(context.node, context.inputDims(0), context.inputDims(1));
  const weights =
    context.convFactors === undefined ? context.constantData(1) : kernelsOf(context.convFactors);
  const bias = context.hasInput(2) ? context.constantData(2) : new Float32Array(geometry.outputChannels);
  if (weights === undefined || bias === undefined) {
    throw new PenniError("unsupported", "the convolution's weight or bias is computed while the model runs", {
      node: context.node.name,
      op: context.node.op,
      expected: "constants",
    });
  }
  const plan: ConvPlan = { geometry, weights, bias, factors: context.convFactors };
  const input = context.read(0);
  const output = context.write();
  const inputSize = geometry.inputChannels * geometry.input[0] * geometry.input[1];
  const outputSize = geometry.outputChannels * geometry.output[0] * geometry.output[1];
  const summand = context.residual && wholeVectors(context, geometry, context.residual);
  const { prepare, convolve } = byTiles(context, plan) ?? bySums(context, plan, input);
  for (let image = 0; image < geometry.batch; image++) {
    const residual = summand === undefined ? [] : [behind(summand, image * outputSize)];
    const planes = prepare(behind(input, image * inputSize));
    convolve(planes, [...residual, behind(output, image * outputSize)]);
  }
};

/** What is made ready for all images at once. */
interface Method extends Pick<Preparation, "prepare"> {
  readonly convolve: Convolve;
}

/** Sums of products at every position. */
function bySums(context: LoweringContext, plan: ConvPlan, input: Location): Method {
  const preparation = isDepthwise(context, plan.geometry)
    ? planeByPlane(context, plan.geometry, input)
    : allPlanes(context, plan.geometry, input);
  return { prepare: preparation.prepare, convolve: convolution(context, plan, preparation) };
}

/** Winograd's filtering, where the weights are dense and it is faster. */
function byTiles(context: LoweringContext, plan: ConvPlan): Method | undefined {
  const { geometry, weights, bias, factors } = plan;
  const division = groupCount(context.node) > 1 ? undefined : fasterTiles(geometry, context);
  if (division === undefined) return undefined;
  const work = workOf({ weights, bias, factors }, geometry.inputChannels);
  if (fastestKind(work, context.rates) !== "dense") return undefined;
  return winogradConvolution(context, division, { geometry, weights, bias });
}

const kernelsOf = ({ coefs, basis, taps }: ConvFactors): Float32Array => mergeFactors(coefs, basis, taps);

/** So many outputs read an input plane often enough for a copy of it to pay. */
const MANY_READS = 16;

/** A residual that may be read vector by vector, copied if the caller owns it and its rows are narrower than that. */
function wholeVectors(context: LoweringContext, geometry: ConvGeometry, residual: Location): Location {
  const { kind } = residual.buffer;
  if ((kind !== "input" && kind !== "output") || geometry.output[1] >= context.width) return residual;
  const dims = [geometry.batch * geometry.outputChannels * geometry.output[0] * geometry.output[1]];
  const copy = context.scratch(elementCount(dims));
  copyStrided(context, dims, viewOf(residual, dims), viewOf(copy, dims));
  return copy;
}

/** Whether each output plane is made of one input plane. */
function isDepthwise({ node }: LoweringContext, { inputChannels }: ConvGeometry): boolean {
  const groups = groupCount(node);
  return groups > 1 && inputChannels === groups;
}

/** Whether kernels may read the input as it is. */
function isReady(context: LoweringContext, geometry: ConvGeometry, input: Location): boolean {
  // What the caller owns must not be read beyond its end, as a vector wider than a row would.
  const isOwn = input.buffer.kind === "value";
  const hasBorders = geometry.pads.some((pad) => pad !== 0);
  return !hasBorders && geometry.strides[1] === 1 && (isOwn || geometry.output[1] >= context.width);
}

function asItIs({ input: [height, width] }: ConvGeometry): Preparation {
  const layout = { segment: width, row: width, plane: height * width };
  return { layout, prepare: (ready) => ready };
}

/** Borders of the input, and strided columns set apart. */
function bordersOf(context: LoweringContext, geometry: ConvGeometry): PaddedPlanes {
  const [height, width] = geometry.input;
  const [top, left, bottom, right] = geometry.pads;
  const [, stride] = geometry.strides;
  checkStride(context, stride);
  return { channels: geometry.inputChannels, height, width, top, bottom, left, right, stride };
}

/** A plane that is read once is copied by the kernel that reads it, and stays in the nearest cache meanwhile. */
function planeByPlane(context: LoweringContext, geometry: ConvGeometry, input: Location): Preparation {
  const padding = bordersOf(context, geometry);
  if (isReady(context, geometry, input)) return asItIs(geometry);
  return { layout: paddedLayout(padding), padding, prepare: (image) => image };
}

/** Copies the input into planes with borders and with strided columns set apart, where there is anything to do. */
function allPlanes(context: LoweringContext, geometry: ConvGeometry, input: Location): Preparation {
  const planes = bordersOf(context, geometry);
  // A copy costs less than planes that drive each other out of the cache.
  const isCrowded = geometry.outputChannels >= MANY_READS && sharesCacheSet(planes.height * planes.width);
  if (isReady(context, geometry, input) && !isCrowded) return asItIs(geometry);
  const layout = paddedLayout(planes);
  const kernel = padKernel(planes, 0, context.width);
  const prepare = (image: Location): Location => {
    const location = context.scratch(geometry.inputChannels * layout.plane);
    context.call(kernel, [image, location]);
    return location;
  };
  return { layout, prepare };
}

/** Where the taps of a kernel lie in prepared planes. */
function tapOffsets(geometry: ConvGeometry, layout: PaddedLayout): readonly number[] {
  const [rows, columns] = geometry.kernel;
  const [down, across] = geometry.dilations;
  const [, stride] = geometry.strides;
  return Array.from({ length: rows * columns }, (_, tap) => {
    const column = (tap % columns) * across;
    const segment = (column % stride) * layout.segment + Math.floor(column / stride);
    return Math.floor(tap / columns) * down * layout.row + segment;
  });
}

function convolution(context: LoweringContext, plan: ConvPlan, preparation: Preparation): Convolve {
  const { geometry } = plan;
  const { layout, padding } = preparation;
  const groups = groupCount(context.node);
  const [rows, columns] = geometry.output;
  const grid: PixelGrid = flattened({
    rows,
    columns,
    inputRow: layout.row * geometry.strides[0],
    outputRow: columns,
  });
  const conv: TapConvolution = {
    inputs: geometry.inputChannels / groups,
    outputs: geometry.outputChannels / groups,
    taps: tapOffsets(geometry, layout),
    inputPlane: layout.plane,
    outputPlane: rows * columns,
    grid,
    epilogue: context.epilogue,
  };
  if (isDepthwise(context, geometry)) return depthwiseConvolution(context, plan, conv, padding);
  const parts = Array.from({ length: groups }, (_, group) =>
    groupConvolution(context, conv, {
      weights: slicePart(plan.weights, group, groups),
      bias: slicePart(plan.bias, group, groups),
      factors: plan.factors && { ...plan.factors, coefs: slicePart(plan.factors.coefs, group, groups) },
    }),
  );
  return (input, ends) => {
    for (const [group, convolve] of parts.entries()) {
      const ownEnds = ends.map((end) => behind(end, group * conv.outputs * conv.outputPlane));
      convolve(behind(input, group * conv.inputs * conv.inputPlane), ownEnds);
    }
  };
}

/** One group of a convolution. */
interface GroupPart {
  readonly weights: Float32Array;
  readonly bias: Float32Array;
  readonly factors: ConvFactors | undefined;
}

function slicePart(data: Float32Array, part: number, parts: number): Float32Array {
  const size = data.length / parts;
  return data.slice(part * size, (part + 1) * size);
}

function workOf({ weights, factors }: GroupPart, inputs: number): ConvWork {
  return {
    dense: weights.length,
    nonZeros: countNonZeros(weights),
    factored: factors && {
      basis: inputs * factors.d * factors.taps,
      nonZeros: countNonZeros(factors.coefs),
    },
  };
}

function groupConvolution(context: LoweringContext, conv: TapConvolution, part: GroupPart): Convolve {
  const { factors } = part;
  const kind = fastestKind(workOf(part, conv.inputs), context.rates);
  if (kind === "factored" && factors !== undefined) {
    return factoredConvolution(context, conv, factors, part.bias);
  }
  if (kind === "sparse") return sparseConvolution(context, conv, part.weights, part.bias);
  return denseConvolution(context, conv, part.weights, part.bias);
}

function denseConvolution(
  context: LoweringContext,
  conv: TapConvolution,
  weights: Float32Array,
  bias: Float32Array,
): Convolve {
  const known = context.packedBlocks(weights);
  const tile = tileGrid(conv);
  const tiled = { ...conv, grid: tile };
  const blocking = denseBlocking(tiled, context.width, known);
  known.add(blocking.outputs);
  const packed = packDenseWeights(weights, conv, blocking);
  const layout = { kind: "blocks", outputs: conv.outputs, block: blocking.outputs } as const;
  const tables = [
    context.weights(packed, layout),
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
): Convolve {
  const nonZeros = findNonZeros(weights, conv);
  const { inputs, inputPlane: plane, taps } = conv;
  const counts = context.weights(nonZeros.counts);
  const tables = [
    counts,
    context.weights(nonZeros.steps, { kind: "steps", counts, inputs, plane, taps }),
    context.weights(nonZeros.values, { kind: "runs", counts }),
    context.weights(bias),
  ];
  const kernel = sparseConvKernel(conv, nonZeros, context.width);
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
  // All tiles alike.
  const tileRows = largestDivisor(rows, Math.floor(TILE_ELEMENTS / (columns * conv.inputs * d)));
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
  const product = sparseConvolution(context, pointwise, coefs, bias);
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

/** Elements of the maps between the two stages that are worked on at once, so that they stay in a near cache. */
const TILE_ELEMENTS = 49152;

/** A depthwise convolution, perhaps with a multiplier. */
function depthwiseConvolution(
  context: LoweringContext,
  { geometry, weights, bias }: ConvPlan,
  conv: TapConvolution,
  padding: PaddedPlanes | undefined,
): Convolve {
  const channels = geometry.inputChannels;
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
