import { at } from "../../graph/at.js";
import { intAttribute, intAttributeOr } from "../../graph/attributes.js";
import { elementCount } from "../../graph/tensor.js";
import type { Node, Shape } from "../../graph/types.js";
import { fullyKnown, intsArgument, normalizeAxes } from "../core/arguments.js";
import {
  type ChannelContext,
  type ChannelFlow,
  type ChannelRule,
  firstConstants,
  type LaneConstants,
  type LaneEditor,
  laneConstant,
  rankOfLanes,
  type Wall,
  wall,
} from "../core/channels.js";
import { laneWise, sameConstant } from "./lanewise.js";
import { withInts } from "./parameters.js";

/** Rules of operators that change dimensions: a channel becomes H*W features, or H*W features a channel. */

/** How many lanes one lane becomes (`finer`), or how many become one (`coarser`). */
type Regrouping = { readonly finer: number } | { readonly coarser: number };

/** Product of the dimensions behind axis 1. */
function extentOf(shape: Shape): number | undefined {
  const rest = shape.slice(2);
  return rest.every((dim) => typeof dim === "number") ? elementCount(rest) : undefined;
}

function regrouping(input: Shape, output: Shape): Regrouping | undefined {
  const [, from] = input;
  const [, to] = output;
  const before = extentOf(input);
  const after = extentOf(output);
  if (typeof from !== "number" || typeof to !== "number" || before === undefined || after === undefined)
    return undefined;
  // Equal products mean that the batch axis is left alone.
  if (from * before !== to * after || before * after === 0) return undefined;
  if (before % after === 0) return { finer: before / after };
  return after % before === 0 ? { coarser: after / before } : undefined;
}

function regroupedConstants(before: LaneConstants, grouping: Regrouping, lanes: number): LaneConstants {
  if ("finer" in grouping)
    return Array.from({ length: lanes }, (_, lane) => before[Math.floor(lane / grouping.finer)]);
  return Array.from({ length: lanes }, (_, lane) => {
    const [first, ...rest] = before.slice(lane * grouping.coarser, (lane + 1) * grouping.coarser);
    return rest.every((value) => value === first) ? laneConstant(first) : undefined;
  });
}

function regroupingFlow(
  context: ChannelContext,
  grouping: Regrouping,
  rewrite: (edit: LaneEditor) => Node,
): ChannelFlow | Wall {
  const [channels] = context.lanes;
  const [outputs] = context.outputLanes;
  if (channels === undefined || outputs === undefined) return wall("the number of channels is not known");
  const finer = "finer" in grouping ? grouping.finer : 1;
  const coarser = "coarser" in grouping ? grouping.coarser : 1;
  const pairs = Array.from(
    { length: Math.max(channels, outputs) },
    (_, lane) => [Math.floor(lane / finer), Math.floor(lane / coarser)] as const,
  );
  return {
    ties: [{ input: 0, output: 0, pairs }],
    carried: [0],
    constants: [regroupedConstants(firstConstants(context), grouping, outputs)],
    rewrite: (edit) => [rewrite(edit)],
  };
}

/** Flatten with axis 1: [N, C, H, W] -> [N, C * H * W]. */
export const flattenChannels: ChannelRule = (context) => {
  const input = context.inputs[0]?.shape;
  const output = context.outputs[0]?.shape;
  const axis = intAttributeOr(context.node, "axis", 1);
  if (input === undefined || output === undefined) return wall("the shape is not known");
  if (axis !== 1 && axis !== 1 - input.length) return wall("it does not keep the batch axis apart");
  const grouping = regrouping(input, output);
  if (grouping === undefined) return wall("the number of positions per channel is not known");
  return regroupingFlow(context, grouping, () => context.node);
};

/** Reshape that leaves the batch axis alone and splits or joins whole channels: [N, C, H, W] <-> [N, C * H * W]. */
export const reshapeChannels: ChannelRule = (context) => {
  const input = context.inputs[0]?.shape;
  const output = context.outputs[0]?.shape;
  const wanted = fullyKnown(intsArgument(context, 1, "shape"));
  if (input === undefined || output === undefined || wanted === undefined)
    return wall("the shape is not known");
  if (intAttribute(context.node, "allowzero") === 1 && wanted.includes(0)) return wall("a dimension is 0");
  const grouping = keepsFirstAxes(input, output, wanted) ? { finer: 1 } : regrouping(input, output);
  if (grouping === undefined) return wall("it mixes channels with other axes");
  return regroupingFlow(context, grouping, (edit) => {
    const stated = at(wanted, 1);
    if (stated <= 0) return context.node;
    const values = wanted.with(1, edit.output(0).length);
    return withInts(context, context.node, edit, { port: 1, attribute: "shape", values });
  });
};

/** Whether batch and channels stay as they are, whatever happens to the (perhaps unknown) rest. */
function keepsFirstAxes(input: Shape, output: Shape, wanted: readonly number[]): boolean {
  const [batch, channels] = wanted;
  const sameBatch = batch === 0 || (input[0] !== undefined && input[0] === output[0]);
  return sameBatch && (channels === 0 || (channels !== undefined && channels === input[1]));
}

/** Rule of Squeeze and Unsqueeze, as long as axes 0 and 1 stay where they are. */
function unitAxes(longer: "input" | "output"): ChannelRule {
  return laneWise({
    constant: sameConstant,
    unless: (context) => {
      const rank = (longer === "input" ? context.inputs : context.outputs)[0]?.shape?.length;
      const axes = fullyKnown(intsArgument(context, 1, "axes"));
      if (rank === undefined || axes === undefined) return "the axes are not known";
      return normalizeAxes(context.node, axes, rank).some((axis) => axis < 2)
        ? "it moves the batch or the channel axis"
        : undefined;
    },
  });
}

export const squeezeChannels: ChannelRule = unitAxes("input");
export const unsqueezeChannels: ChannelRule = unitAxes("output");

/** Transpose that permutes spatial axes only. */
export function transposeChannels(permutation: (node: Node, rank: number) => readonly number[]): ChannelRule {
  return laneWise({
    constant: sameConstant,
    unless: (context) => {
      const [first, second] = permutation(context.node, rankOfLanes(context));
      return first === 0 && second === 1 ? undefined : "it moves the batch or the channel axis";
    },
  });
}
