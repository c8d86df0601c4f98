import type { Node } from "../../graph/types.js";
import { compositeInputs } from "../../ops/composite.js";
import { type ConvGeometry, isUnstrided, unstridedPads } from "../../ops/conv_gradient.js";
import { inputGradientGeometry } from "../../ops/conv_input_gradient.js";
import { gather, reshape, zeroPad } from "../../ops/emit.js";
import { isWorthwhile, sharedFilter, sharedSwappedFilter } from "./convolution.js";
import { depthwiseInputGradient, isDepthwise } from "./depthwise.js";
import { blockedInputGradientFilter, narrowInputGradientFilter } from "./filters.js";
import type { Layouts } from "./layouts.js";
import { stridedInputGradient } from "./strided_gradient.js";
import { isWinograd, winogradInputGradient } from "./winograd.js";

/** ConvInputGradient of a convolution with one group. */
export function convolutionInputGradient(layouts: Layouts, node: Node): boolean {
  const [, weight = ""] = compositeInputs(node, 2);
  const geometry = inputGradientGeometry(node, layouts.dims(weight));
  const { inputChannels, outputChannels, groups, strides } = geometry;
  if (isDepthwise(geometry)) return depthwise(layouts, node, geometry);
  if (groups > 1 || !isWorthwhile(layouts, outputChannels, inputChannels)) return false;
  if (strides.every((stride) => stride === 1))
    return isUnstrided(geometry) && unstrided(layouts, node, geometry);
  return strided(layouts, node, geometry);
}

function unstrided(layouts: Layouts, node: Node, geometry: ConvGeometry): boolean {
  const [dy = "", weight = ""] = compositeInputs(node, 2);
  const [dx = ""] = node.outputs;
  const form = isWinograd(layouts.block, geometry) ? winogradInputGradient : directInputGradient;
  layouts.setBlocked(dx, form(layouts, geometry, { dy, weight }));
  return true;
}

/** dx for stride 1: dy convolved with the kernels whose channels are swapped and whose taps are reversed. */
export function directInputGradient(
  layouts: Layouts,
  geometry: ConvGeometry,
  { dy, weight }: { readonly dy: string; readonly weight: string },
): string {
  const { batch, input, inputChannels, outputChannels, kernel, dilations } = geometry;
  const isNarrow = outputChannels < layouts.block;
  return layouts.conv({
    x: isNarrow ? layouts.plain(dy) : layouts.blocked(dy),
    filter: isNarrow
      ? narrowInputGradientFilter(layouts, layouts.plain(weight))
      : blockedInputGradientFilter(layouts, layouts.plain(weight), sharedFilter(layouts, weight)),
    kernel,
    dilations,
    pads: unstridedPads(geometry),
    output: [batch, layouts.padded(inputChannels), ...input],
  });
}

function depthwise(layouts: Layouts, node: Node, geometry: ConvGeometry): boolean {
  const [dy = "", weight = ""] = compositeInputs(node, 2);
  const [dx = ""] = node.outputs;
  const value = depthwiseInputGradient(layouts, geometry, { dy, weight });
  if (value === undefined) return false;
  layouts.setBlocked(dx, value);
  return true;
}

function strided(layouts: Layouts, node: Node, geometry: ConvGeometry): boolean {
  const [dy = "", weight = ""] = compositeInputs(node, 2);
  const [dx = ""] = node.outputs;
  const { outputChannels, kernel } = geometry;
  if (outputChannels < layouts.block) return false;
  const { b } = layouts;
  const dims = layouts.blockedDims(dx);
  const [, channels = 1] = dims;
  const swapped = (): string => sharedSwappedFilter(layouts, weight);
  const withZeros = (): string =>
    layouts.once(`swapped and zero ${weight}`, () => zeroPad(b, swapped(), [0, 0, 0, 0, 0, 0, 1, 0]));
  const value = stridedInputGradient(layouts, {
    dy,
    dims,
    geometry,
    groups: 1,
    filterOf: (taps, size) => {
      const source = taps.includes(kernel[0] * kernel[1]) ? withZeros() : swapped();
      return reshape(b, gather(b, source, 2, taps), [channels, layouts.padded(outputChannels), ...size]);
    },
  });
  if (value === undefined) return false;
  layouts.setBlocked(dx, value);
  return true;
}
