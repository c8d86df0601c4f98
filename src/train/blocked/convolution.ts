import type { Node } from "../../graph/types.js";
import { convGeometry } from "../../ops/conv.js";
import type { ConvGeometry } from "../../ops/conv_gradient.js";
import { depthwiseConvolution, isDepthwise } from "./depthwise.js";
import { blockedFilter, narrowFilter, swapChannels } from "./filters.js";
import { groupedConvolution } from "./grouped.js";
import type { ConvWindow, Layouts } from "./layouts.js";
import { isWinograd, winogradConvolution } from "./winograd.js";

/** Padding to whole blocks may at most double the work; beyond that the plain form is as good. */
export const MOST_WASTE = 2;

export function waste(layouts: Layouts, channels: number): number {
  return layouts.padded(channels) / channels;
}

/** Whether the blocked convolution from `inputs` to `outputs` channels is worth its padding. */
export function isWorthwhile(layouts: Layouts, inputs: number, outputs: number): boolean {
  const inputWaste = inputs < layouts.block ? 1 : waste(layouts, inputs);
  return inputWaste * waste(layouts, outputs) <= MOST_WASTE;
}

/** What a convolution reads, by name; the bias may be "". */
export interface ConvOperands {
  readonly x: string;
  readonly weight: string;
  readonly bias: string;
}

/** Conv as a blocked convolution with its filter arranged in the graph. */
export function convolution(layouts: Layouts, node: Node): boolean {
  const [x = "", weight = "", bias = ""] = node.inputs;
  const [y = ""] = node.outputs;
  if (!layouts.isImage(x)) return false;
  const geometry = convGeometry(node, layouts.dims(x), layouts.dims(weight));
  const { inputChannels, outputChannels, groups } = geometry;
  if (isDepthwise(geometry)) {
    layouts.setBlocked(y, depthwiseConvolution(layouts, geometry, { x, weight, bias }));
    return true;
  }
  if (groups > 1) {
    const value = groupedConvolution(layouts, geometry, { x, weight, bias });
    if (value !== undefined) layouts.setBlocked(y, value);
    return value !== undefined;
  }
  if (!isWorthwhile(layouts, inputChannels, outputChannels)) return false;
  const form = isWinograd(layouts.block, geometry) ? byTiles : directConvolution;
  layouts.setBlocked(y, form(layouts, geometry, { x, weight, bias }));
  return true;
}

/** y by the runtime's own convolution. */
export function directConvolution(
  layouts: Layouts,
  geometry: ConvGeometry,
  { x, weight, bias }: ConvOperands,
): string {
  const { batch, inputChannels, outputChannels, output } = geometry;
  const isNarrow = inputChannels < layouts.block;
  return layouts.conv({
    ...windowOf(geometry),
    x: isNarrow ? layouts.plain(x) : layouts.blocked(x),
    filter: isNarrow ? narrowFilter(layouts, layouts.plain(weight)) : sharedFilter(layouts, weight),
    ...(bias === "" ? {} : { bias: layouts.pad(layouts.plain(bias)) }),
    output: [batch, layouts.padded(outputChannels), ...output],
  });
}

/** Winograd's; the bias, and whatever else a convolution can do at its end, are a pass of their own. */
function byTiles(layouts: Layouts, geometry: ConvGeometry, { x, weight, bias }: ConvOperands): string {
  const value = winogradConvolution(layouts, geometry, { x, weight });
  const ones = layouts.fill(geometry.outputChannels, 1);
  return layouts.scale(value, ones, bias === "" ? {} : { bias: layouts.pad(layouts.plain(bias)) });
}

/** The part of a geometry that `Layouts.conv` takes. */
export function windowOf(geometry: ConvGeometry): ConvWindow {
  const { kernel, strides, dilations, pads } = geometry;
  return { kernel, strides, dilations, pads };
}

/** The blocked filter of a weight, which the gradient to the input starts from as well. */
export function sharedFilter(layouts: Layouts, weight: string): string {
  return layouts.once(`filter ${weight}`, () => blockedFilter(layouts, layouts.plain(weight)));
}

/** The same with the channels of input and output in each other's place: see `swapChannels`. */
export function sharedSwappedFilter(layouts: Layouts, weight: string): string {
  return layouts.once(`swapped ${weight}`, () =>
    swapChannels(layouts, layouts.plain(weight), sharedFilter(layouts, weight)),
  );
}
