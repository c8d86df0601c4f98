import { outputOf } from "../../graph/at.js";
import { inputOrOmitted, inputsOf } from "../../graph/operands.js";
import type { Node } from "../../graph/types.js";
import { convGeometry } from "../../ops/families/conv_geometry.js";
import type { ConvGeometry } from "../../ops/families/conv_gradient.js";
import { type ConvOperands, windowOf } from "./conv_operands.js";
import { depthwiseConvolution, hasOneKernelPerChannel } from "./depthwise.js";
import { blockedFilter, narrowFilter, swapChannels } from "./filters.js";
import { groupedConvolution } from "./grouped.js";
import type { Layouts } from "./layouts.js";
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

/** Conv in the form that fits the groups, with its filter arranged in the graph. */
export function convolution(layouts: Layouts, node: Node): boolean {
  const [x, weight] = inputsOf(node, 2);
  const y = outputOf(node, 0);
  if (!layouts.isImage(x)) return false;
  const geometry = convGeometry(node, layouts.dims(x), layouts.dims(weight));
  const value = formOf(layouts, geometry)?.(layouts, geometry, { x, weight, bias: inputOrOmitted(node, 2) });
  if (value === undefined) return false;
  layouts.setBlocked(y, value);
  return true;
}

/** y; undefined where the form does not reach. */
type ConvolutionForm = (
  layouts: Layouts,
  geometry: ConvGeometry,
  operands: ConvOperands,
) => string | undefined;

function formOf(layouts: Layouts, geometry: ConvGeometry): ConvolutionForm | undefined {
  const { inputChannels, outputChannels, groups } = geometry;
  if (hasOneKernelPerChannel(geometry)) return depthwiseConvolution;
  if (groups > 1) return groupedConvolution;
  if (!isWorthwhile(layouts, inputChannels, outputChannels)) return undefined;
  return isWinograd(layouts.block, geometry) ? byTiles : directConvolution;
}

/** y by the runtime's own convolution. */
export function directConvolution(
  layouts: Layouts,
  geometry: ConvGeometry,
  { x, weight, bias }: ConvOperands,
): string {
  const { batch, inputChannels, outputChannels, output } = geometry;
  const isNarrow = inputChannels < layouts.block;
  return layouts.emit.conv({
    ...windowOf(geometry),
    x: isNarrow ? layouts.plain(x) : layouts.blocked(x),
    filter: isNarrow ? narrowFilter(layouts, layouts.plain(weight)) : sharedFilter(layouts, weight),
    ...(bias === "" ? {} : { bias: layouts.emit.pad(layouts.plain(bias)) }),
    output: [batch, layouts.padded(outputChannels), ...output],
  });
}

/** Winograd's; the bias, and whatever else a convolution can do at its end, are a pass of their own. */
function byTiles(layouts: Layouts, geometry: ConvGeometry, { x, weight, bias }: ConvOperands): string {
  const value = winogradConvolution(layouts, geometry, { x, weight });
  const ones = layouts.fill(geometry.outputChannels, 1);
  return layouts.emit.scale(value, ones, bias === "" ? {} : { bias: layouts.emit.pad(layouts.plain(bias)) });
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
