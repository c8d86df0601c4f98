import { hasInput, orDefault } from "../../graph/at.js";
import { intsAttribute, stringAttribute } from "../../graph/attributes.js";
import { fullyKnown, intsArgument, normalizeAxes } from "../core/arguments.js";
import {
  type ChannelContext,
  type ChannelRule,
  firstConstants,
  identityPairs,
  type LaneEditor,
  rankOfLanes,
  wall,
} from "../core/channels.js";
import { laneWise, ofConstant } from "./lanewise.js";
import { withInts } from "./parameters.js";

/** Rules of operators that enlarge or repeat maps: Resize, Upsample, Expand, Tile. */

/** Interpolation: weights of any mode add up to 1, so a constant stays, unless a value is put in outside the map. */
const interpolation = laneWise({
  constant: ofConstant((x, context) => (extrapolates(context) ? undefined : x)),
});

function extrapolates({ node }: ChannelContext): boolean {
  return stringAttribute(node, "coordinate_transformation_mode") === "tf_crop_and_resize";
}

/** Resize and Upsample: interpolation never mixes channels; where the sizes are stated, so is their number. */
export const resizeChannels: ChannelRule = (context) => {
  const flow = interpolation(context);
  if ("wall" in flow || !hasInput(context.node, 3)) return flow;
  const { node } = context;
  // Where the aspect ratio is kept, all axes that sizes are stated for depend on each other.
  const keepsAspect = (stringAttribute(node, "keep_aspect_ratio_policy") ?? "stretch") !== "stretch";
  const sizes = fullyKnown(intsArgument(context, 3, ""));
  if (sizes === undefined) return wall("its sizes are not constant");
  const axes = intsAttribute(node, "axes") ?? sizes.map((_, axis) => axis);
  const at = normalizeAxes(node, axes, rankOfLanes(context)).indexOf(1);
  if (at < 0) return flow;
  if (keepsAspect) return wall("its sizes are bounds");
  const counted = (edit: LaneEditor): readonly number[] => sizes.with(at, edit.output(0).length);
  return {
    ...flow,
    rewrite: (edit) => [withInts(context, node, edit, { port: 3, attribute: "", values: counted(edit) })],
  };
};

/** Expand to a constant shape of the same rank: of one channel to many, or along other axes. */
export const expandChannels: ChannelRule = (context) => {
  const { node, lanes, outputLanes, outputs } = context;
  const [channels] = lanes;
  const [expanded] = outputLanes;
  const shape = fullyKnown(intsArgument(context, 1, "shape"));
  if (channels === undefined || expanded === undefined || shape === undefined)
    return wall("its shape is not constant");
  if (outputs[0]?.shape?.length !== rankOfLanes(context))
    return wall("it adds axes in front of the channels");
  const isSpread = channels < expanded;
  // Negative where the shape is shorter than the input's, which leaves the channels alone.
  const at = 1 - (rankOfLanes(context) - shape.length);
  const before = firstConstants(context);
  return {
    ties: isSpread ? [] : [{ input: 0, output: 0, pairs: identityPairs(channels) }],
    carried: [0],
    ...(isSpread ? { reads: () => [{ port: 0, lane: 0 }] } : {}),
    constants: [isSpread ? Array.from({ length: expanded }, () => before[0]) : before],
    rewrite: (edit) => {
      if (orDefault(shape[at], 1) === 1) return [node];
      return [
        withInts(context, node, edit, {
          port: 1,
          attribute: "shape",
          values: shape.with(at, edit.output(0).length),
        }),
      ];
    },
  };
};

/** Tile: all copies of a channel stay or go with it. */
export const tileChannels: ChannelRule = (context) => {
  const [channels] = context.lanes;
  const [outputs] = context.outputLanes;
  if (channels === undefined || outputs === undefined || outputs % channels !== 0)
    return wall("the number of repetitions is not known");
  const sources = Array.from({ length: outputs }, (_, lane) => lane % channels);
  return {
    ties: [{ input: 0, output: 0, pairs: sources.map((from, to) => [from, to]) }],
    carried: [0],
    constants: [sources.map((from) => context.constants[0]?.[from])],
    rewrite: () => [context.node],
  };
};
