import { outputOf } from "../../graph/at.js";
import type { Node } from "../../graph/types.js";
import { inputGradientGeometry } from "../../ops/composites/conv_input_gradient.js";
import { compositeInputs } from "../../ops/core/composite.js";
import { reshape } from "../../ops/core/emit.js";
import { type ConvGeometry, isUnstrided, unstridedPads } from "../../ops/families/conv_gradient.js";
import { isWorthwhile, sharedFilter, sharedSwappedFilter } from "./convolution.js";
import { depthwiseInputGradient, hasOneKernelPerChannel } from "./depthwise.js";
import { blockedInputGradientFilter, narrowInputGradientFilter } from "./filters.js";
import { groupedInputGradient } from "./grouped.js";
import type { Layouts } from "./layouts.js";
import { gradientByTaps } from "./strided_gradient.js";
import { isWinograd, winogradInputGradient } from "./winograd.js";

/** ConvInputGradient in the form that fits the groups and strides. */
export function convolutionInputGradient(layouts: Layouts, node: Node): boolean {
  const [dy, weight] = compositeInputs(node, 2);
  const dx = outputOf(node, 0);
  const geometry = inputGradientGeometry(node, layouts.dims(weight));
  const value = formOf(layouts, geometry)?.(layouts, geometry, { dy, weight });
  if (value === undefined) return false;
  layouts.setBlocked(dx, value);
  return true;
}

interface GradientOperands {
  readonly dy: string;
  readonly weight: string;
}

/** dx; undefined where the form does not reach. */
type InputGradientForm = (
  layouts: Layouts,
  geometry: ConvGeometry,
  operands: GradientOperands,
) => string | undefined;

function formOf(layouts: Layouts, geometry: ConvGeometry): InputGradientForm | undefined {
  const { inputChannels, outputChannels, groups, strides } = geometry;
  if (hasOneKernelPerChannel(geometry)) return depthwiseInputGradient;
  if (groups > 1) return groupedInputGradient;
  if (!isWorthwhile(layouts, outputChannels, inputChannels)) return undefined;
  if (strides.some((stride) => stride > 1)) return stridedInputGradient;
  if (!isUnstrided(geometry)) return undefined;
  return isWinograd(layouts.block, geometry) ? winogradInputGradient : directInputGradient;
}

/** dx for stride 1: dy convolved with the kernels whose channels are swapped and whose taps are reversed. */
export function directInputGradient(
  layouts: Layouts,
  geometry: ConvGeometry,
  { dy, weight }: GradientOperands,
): string {
  const { batch, input, inputChannels, outputChannels, kernel, dilations } = geometry;
  const isNarrow = outputChannels < layouts.block;
  return layouts.emit.conv({
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

function stridedInputGradient(
  layouts: Layouts,
  geometry: ConvGeometry,
  { dy, weight }: GradientOperands,
): string | undefined {
  const { outputChannels, kernel } = geometry;
  const { b, block } = layouts;
  if (outputChannels < block) return undefined;
  const swapped = sharedSwappedFilter(layouts, weight);
  const kernels = reshape(b, swapped, [-1, kernel[0] * kernel[1], block * block]);
  return gradientByTaps(layouts, {
    dy,
    geometry,
    kernels,
    perGroup: layouts.padded(outputChannels),
    groups: 1,
  });
}
