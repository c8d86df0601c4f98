import { PenniError } from "../../graph/errors.js";
import { elementCount } from "../../graph/tensor.js";
import { convGeometry, groupCount } from "../../ops/conv.js";
import type { ConvGeometry } from "../../ops/conv_gradient.js";
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
import type { ConvFactors, Lowering, LoweringContext } from "./definition.js";
import { unsupported } from "./errors.js";
import { copyStrided, viewOf } from "./movement.js";

/** One image of a convolution's input, ready for kernels that know no borders. */
interface Planes {
  readonly location: Location;
  readonly layout: PaddedLayout;
}

/** The weights of a convolution [K, C/groups, taps], and how it is to be computed. */
interface ConvPlan {
  readonly geometry: ConvGeometry;
  readonly weights: Float32Array;
  readonly bias: Float32Array;
  readonly factors: ConvFactors | undefined;
}

/** Convolution over one or two axes with a constant weight, in the form that the cost model finds fastest. */
export const lowerConv: Lowering = (context) => {
  const axes = context.inputDims(0).length - 2;
  if (axes > 2) throw unsupported(context, "one or two spatial axes", `${axes}`);
  const geometry = convGeometry(context.node, context.inputDims(0), context.inputDims(1));
  const weights =
    context.convFactors === undefined ? context.constantData(1) : mergedKernels(context.convFactors);
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
  for (let image = 0; image < geometry.batch; image++) {
    const residual = summand === undefined ? [] : [behind(summand, image * outputSize)];
    const planes = preparePlanes(context, geometry, behind(input, image * inputSize));
    convolve(context, plan, planes, [...residual, behind(output, image * outputSize)]);
  }
};

/** coefs [K, C, d] . basis [d, taps], summed in float64. */
function mergedKernels({ coefs, basis, d, taps }: ConvFactors): Float32Array {
  const kernels = new Float32Array((coefs.length / d) * taps);
  for (let kernel = 0; kernel < coefs.length / d; kernel++) {
    for (let tap = 0; tap < taps; tap++) {
      let sum = 0;
      for (let b = 0; b < d; b++) sum += (coefs[kernel * d + b] ?? 0) * (basis[b * taps + tap] ?? 0);
      kernels[kernel * taps + tap] = sum;
    }
  }
  return kernels;
}

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

/** Copies the input into planes with borders and with strided columns set apart, where there is anything to do. */
function preparePlanes(context: LoweringContext, geometry: ConvGeometry, input: Location): Planes {
  const [height, width] = geometry.input;
  const [top, left, bottom, right] = geometry.pads;
  const [, stride] = geometry.strides;
  // What the caller owns must not be read beyond its end, as a vector wider than a row would.
  const isOwn = input.buffer.kind === "value";
  const isReady = [top, left, bottom, right].every((pad) => pad === 0) && stride === 1;
  // A copy costs less than planes that drive each other out of the cache.
  const isCrowded = geometry.outputChannels >= MANY_READS && sharesCacheSet(height * width);
  if (isReady && !isCrowded && (isOwn || geometry.output[1] >= context.width)) {
    return { location: input, layout: { segment: width, row: width, plane: height * width } };
  }
  const planes = { channels: geometry.inputChannels, height, width, top, bottom, left, right, stride };
  const layout = paddedLayout(planes);
  const location = context.scratch(geometry.inputChannels * layout.plane);
  context.call(padKernel(planes, 0, context.width), [input, location]);
  return { location, layout };
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

/** @param ends the residual, if there is one, and the output of one image */
function convolve(context: LoweringContext, plan: ConvPlan, planes: Planes, ends: readonly Location[]): void {
  const { geometry } = plan;
  const groups = groupCount(context.node);
  const [rows, columns] = geometry.output;
  const grid: PixelGrid = flattened({
    rows,
    columns,
    inputRow: planes.layout.row * geometry.strides[0],
    outputRow: columns,
  });
  const taps = tapOffsets(geometry, planes.layout);
  const conv: TapConvolution = {
    inputs: geometry.inputChannels / groups,
    outputs: geometry.outputChannels / groups,
    taps,
    inputPlane: planes.layout.plane,
    outputPlane: rows * columns,
    grid,
    epilogue: context.epilogue,
  };
  if (groups > 1 && conv.inputs === 1) {
    convolveChannels(context, plan, conv, groups, planes, ends);
    return;
  }
  for (let group = 0; group < groups; group++) {
    const part: GroupPart = {
      weights: slicePart(plan.weights, group, groups),
      bias: slicePart(plan.bias, group, groups),
      factors: plan.factors && { ...plan.factors, coefs: slicePart(plan.factors.coefs, group, groups) },
      input: behind(planes.location, group * conv.inputs * conv.inputPlane),
      ends: ends.map((end) => behind(end, group * conv.outputs * conv.outputPlane)),
    };
    convolveGroup(context, conv, part);
  }
}

/** One group of a convolution. */
interface GroupPart {
  readonly weights: Float32Array;
  readonly bias: Float32Array;
  readonly factors: ConvFactors | undefined;
  readonly input: Location;
  readonly ends: readonly Location[];
}

function slicePart(data: Float32Array, part: number, parts: number): Float32Array {
  const size = data.length / parts;
  return data.slice(part * size, (part + 1) * size);
}

function convolveGroup(context: LoweringContext, conv: TapConvolution, part: GroupPart): void {
  const { factors } = part;
  const work: ConvWork = {
    dense: part.weights.length,
    nonZeros: countNonZeros(part.weights),
    factored: factors && {
      basis: conv.inputs * factors.d * factors.taps,
      nonZeros: countNonZeros(factors.coefs),
    },
  };
  const kind = fastestKind(work, context.rates);
  if (kind === "factored" && factors !== undefined) {
    convolveFactored(context, conv, part, factors);
    return;
  }
  if (kind === "sparse") {
    convolveSparse(context, conv, part);
    return;
  }
  convolveDense(context, conv, part);
}

function countNonZeros(data: Float32Array): number {
  return data.reduce((count, value) => (value === 0 ? count : count + 1), 0);
}

function convolveDense(context: LoweringContext, conv: TapConvolution, part: GroupPart): void {
  const blocking = denseBlocking(conv, context.width);
  const packed = context.weights(packDenseWeights(part.weights, conv, blocking));
  const tables = tapTables(conv.taps).map((table) => context.weights(table));
  const kernel = denseConvKernel(conv, blocking, context.width);
  const pixels = conv.grid.rows * conv.grid.columns;
  const bias = context.weights(part.bias);
  context.call(kernel, [part.input, packed, ...tables, bias, ...part.ends], part.weights.length * pixels);
}

function convolveSparse(context: LoweringContext, conv: TapConvolution, part: GroupPart): void {
  sparseProduct(context, conv, part.weights, part.bias)(part.input, part.ends);
}

/** A sparse convolution that can be called for several places. */
function sparseProduct(
  context: LoweringContext,
  conv: TapConvolution,
  weights: Float32Array,
  bias: Float32Array,
): (input: Location, ends: readonly Location[]) => void {
  const nonZeros = findNonZeros(weights, conv);
  const tables = [nonZeros.counts, nonZeros.steps, nonZeros.values, bias].map((table) =>
    context.weights(table),
  );
  const kernel = sparseConvKernel(conv, nonZeros, context.width);
  const products = nonZeros.values.length * conv.grid.rows * conv.grid.columns;
  return (input, ends) => context.call(kernel, [input, ...tables, ...ends], products);
}

/** The basis convolution, every input plane to d maps, then the sparse product with the coefficients. */
function convolveFactored(
  context: LoweringContext,
  conv: TapConvolution,
  part: GroupPart,
  { coefs, basis, d, taps }: ConvFactors,
): void {
  const { rows, columns, inputRow } = conv.grid;
  const tileRows = rowsOfTile(rows, columns * conv.inputs * d);
  const pixels = tileRows * columns;
  const mapPlane = spreadOverCache(pixels);
  const maps = context.scratch(conv.inputs * d * mapPlane);
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
  const byTap = Float32Array.from(
    { length: taps * d },
    (_, i) => basis[(i % d) * taps + Math.floor(i / d)] ?? 0,
  );
  const basisWeights = [byTap, ...tapTables(conv.taps)].map((table) => context.weights(table));
  const pointwise: TapConvolution = {
    ...conv,
    inputs: conv.inputs * d,
    taps: [0],
    inputPlane: mapPlane,
    grid: { rows: 1, columns: pixels, inputRow: pixels, outputRow: pixels },
  };
  const sparse = sparseProduct(context, pointwise, coefs, part.bias);
  for (let row = 0; row < rows; row += tileRows) {
    const input = behind(part.input, row * inputRow);
    context.call(basisConv, [input, ...basisWeights, maps], conv.inputs * d * taps * pixels);
    sparse(
      maps,
      part.ends.map((end) => behind(end, row * columns)),
    );
  }
}

/** Elements of the maps between the two stages that are worked on at once, so that they stay in a near cache. */
const TILE_ELEMENTS = 49152;

/** Rows at a time, all tiles alike. */
function rowsOfTile(rows: number, elementsOfRow: number): number {
  const most = Math.max(1, Math.floor(TILE_ELEMENTS / elementsOfRow));
  let tile = Math.min(rows, most);
  while (rows % tile !== 0) tile--;
  return tile;
}

/** A depthwise convolution, perhaps with a multiplier. */
function convolveChannels(
  context: LoweringContext,
  { weights, bias }: ConvPlan,
  conv: TapConvolution,
  groups: number,
  planes: Planes,
  ends: readonly Location[],
): void {
  const taps = conv.taps.length;
  const maps = conv.outputs;
  const shared = repeats(weights, maps * taps);
  const kernel = channelConvKernel({ ...conv, channels: groups, maps, shared, bias: true }, context.width);
  // From [channels, maps, taps] to [channels, taps, maps].
  const packed = Float32Array.from({ length: shared ? maps * taps : weights.length }, (_, i) => {
    const channel = Math.floor(i / (taps * maps));
    const tap = Math.floor(i / maps) % taps;
    return weights[(channel * maps + (i % maps)) * taps + tap] ?? 0;
  });
  const tables = [packed, ...tapTables(conv.taps), bias].map((table) => context.weights(table));
  const macs = weights.length * conv.outputPlane;
  context.call(kernel, [planes.location, ...tables, ...ends], macs);
}

/** Whether all channels have the same kernels, as in a factored layer that was written out. */
function repeats(weights: Float32Array, perChannel: number): boolean {
  return weights.every((value, at) => value === weights[at % perChannel]);
}
