import { shapeError } from "../../graph/shape_error.js";
import { compositeInputs } from "../core/composite.js";
import type { OpDefinition } from "../core/definition.js";
import { onlyInTraining } from "../core/definition.js";
import { add, mul } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { channelDot, channelSum, elementsPerChannel, perChannel } from "../families/normalization.js";

/**
 * Gradient of BatchNormalizationTraining, a composite: dy and c (both [N, C, ...]), scale and r (both [C]) ->
 * dx, dscale, dbias, each of which may be omitted. With M elements per channel:
 * dbias = Σ dy, dscale = r Σ dy · c, dx = scale · r · (dy - dbias / M - c · r² · (Σ dy · c) / M).
 */
export const BatchNormalizationGradient: OpDefinition = {
  type: "BatchNormalizationGradient",
  gradient: onlyInTraining,
  channels: onlyInTraining,
  cost: onlyInTraining,
  onBlocks: true,
  shape: ({ node, inputs: [dy, , scale] }) => {
    if (dy === undefined || scale === undefined) throw shapeError(node, "the type of an input is unknown");
    return [dy, scale, scale];
  },
  expand: (b, node) => {
    const [dy, centered, scale, inverseStd] = compositeInputs(node, 4);
    const shape = b.dims(dy);
    const sum = channelSum(b, dy);
    const dot = channelDot(b, dy, centered);
    const dScale = mul(b, dot, inverseStd);
    if (node.outputs[0] === "") return [undefined, dScale, sum];
    const { gain, slope, shift } = inputGradientFactors(b, { scale, inverseStd, sum, dot }, shape);
    const spread = (name: string): string => perChannel(b, name, shape.length);
    const scaled = add(b, mul(b, dy, spread(gain)), mul(b, centered, spread(slope)));
    return [add(b, scaled, spread(shift)), dScale, sum];
  },
};

/** dx = gain · dy + slope · c + shift; all [C], for x of the given dimensions. */
export function inputGradientFactors(
  b: Emitter,
  names: { scale: string; inverseStd: string; sum: string; dot: string },
  dims: readonly number[],
): { readonly gain: string; readonly slope: string; readonly shift: string } {
  const { inverseStd } = names;
  const gain = mul(b, names.scale, inverseStd);
  const share = mul(b, gain, b.scalar(-1 / elementsPerChannel(dims)));
  return {
    gain,
    slope: mul(b, share, mul(b, mul(b, inverseStd, inverseStd), names.dot)),
    shift: mul(b, share, names.sum),
  };
}
