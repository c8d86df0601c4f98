import type { ConvGeometry } from "../../ops/families/conv_gradient.js";
import { denseBlocking } from "../kernels/dense_blocking.js";
import { denseConvKernel, packDenseWeights, type TapConvolution } from "../kernels/dense_conv.js";
import { noEpilogue } from "../kernels/epilogue.js";
import { paddedLayout, padKernel, spreadOverCache } from "../kernels/pad.js";
import {
  dealTaps,
  gatherTiles,
  POINTS,
  TAPS,
  TILE,
  winogradInput,
  winogradOutput,
  winogradWeights,
} from "../kernels/winograd.js";
import type { Kernel } from "../loops.js";
import type { Location } from "../program.js";
import { behind } from "../program_builder.js";
import type { Division } from "../winograd_cost.js";
import type { LoweringContext } from "./definition.js";

/** A 3x3 convolution of one group with stride 1. */
interface TiledConv {
  readonly geometry: ConvGeometry;
  /** [K, C, 9] */
  readonly weights: Float32Array;
  readonly bias: Float32Array;
}

/** An image's planes, and what makes an output of them and the epilogue's sides. */
interface TiledMethod {
  prepare(image: Location): Location;
  convolve(planes: Location, ends: readonly Location[]): void;
}

/** For all images at once. Weights that are transformed in one part are so before the first of them. */
export function winogradConvolution(
  context: LoweringContext,
  division: Division,
  { geometry, weights, bias }: TiledConv,
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
    weights: spreadOverCache(inputs * part),
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
  const layout = { kind: "blocks", outputs: part, block: blocking.outputs } as const;
  const packing = { ...products, taps: Array.from({ length: TAPS }, (_, tap) => tap) };
  const parts = Array.from({ length: outputs / part }, (_, index) => {
    const own = weights.subarray(index * part * inputs * TAPS, (index + 1) * part * inputs * TAPS);
    return context.weights(packDenseWeights(own, packing, blocking), layout);
  });
  const biasTable = context.weights(bias);
  const pad = padKernel(padded, 0, width);
  const toPoints = winogradInput(planesLayout, tiles, distances.inputs, width);
  const deal = dealTaps(inputs, part, blocking.outputs, distances.weights);
  const transform = winogradWeights(inputs * part, distances.weights, width);
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
  // Behind what is narrower than a vector, one is read to its end.
  const scratch = (elements: number): Location => context.scratch(elements + width);
  const dealtTaps = scratch(TAPS * distances.weights);
  const transformed = scratch(POINTS * distances.weights);
  const transformWeights = (own: Location): void => {
    context.call(deal, [own, dealtTaps]);
    context.call(transform, [dealtTaps, transformed]);
  };
  const [only] = parts.length === 1 ? parts : [];
  if (only !== undefined) transformWeights(only);
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
        for (const [index, own] of parts.entries()) {
          if (only === undefined) transformWeights(own);
          const to = behind(after, index * part * count);
          context.call(multiply, [before, transformed, to], inputs * part * POINTS * count);
        }
        context.call(fromPoints, [after, biasTable, dealtRows]);
        const isLast = row + group === rows;
        const ownEnds = ends.map((end) => behind(end, row * TILE * output[1]));
        context.call(isLast ? gatherLast : gather, [dealtRows, ...ownEnds]);
      }
    },
  };
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
