import { hasOutput } from "../../graph/at.js";
import { intAttribute, intsAttribute, stringAttribute } from "../../graph/attributes.js";
import type { Node } from "../../graph/types.js";
import { fullyKnown, intsArgument, normalizeAxes } from "../core/arguments.js";
import type { ChannelRule } from "../core/channels.js";
import { type LaneFunction, laneWise, ofConstant, sameConstant } from "./lanewise.js";

/**
 * MaxPool: padding never wins, so a constant stays, except that the taps of a dilated window may all lie in the
 * padding; the indices output numbers elements across channels.
 */
export const maxPoolChannels: ChannelRule = laneWise({
  constant: ofConstant((x, { node }) => (mayMissTheMap(node) ? undefined : x)),
  unless: ({ node }) => (hasOutput(node, 1) ? "its indices count across channels" : undefined),
});

/** Whether a window may have no tap inside the map. */
function mayMissTheMap(node: Node): boolean {
  return intsAttribute(node, "dilations")?.some((dilation) => dilation > 1) === true && mayPad(node);
}

function mayPad(node: Node): boolean {
  const autoPad = stringAttribute(node, "auto_pad") ?? "NOTSET";
  const automatic = autoPad !== "NOTSET" && autoPad !== "VALID";
  const padded = intsAttribute(node, "pads")?.some((pad) => pad !== 0) === true;
  return padded || automatic || intAttribute(node, "ceil_mode") === 1;
}

/** AveragePool: a constant stays unless zeros of the padding take part in the average, or nothing does. */
export const averagePoolChannels: ChannelRule = laneWise({
  constant: ofConstant((x, { node }) => {
    if (mayMissTheMap(node)) return undefined;
    return x === 0 || !countsPadding(node) ? x : undefined;
  }),
});

function countsPadding(node: Node): boolean {
  return intAttribute(node, "count_include_pad") === 1 && mayPad(node);
}

/** GlobalAveragePool, GlobalMaxPool. */
export const globalPoolChannels: ChannelRule = laneWise({ constant: sameConstant });

/** Reductions over spatial axes; mean, maximum and minimum leave a constant as it is (`sameConstant`). */
export function reductionChannels(constant: LaneFunction = () => undefined): ChannelRule {
  return laneWise({
    constant,
    unless: (context) => {
      const rank = context.inputs[0]?.shape?.length;
      const axes = fullyKnown(intsArgument(context, 1, "axes"));
      if (rank === undefined || axes === undefined) return "the axes are not known";
      const reducesLanes = normalizeAxes(context.node, axes, rank).some((axis) => axis < 2);
      return reducesLanes || axes.length === 0 ? "it reduces the batch or the channel axis" : undefined;
    },
  });
}

/** Reductions to the place of an extremum, along one spatial axis. */
export function searchChannels(axisOf: (node: Node, rank: number) => number): ChannelRule {
  return laneWise({
    unless: ({ node, inputs }) => {
      const rank = inputs[0]?.shape?.length;
      if (rank === undefined) return "the shape is not known";
      return axisOf(node, rank) < 2 ? "it searches the batch or the channel axis" : undefined;
    },
  });
}
