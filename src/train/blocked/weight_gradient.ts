import { at, outputOf } from "../../graph/at.js";
import { int } from "../../graph/attributes.js";
import type { Node } from "../../graph/types.js";
import { weightGradientGeometry } from "../../ops/composites/conv_weight_gradient.js";
import { compositeInputs } from "../../ops/core/composite.js";
import { crop, reshape } from "../../ops/core/emit.js";
import type { ConvGeometry } from "../../ops/families/conv_gradient.js";
import { windowOf } from "./conv_operands.js";
import { MOST_WASTE, waste } from "./convolution.js";
import { depthwiseWeightGradient, hasOneKernelPerChannel } from "./depthwise.js";
import { oneHot } from "./filters.js";
import { groupedWeightGradient } from "./grouped.js";
import type { Layouts } from "./layouts.js";
import { bySwapping } from "./swapped_convolution.js";
import { isWinograd, winogradWeightGradient } from "./winograd.js";

/** dw [K, C, R, S] (plain) from x and dy. */
type WeightGradientForm = (layouts: Layouts, geometry: ConvGeometry, x: string, dy: string) => string;

export type BlockedWeightGradient = "swap" | "product";

/** The forms of the weight gradient on blocked values; which is faster depends on the shape. */
export const blockedWeightGradients: Readonly<Record<BlockedWeightGradient, WeightGradientForm>> = {
  swap: bySwapping,
  product: byProduct,
};

/** ConvWeightGradient in the form that fits the groups and is faster for the shape. */
export function convolutionWeightGradient(layouts: Layouts, node: Node): boolean {
  const [x, dy] = compositeInputs(node, 2);
  const dw = outputOf(node, 0);
  const geometry = weightGradientGeometry(node, layouts.dims(x));
  const value = gradientOf(layouts, geometry, { x, dy });
  if (value === undefined) return false;
  layouts.setPlain(dw, value);
  return true;
}

/** dw; undefined where no form reaches. */
function gradientOf(
  layouts: Layouts,
  geometry: ConvGeometry,
  operands: { readonly x: string; readonly dy: string },
): string | undefined {
  if (hasOneKernelPerChannel(geometry)) return depthwiseWeightGradient(layouts, geometry, operands);
  if (geometry.groups > 1) return groupedWeightGradient(layouts, geometry, operands);
  if (waste(layouts, geometry.outputChannels) > MOST_WASTE) return undefined;
  if (isWinograd(layouts.block, geometry)) return winogradWeightGradient(layouts, geometry, operands);
  const { x, dy } = operands;
  const form = chooseForm(layouts, geometry, x);
  return form === undefined ? undefined : blockedWeightGradients[form](layouts, geometry, x, dy);
}

/** The form that is faster for a shape; undefined where neither applies. */
export function chooseForm(
  layouts: Layouts,
  geometry: ConvGeometry,
  x: string,
): BlockedWeightGradient | undefined {
  const { batch } = geometry;
  // In the swapped convolution the batch is the channels, of which the runtime wants whole blocks.
  const isSwappable = batch < layouts.block || batch % layouts.block === 0;
  if (layouts.isBlocked(x) && (isSmallMap(geometry) || !isSwappable)) return "product";
  return isSwappable ? "swap" : undefined;
}

/** Up to so many positions the loops of the swapped convolution are too short (`bench/weight-gradient.ts`). */
const SMALL_MAP = 4;

/** Kernels of one tap are matrix products already, whatever the map. */
function isSmallMap({ output, kernel, strides }: ConvGeometry): boolean {
  const isPointwise = kernel[0] * kernel[1] === 1 && strides.every((stride) => stride === 1);
  return isPointwise || output[0] * output[1] <= SMALL_MAP;
}

/** dw as one matrix product: each tap's share of the patches is a depthwise convolution with a kernel that is 1 there. */
function byProduct(layouts: Layouts, geometry: ConvGeometry, x: string, dy: string): string {
  const { kernel, strides, pads, inputChannels, outputChannels } = geometry;
  const taps = kernel[0] * kernel[1];
  const isInput = taps === 1 && pads.every((pad) => pad === 0) && strides.every((stride) => stride === 1);
  const filters = isInput
    ? [undefined]
    : Array.from({ length: taps }, (_, tap) => oneHot(layouts, kernel, tap));
  return reshape(layouts.b, productWithMaps(layouts, geometry, { x, dy, filters }), [
    outputChannels,
    inputChannels,
    ...kernel,
  ]);
}

interface MapProduct {
  readonly x: string;
  readonly dy: string;
  /** Of one block, the same for all channels of x: see `Layouts.sameKernel`. Undefined: x itself. */
  readonly filters: readonly (string | undefined)[];
}

/**
 * Products of dy with the maps of x under n filters, Σ over batch and space, as one matrix product:
 * dy [K, N·P·Q] with the maps [C/b·n·b, N·P·Q] transposed. Result: [K, C, n].
 */
export function productWithMaps(
  layouts: Layouts,
  geometry: ConvGeometry,
  { x, dy, filters }: MapProduct,
): string {
  const { b, block } = layouts;
  const { batch, inputChannels, outputChannels, output } = geometry;
  const blocks = layouts.padded(inputChannels) / block;
  const positions = batch * output[0] * output[1];
  const input = reshape(b, blocksFirst(layouts, x), [blocks * batch, block, ...geometry.input]);
  const maps = filters.map((filter) => {
    const map =
      filter === undefined
        ? input
        : layouts.emit.sameKernel(input, filter, { ...windowOf(geometry), output });
    return reshape(b, map, [blocks, 1, positions * block]);
  });
  const joined = maps.length === 1 ? at(maps, 0) : b.emit("Concat", maps, { attributes: { axis: int(1) } });
  const rows = [blocks * maps.length, block, positions, 1];
  const columns = reshape(b, layouts.emit.toPlain(reshape(b, joined, rows), rows), [
    blocks * maps.length * block,
    positions,
  ]);
  const paddedOutputs = layouts.padded(outputChannels);
  const dyRows = [paddedOutputs / block, block, positions, 1];
  const gradients = layouts.emit.toPlain(reshape(b, blocksFirst(layouts, dy), dyRows), dyRows);
  const dyMatrix = reshape(b, gradients, [paddedOutputs, positions]);
  const product = b.emit("Gemm", [dyMatrix, columns], { attributes: { transB: int(1) } });
  const byBlock = reshape(b, product, [paddedOutputs, blocks * block, maps.length, 1]);
  const plain = layouts.emit.toPlain(byBlock, [paddedOutputs, inputChannels, maps.length, 1]);
  const whole = reshape(b, plain, [paddedOutputs, inputChannels, maps.length]);
  return crop(b, whole, [{ axis: 0, end: outputChannels }]);
}

/** A blocked value [N, C/b, ...] with its blocks first: [C/b, N, ...]. */
function blocksFirst(layouts: Layouts, name: string): string {
  const { block } = layouts;
  const [batch, channels, height, width] = layouts.blockedDims(name);
  return layouts.emit.swapBlocks(layouts.blocked(name), [batch, channels / block, height * width * block]);
}
