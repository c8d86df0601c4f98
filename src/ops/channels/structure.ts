import { int64Tensor } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";
import { fullyKnown, intsArgument, normalizeAxis, partlyKnown } from "../arguments.js";
import {
  type ChannelContext,
  type ChannelFlow,
  type ChannelRule,
  identityPairs,
  type LaneConstants,
  type Tie,
  unknownConstants,
  type Wall,
  wall,
  withAttributes,
  withInputs,
} from "../channels.js";
import type { NodeContext } from "../definition.js";
import { laneWise, sameConstant } from "./lanewise.js";
import { withInts } from "./parameters.js";

/** Rules of operators that put lanes side by side, take some, or add some: Concat, Split, Slice, Gather, Pad. */

const unknownCount = wall("the number of channels is not known");
const rankOf = (context: ChannelContext): number => context.inputs[0]?.shape?.length ?? 0;

/** Ascending numbers from `start`. */
function range(start: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => start + index);
}

/** Concat: along axis 1 the lanes of the inputs follow each other; along another axis they meet one by one. */
export function concatChannels(axisOf: (node: Node, rank: number) => number): ChannelRule {
  return (context) => {
    const counts = context.lanes.filter((count) => count !== undefined);
    if (counts.length !== context.node.inputs.length)
      return wall("an input is a constant or has no fixed number of channels");
    return axisOf(context.node, rankOf(context)) === 1
      ? sideBySide(context, counts)
      : oneByOne(context, counts);
  };
}

function sideBySide(context: ChannelContext, counts: readonly number[]): ChannelFlow {
  let offset = 0;
  const ties = counts.map((count, input): Tie => {
    const start = offset;
    offset += count;
    return { input, output: 0, pairs: range(0, count).map((lane) => [lane, start + lane]) };
  });
  const constants = counts.flatMap((count, input) => context.constants[input] ?? unknownConstants(count));
  return { ties, carried: [...counts.keys()], constants: [constants], rewrite: () => [context.node] };
}

function oneByOne(context: ChannelContext, counts: readonly number[]): ChannelFlow | Wall {
  const [channels] = context.outputLanes;
  if (channels === undefined || counts.some((count) => count !== channels)) return unknownCount;
  const common = range(0, channels).map((lane) => {
    const [first, ...rest] = context.constants.map((constants) => constants?.[lane]);
    return rest.every((value) => value === first) ? first : undefined;
  });
  return {
    ties: counts.map((_, input) => ({ input, output: 0, pairs: identityPairs(channels) })),
    carried: [...counts.keys()],
    constants: [common],
    rewrite: () => [context.node],
  };
}

/** Input lane of every lane of an output, as ties and constants. */
function taken(
  context: ChannelContext,
  output: number,
  sources: readonly number[],
): { tie: Tie; constants: LaneConstants } {
  return {
    tie: { input: 0, output, pairs: sources.map((from, to) => [from, to]) },
    constants: sources.map((from) => context.constants[0]?.[from]),
  };
}

export interface SplitParameters {
  readonly axis: (node: Node, rank: number) => number;
  readonly sizes: (context: NodeContext, dim: number) => readonly (number | string | undefined)[];
}

/** Split: along axis 1 every output takes a run of lanes. */
export function splitChannels({ axis, sizes }: SplitParameters): ChannelRule {
  const elsewhere = laneWise({ constant: sameConstant });
  return (context) => {
    if (axis(context.node, rankOf(context)) !== 1) return elsewhere(context);
    const [channels] = context.lanes;
    if (channels === undefined) return unknownCount;
    const parts = sizes(context, channels);
    if (!parts.every((size) => typeof size === "number" && size > 0))
      return wall("the sizes of the parts are not known");
    let start = 0;
    const runs = parts.map((size, output) => {
      const first = start;
      start += Number(size);
      return taken(context, output, range(first, Number(size)));
    });
    return {
      ties: runs.map((run) => run.tie),
      carried: [0],
      constants: runs.map((run) => run.constants),
      rewrite: (edit) => {
        const values = context.node.outputs.map((_, output) => edit.output(output).length);
        const node = withAttributes(context.node, { num_outputs: undefined });
        if (context.opset < 13 || (node.inputs[1] ?? "") !== "")
          return [withInts(context, node, edit, { port: 1, attribute: "split", values })];
        const name = edit.add(`${node.outputs[0] ?? node.name}.sizes`, int64Tensor([values.length], values));
        return [withInputs(node, new Map([[1, name]]))];
      },
    };
  };
}

interface AxisEntry {
  /** Position of axis 1 in the node's lists. */
  readonly at: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** What a Slice node says about axis 1: "none" if it leaves the axis alone, undefined if that is not known. */
function sliceOfChannels(context: ChannelContext): AxisEntry | "none" | undefined {
  const starts = partlyKnown(intsArgument(context, 1, "starts"));
  const ends = partlyKnown(intsArgument(context, 2, "ends"));
  const axesArgument = intsArgument(context, 3, "axes");
  const stepsArgument = intsArgument(context, 4, "steps");
  const axes = axesArgument.kind === "absent" ? starts?.map((_, axis) => axis) : fullyKnown(axesArgument);
  const steps = stepsArgument.kind === "absent" ? starts?.map(() => 1) : partlyKnown(stepsArgument);
  const at = axes?.findIndex((axis) => normalizeAxis(context.node, axis, rankOf(context)) === 1);
  if (at === undefined) return undefined;
  if (at < 0) return "none";
  const [start, end, step] = [starts?.[at], ends?.[at], steps?.[at]];
  if (typeof start !== "number" || typeof end !== "number" || typeof step !== "number") return undefined;
  return { at, start, end, step };
}

/** Slice: along axis 1 a run of lanes with step 1; along other axes all lanes. */
export const sliceChannels: ChannelRule = (context) => {
  const [channels] = context.lanes;
  const entry = sliceOfChannels(context);
  if (entry === undefined || channels === undefined) return wall("it is not known which channels it takes");
  if (entry === "none") return laneWise({ constant: sameConstant })(context);
  if (entry.step !== 1) return wall("it takes channels with a step");
  const clamp = (position: number): number =>
    Math.min(Math.max(position < 0 ? position + channels : position, 0), channels);
  const first = clamp(entry.start);
  const last = clamp(entry.end);
  if (last <= first) return wall("it takes no channels");
  const { tie, constants } = taken(context, 0, range(first, last - first));
  const starts = fullyKnown(intsArgument(context, 1, "starts"));
  const ends = fullyKnown(intsArgument(context, 2, "ends"));
  const whole = first === 0 && last === channels;
  if (!whole && (starts === undefined || ends === undefined)) return wall("its ranges are not constant");
  return {
    ties: [tie],
    carried: [0],
    constants: [constants],
    rewrite: (edit) => {
      if (whole || starts === undefined || ends === undefined)
        return [whole ? allChannels(context) : context.node];
      const before = edit.input(0).filter((lane) => lane < first).length;
      const after = before + edit.output(0).length;
      const moved = withInts(context, context.node, edit, {
        port: 1,
        attribute: "starts",
        values: starts.with(entry.at, before),
      });
      return [
        withInts(context, moved, edit, { port: 2, attribute: "ends", values: ends.with(entry.at, after) }),
      ];
    },
  };
};
