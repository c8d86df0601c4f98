import { intAttribute } from "../../graph/attributes.js";
import { fullyKnown, intsArgument, normalizeAxes } from "../arguments.js";
import type { ChannelContext, ChannelRule } from "../channels.js";
import { type LaneFunction, laneWise, ofConstant, sameConstant } from "./lanewise.js";

/** MaxPool: padding never wins, so a constant stays; the indices output numbers elements across channels. */
export const maxPoolChannels: ChannelRule = laneWise({
  constant: sameConstant,
  unless: ({ node }) => ((node.outputs[1] ?? "") === "" ? undefined : "its indices count across channels"),
});

/** AveragePool: a constant stays unless zeros of the padding take part in the average. */
export function averagePoolChannels(isPadded: (context: ChannelContext) => boolean): ChannelRule {
  return laneWise({
    constant: ofConstant((x, context) => {
      const countsPadding = intAttribute(context.node, "count_include_pad") === 1;
      return x !== 0 && countsPadding && isPadded(context) ? undefined : x;
    }),
  });
}

/** GlobalAveragePool, GlobalMaxPool. */
export const globalPoolChannels: ChannelRule = laneWise({ constant: sameConstant });

/** Reductions over spatial axes; by default (mean, maximum, minimum) a constant stays. */
export function reductionChannels(constant: LaneFunction = sameConstant): ChannelRule {
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

/** Resize and Upsample by scales: interpolation never mixes channels. */
export const resizeChannels: ChannelRule = laneWise({
  unless: ({ node }) => ((node.inputs[3] ?? "") === "" ? undefined : "it states sizes instead of scales"),
});
