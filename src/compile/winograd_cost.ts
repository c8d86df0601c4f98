import { largestDivisor } from "../ops/core/dims.js";
import type { ConvGeometry } from "../ops/families/conv_gradient.js";
import { POINTS, TILE } from "./kernels/winograd.js";
import type { Target } from "./target.js";

/** Elements of the points of one group of tile rows, so that they stay in a near cache. */
const NEAR_ELEMENTS = 2 ** 17;

/**
 * Weights of at most so many elements, transformed, are so once, when they are loaded, and stay in memory: it is four times
 * what they were. (Four times this limit makes ResNet-18 at 224x224 8 % faster, and takes 28 MB more.)
 */
const MOST_PREPARED = 2 ** 20;
/** Others are transformed in every run, in scratch memory: at most so many elements of it. */
const MOST_WEIGHTS = 2 ** 21;
/** Where they serve one group of tile rows only, by parts of the outputs of so many elements, to stay near. */
const PART_WEIGHTS = 2 ** 18;

/**
 * Nanoseconds of a number's way through padding or gathering; of a tile's transform, and of a kernel's, times the lanes of a
 * vector.
 */
interface TilingCosts {
  readonly move: number;
  readonly tileLane: number;
  readonly kernelLane: number;
}

/** Numbers are moved one by one. */
const webCosts: TilingCosts = { move: 0.8, tileLane: 30, kernelLane: 30 };
/** The compiler makes vectors of moves. */
const nativeCosts: TilingCosts = { move: 0.2, tileLane: 28, kernelLane: 38 };

const tilesOf = (size: number): number => Math.ceil(size / TILE);

/** How the work of Winograd's filtering is divided. */
export interface Division {
  /** Tiles of the whole image, and rows of them that are computed at a time: all groups alike. */
  readonly rows: number;
  readonly columns: number;
  readonly group: number;
  /** Outputs whose weights are transformed at a time: all parts alike. */
  readonly part: number;
  /** Whether all weights are transformed once, when they are loaded. */
  readonly isPrepared: boolean;
}

/** Undefined where the transformed weights would take too much memory. */
function divisionOf(
  { inputChannels, outputChannels, output }: ConvGeometry,
  preparesWeights: boolean,
): Division | undefined {
  const [rows, columns] = [tilesOf(output[0]), tilesOf(output[1])];
  const rowElements = POINTS * Math.max(inputChannels, outputChannels) * columns;
  const group = largestDivisor(rows, Math.floor(NEAR_ELEMENTS / rowElements));
  const weights = POINTS * inputChannels * outputChannels;
  const isPrepared = preparesWeights && weights <= MOST_PREPARED;
  const whole = { rows, columns, group, part: outputChannels, isPrepared };
  if (isPrepared) return whole;
  if (group < rows) return weights > MOST_WEIGHTS ? undefined : whole;
  const part = largestDivisor(outputChannels, Math.floor(PART_WEIGHTS / (POINTS * inputChannels)));
  return POINTS * inputChannels * part > MOST_WEIGHTS ? undefined : { ...whole, part };
}

/**
 * How Winograd's filtering would compute a convolution of one image, and in how many nanoseconds by the model that
 * `fastestTime` is of; undefined for those that it cannot compute: it is for 3x3 kernels of one group and stride 1.
 * @param preparesWeights whether weights are made ready once, when they are loaded
 */
export function byWinograd(
  geometry: ConvGeometry,
  { width, rates, isNative }: Pick<Target, "width" | "rates" | "isNative">,
  preparesWeights: boolean,
): { readonly division: Division; readonly nanoseconds: number } | undefined {
  const { kernel, strides, dilations, output, inputChannels, outputChannels, groups } = geometry;
  if (groups > 1 || kernel.some((side) => side !== 3)) return undefined;
  if ([...strides, ...dilations].some((step) => step !== 1)) return undefined;
  const division = divisionOf(geometry, preparesWeights);
  if (division === undefined) return undefined;
  const costs = isNative === undefined ? webCosts : nativeCosts;
  const kernels = inputChannels * outputChannels;
  const channels = inputChannels + outputChannels;
  const whole = (count: number): number => Math.ceil(count / width) * width;
  const products = (kernels * POINTS * whole(division.rows * division.columns)) / rates.dense;
  const vectors = (division.rows * whole(division.columns)) / width;
  const moved = channels * (vectors * costs.tileLane + output[0] * output[1] * costs.move);
  const transforms = division.isPrepared ? 0 : (kernels * costs.kernelLane) / width;
  return { division, nanoseconds: products + moved + transforms };
}
