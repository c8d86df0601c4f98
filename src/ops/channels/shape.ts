import { intAttribute, intAttributeOr } from "../../graph/attributes.js";
import { fullyKnown, intsArgument } from "../core/arguments.js";
import { type ChannelRule, wall } from "../core/channels.js";
import type { NodeContext } from "../core/context.js";

/** The positions along axis 0 that a Slice takes of a list with so many elements; undefined where not constant. */
export type TakenPositions = (context: NodeContext, length: number) => readonly number[] | undefined;

/**
 * Shape: tells the number of channels, unless the node leaves it out (`start`, `end`) or nobody reads it: every reader
 * takes other numbers of the list.
 */
export function shapeChannels(slicePositions: TakenPositions): ChannelRule {
  return (context) => {
    const { node, inputs } = context;
    const rank = inputs[0]?.shape?.length;
    if (rank === undefined) return wall("the shape is not known");
    const axes = Array.from({ length: rank }, (_, axis) => axis);
    const told = axes.slice(intAttributeOr(node, "start", 0), intAttribute(node, "end"));
    const channelsAt = told.indexOf(1);
    const readers = context.readers(0);
    const isRead = (reader: NodeContext): boolean =>
      takenOf(reader, told.length, slicePositions)?.includes(channelsAt) ?? true;
    if (channelsAt >= 0 && (readers === undefined || readers.some(isRead)))
      return wall("it tells the number of channels");
    return { ties: [], carried: [0], constants: [], rewrite: () => [node] };
  };
}

/** The positions of a list that a reader takes; undefined if it is not known, or it takes the list as a whole. */
function takenOf(
  reader: NodeContext,
  length: number,
  slicePositions: TakenPositions,
): readonly number[] | undefined {
  const { node } = reader;
  if (node.op === "Slice" && node.domain === "") return slicePositions(reader, length);
  if (node.op !== "Gather" || node.domain !== "") return undefined;
  const indices = fullyKnown(intsArgument(reader, 1, ""));
  return indices?.map((index) => (index < 0 ? index + length : index));
}
