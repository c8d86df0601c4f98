import { present } from "../../graph/at.js";
import { intAttribute, stringAttribute } from "../../graph/attributes.js";
import { type ChannelRule, firstConstants, type LaneConstants, wall } from "../core/channels.js";

/** Lane `fine` of the side with more channels, of which `coarse` of the other side is made. */
type CoarseOf = (fine: number) => number;

/**
 * DepthToSpace and SpaceToDepth: a channel of the larger map and the blocksize² channels that it is spread over stay
 * or go together; what stays keeps its order.
 */
function blockFlow(direction: "to-space" | "to-depth"): ChannelRule {
  return (context) => {
    const { node, lanes, outputLanes } = context;
    const [inputs, outputs] = [lanes[0], outputLanes[0]];
    if (inputs === undefined || outputs === undefined) return wall("the number of channels is not known");
    const [fine, coarse] = direction === "to-space" ? [inputs, outputs] : [outputs, inputs];
    const block = present(intAttribute(node, "blocksize")) ** 2;
    const inOrder = direction === "to-space" && stringAttribute(node, "mode") === "CRD";
    const coarseOf: CoarseOf = inOrder ? (lane) => Math.floor(lane / block) : (lane) => lane % coarse;
    const lanePairs = Array.from({ length: fine }, (_, lane) => [lane, coarseOf(lane)] as const);
    const before = firstConstants(context);
    return {
      ties: [
        {
          input: 0,
          output: 0,
          pairs: direction === "to-space" ? lanePairs : lanePairs.map(([from, to]) => [to, from] as const),
        },
      ],
      carried: [0],
      constants: [
        direction === "to-space"
          ? joined(before, outputs, coarseOf)
          : lanePairs.map(([, source]) => before[source]),
      ],
      rewrite: () => [node],
    };
  };
}

/** The constant of each coarse lane that all its fine lanes share. */
function joined(fine: LaneConstants, lanes: number, coarseOf: CoarseOf): LaneConstants {
  const common: (number | undefined)[] = Array.from({ length: lanes }, () => undefined);
  const isSeen = new Uint8Array(lanes);
  fine.forEach((value, index) => {
    const lane = coarseOf(index);
    if (isSeen[lane] === 0) common[lane] = value;
    else if (common[lane] !== value) common[lane] = undefined;
    isSeen[lane] = 1;
  });
  return common;
}

export const depthToSpaceChannels: ChannelRule = blockFlow("to-space");
export const spaceToDepthChannels: ChannelRule = blockFlow("to-depth");
