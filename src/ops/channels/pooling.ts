import { intAttribute, intsAttribute, stringAttribute } from "../../graph/attributes.js";
import type { Node } from "../../graph/types.js";
import { fullyKnown, intsArgument, normalizeAxes } from "../arguments.js";
import type { ChannelRule } from "../channels.js";
import { type LaneFunction, laneWise, ofConstant, sameConstant } from "./lanewise.js";

/** MaxPool: padding never wins, so a constant stays; the indices output numbers elements across channels. */
export const maxPoolChannels: ChannelRule = laneWise({
  constant: sameConstant,
  unless: ({ node }) => ((node.outputs[1] ?? "") === "" ? undefined : "its indices count across channels"),
});

/** AveragePool: a constant stays unless zeros of the padding take part in the average. */
export const averagePoolChannels: ChannelRule = laneWise({
  constant: ofConstant((x, { node }) => (x === 0 || !countsPadding(node) ? x : undefined)),
});

function countsPadding(node: Node): boolean {
  if (intAttribute(node, "count_include_pad") !== 1) return false;
  const autoPad = stringAttribute(node, "auto_pad") ?? "NOTSET";
  const automatic = autoPad !== "NOTSET" && autoPad !== "VALID";
  const padded = intsAttribute(node, "pads")?.some((pad) => pad !== 0) ?? false;
  return padded || automatic || intAttribute(node, "ceil_mode") === 1;
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

/** Resize and Upsample by scales: interpolation never mixes channels. */
export const resizeChannels: ChannelRule = laneWise({
  unless: ({ node }) => ((node.inputs[3] ?? "") === "" ? undefined : "it states sizes instead of scales"),
});
