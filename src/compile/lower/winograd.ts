import type { ConvGeometry } from "../../ops/families/conv_gradient.js";
import { type DenseBlocking, denseBlocking } from "../kernels/dense_blocking.js";
import { denseConvKernel, type TapConvolution } from "../kernels/dense_conv.js";
import { noEpilogue } from "../kernels/epilogue.js";
import { paddedLayout, padKernel, spreadOverCache } from "../kernels/pad.js";
import {
  dealTaps,
  gatherTiles,
  POINTS,
  TAPS,
  TILE,
  weightsDistance,
  winogradInput,
  winogradOutput,
  winogradWeights,
} from "../kernels/winograd.js";
import type { Kernel } from "../loops.js";
import type { Location } from "../program.js";
import { behind } from "../program_builder.js";
import type { Division } from "../winograd_cost.js";
import type { LoweringContext } from "./definition.js";
import {
  type DenseKernels,
  denseWeights,
  kernelsOfPart,
  NINE_TAPS,
  transformedWeights,
} from "./dense_weights.js";

/** A 3x3 convolution of one group with stride 1. */
interface TiledConv extends DenseKernels {
  readonly geometry: ConvGeometry;
  readonly bias: Float32Array;
}

/** An image's planes, and what makes an output of them and the epilogue's sides. */
interface TiledMethod {
  prepare(image: Location): Location;
  convolve(planes: Location, ends: readonly Location[]): void;
}

/** For all images at once. Weights that are transformed in one part are so before the first image, or the first run. */
export function winogradConvolution(
  context: LoweringContext,
  division: Division,
  { geometry, weights, bias, factors }: TiledConv,
): TiledMethod {
  const { width } = context;
  const { inputChannels: inputs, outputChannels: outputs, output } = geometry;
  const { rows, columns, group, part } = division;
  const tiles = { rows: group, columns };
  const count = group * columns;
  const products: TapConvolution = {
    inputs,
    outputs: part,
    taps: [0],
    inputPlane: count,
    outputPlane: count,
    grid: { rows: 1, columns: count, inputRow: count, outputRow: count },
    epilogue: noEpilogue,
  };
  const blocking = denseBlocking(products, context);
  const distances = {
    weights: weightsDistance(inputs * part, width),
    inputs: spreadOverCache(inputs * count),
    outputs: spreadOverCache(outputs * count),
  };
  const padded = paddedPlanes(geometry, division);
  const planesLayout = { channels: inputs, ...paddedLayout(padded) };
  const dealtRow = columns * TILE;
  const dealt = {
    channels: outputs,
    segment: columns,
    row: dealtRow,
    plane: spreadOverCache(group * TILE * dealtRow),
  };
  const biasTable = context.weights(bias);
  const pad = padKernel(padded, 0, width);
  const toPoints = winogradInput(planesLayout, tiles, distances.inputs, width);
  const multiply = denseConvKernel(products, blocking, width, {
    count: POINTS,
    ...distances,
    bias: false,
  });
  const fromPoints = winogradOutput(dealt, tiles, distances.outputs, width);
  const gatherOf = (gatheredRows: number): Kernel => {
    const gathered = {
      channels: outputs,
      rows: gatheredRows,
      columns: output[1],
      plane: output[0] * output[1],
    };
    return gatherTiles(dealt, gathered, context.epilogue, width);
  };
  const groupRows = group * TILE;
  // The last group ends with the image.
  const lastRows = output[0] - (rows - group) * TILE;
  const [gather, gatherLast] = [gatherOf(groupRows), gatherOf(lastRows)];
  const scratch = (elements: number): Location => context.scratch(elements + width);
  const parts = partsOfWeights(context, division, {
    ...{ inputs, outputs, blocking },
    kernels: { weights, factors },
  });
  return {
    prepare: (image) => {
      const planes = scratch(inputs * planesLayout.plane);
      context.call(pad, [image, planes]);
      return planes;
    },
    convolve: (planes, ends) => {
      const before = scratch(POINTS * distances.inputs);
      const after = scratch(POINTS * distances.outputs);
      const dealtRows = scratch(outputs * dealt.plane);
      for (let row = 0; row < rows; row += group) {
        context.call(toPoints, [behind(planes, row * TILE * planesLayout.row), before]);
        for (const [index, transformed] of parts.entries()) {
          const to = behind(after, index * part * count);
          context.call(multiply, [before, transformed(), to], inputs * part * POINTS * count);
        }
        context.call(fromPoints, [after, biasTable, dealtRows]);
        const isLast = row + group === rows;
        const ownEnds = ends.map((end) => behind(end, row * TILE * output[1]));
        context.call(isLast ? gatherLast : gather, [dealtRows, ...ownEnds]);
      }
    },
  };
}

interface TransformedKernels {
  readonly inputs: number;
  readonly outputs: number;
  readonly blocking: DenseBlocking;
  readonly kernels: DenseKernels;
}

/**
 * The points of each part's weights: made once and for all, or when they are asked for, in memory that all parts share.
 */
function partsOfWeights(
  context: LoweringContext,
  { part, isPrepared }: Division,
  { inputs, outputs, blocking, kernels }: TransformedKernels,
): readonly (() => Location)[] {
  const count = outputs / part;
  const conv = { inputs, outputs: part, taps: NINE_TAPS };
  if (isPrepared) {
    const points = transformedWeights(context, conv, blocking, kernels);
    return [() => points];
  }
  const parts = Array.from({ length: count }, (_, index) =>
    denseWeights(context, conv, blocking, kernelsOfPart(kernels, index, count)),
  );
  const distance = weightsDistance(inputs * part, context.width);
  const deal = dealTaps(inputs, part, blocking.outputs, distance);
  const transform = winogradWeights(inputs * part, context.width);
  const [taps, points] = [context.scratch(TAPS * distance), context.scratch(POINTS * distance)];
  const [only] = parts;
  const transformed = (own: Location): Location => {
    context.call(deal, [own, taps]);
    context.call(transform, [taps, points]);
    return points;
  };
  if (parts.length > 1 || only === undefined) return parts.map((own) => () => transformed(own));
  transformed(only);
  return [() => points];
}

/** The input with as many rows and columns around it as whole tiles see. */
function paddedPlanes({ inputChannels, input, pads }: ConvGeometry, { rows, columns }: Division) {
  const [top, left] = pads;
  const [height, width] = input;
  return {
    channels: inputChannels,
    height,
    width,
    top,
    left,
    bottom: rows * TILE + 2 - top - height,
    right: (columns + 1) * TILE - left - width,
    stride: TILE,
  };
}
