import { at, entryOf, hasInput, present } from "../../graph/at.js";
import { intAttributeOr } from "../../graph/attributes.js";
import { int64Tensor } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";
import { fullyKnown, intsArgument, normalizeAxis, partlyKnown } from "../core/arguments.js";
import {
  type ChannelContext,
  type ChannelFlow,
  type ChannelRule,
  firstConstants,
  identityPairs,
  type LaneConstants,
  type LaneEditor,
  rankOfLanes,
  shiftedPairs,
  type Tie,
  unknownConstants,
  type Wall,
  wall,
  withAttributes,
  withInputs,
} from "../core/channels.js";
import type { NodeContext } from "../core/context.js";
import { laneWise, sameConstant } from "./lanewise.js";
import { withInts } from "./parameters.js";

/** Rules of operators that put lanes side by side, take some, or add some: Concat, Split, Slice, Gather, Pad. */

const unknownCount = wall("the number of channels is not known");

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
    return axisOf(context.node, rankOfLanes(context)) === 1
      ? sideBySide(context, counts)
      : oneByOne(context, counts);
  };
}

function sideBySide(context: ChannelContext, counts: readonly number[]): ChannelFlow {
  let offset = 0;
  const ties = counts.map((count, input): Tie => {
    const start = offset;
    offset += count;
    return { input, output: 0, pairs: shiftedPairs(count, start) };
  });
  return {
    ties,
    carried: [...counts.keys()],
    constants: [joined(context, counts)],
    rewrite: () => [context.node],
  };
}

/** The constants of lanes that follow each other; undefined where none is known. */
function joined({ constants }: ChannelContext, counts: readonly number[]): LaneConstants | undefined {
  if (!constants.some((part) => part?.some((value) => value !== undefined))) return undefined;
  return counts.flatMap((count, input) => constants[input] ?? unknownConstants(count));
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
    const [channels] = context.lanes;
    if (channels === undefined) return unknownCount;
    if (axis(context.node, rankOfLanes(context)) !== 1) return elsewhere(context);
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
        if (context.opset < 13 || hasInput(node, 1))
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
  const at = axes?.findIndex((axis) => normalizeAxis(context.node, axis, rankOfLanes(context)) === 1);
  if (at === undefined) return undefined;
  if (at < 0) return "none";
  const [start, end, step] = [starts?.[at], ends?.[at], steps?.[at]];
  if (typeof start !== "number" || typeof end !== "number" || typeof step !== "number") return undefined;
  return { at, start, end, step };
}

/** Slice: along axis 1 a run of lanes with step 1; along other axes all lanes. */
export const sliceChannels: ChannelRule = (context) => {
  const [channels] = context.lanes;
  if (channels === undefined) return unknownCount;
  const entry = sliceOfChannels(context);
  if (entry === undefined) return wall("it is not known which channels it takes");
  if (entry === "none") return laneWise({ constant: sameConstant })(context);
  if (entry.step !== 1) return wall("it takes channels with a step");
  const clamp = (position: number): number =>
    Math.min(Math.max(position < 0 ? position + channels : position, 0), channels);
  const first = clamp(entry.start);
  const last = clamp(entry.end);
  if (last <= first) return wall("it takes no channels");
  const { tie, constants } = taken(context, 0, range(first, last - first));
  const carried = { ties: [tie], carried: [0], constants: [constants] };
  if (first === 0 && last === channels) return { ...carried, rewrite: () => [context.node] };
  const starts = fullyKnown(intsArgument(context, 1, "starts"));
  const ends = fullyKnown(intsArgument(context, 2, "ends"));
  if (starts === undefined || ends === undefined) return wall("its ranges are not constant");
  return {
    ...carried,
    rewrite: (edit) => {
      const before = edit.input(0).filter((lane) => lane < first).length;
      const after = before + edit.output(0).length;
      const newStarts = { port: 1, attribute: "starts", values: starts.with(entry.at, before) };
      const newEnds = { port: 2, attribute: "ends", values: ends.with(entry.at, after) };
      return [withInts(context, withInts(context, context.node, edit, newStarts), edit, newEnds)];
    },
  };
};

/** Gather with a constant list of indices: along axis 1 any choice of lanes. */
export const gatherChannels: ChannelRule = (context) => {
  const [channels] = context.lanes;
  if (channels === undefined) return unknownCount;
  const axis = normalizeAxis(context.node, intAttributeOr(context.node, "axis", 0), rankOfLanes(context));
  const dims = context.values[1]?.dims;
  if (dims === undefined) return wall("its indices are not constant");
  if (axis > 1) return laneWise({ constant: sameConstant })(context);
  const indices = fullyKnown(intsArgument(context, 1, ""));
  if (axis !== 1 || dims.length !== 1 || indices === undefined)
    return wall("it does not take a list of channels");
  const sources = indices.map((index) => (index < 0 ? index + channels : index));
  if (sources.some((source) => source < 0 || source >= channels))
    return wall("it takes channels that there are not");
  const { tie, constants } = taken(context, 0, sources);
  return {
    ties: [tie],
    carried: [0],
    constants: [constants],
    rewrite: (edit) => {
      const position = new Map(edit.input(0).map((lane, place) => [lane, place]));
      const values = edit.output(0).map((lane) => entryOf(position, present(sources[lane])));
      return [withInts(context, context.node, edit, { port: 1, attribute: "", values })];
    },
  };
};

export interface PadParameters {
  readonly margins: (
    context: NodeContext,
    rank: number,
  ) => { readonly begins: readonly number[]; readonly ends: readonly number[] } | undefined;
  readonly mode: (node: Node) => string;
  readonly fill: (context: NodeContext) => number | undefined;
}

/** Pad: along axis 1 it adds lanes that hold the fill value; along other axes a lane keeps its constant only if it is that value. */
export function padChannels({ margins, mode, fill: fillOf }: PadParameters): ChannelRule {
  return (context) => {
    const [channels] = context.lanes;
    if (channels === undefined) return unknownCount;
    const known = margins(context, rankOfLanes(context));
    if (known === undefined) return wall("its pads are not constant");
    const { begins, ends } = known;
    const constantMode = mode(context.node) === "constant";
    const before = at(begins, 1);
    const after = at(ends, 1);
    if (before < 0 || after < 0) return wall("it removes channels");
    if (!constantMode && before + after > 0) return wall("it repeats channels");
    const fill = fillOf(context);
    const grows =
      constantMode && [...begins, ...ends].some((pad, index) => index % begins.length !== 1 && pad > 0);
    const inner = firstConstants(context).map((x) => (!grows || x === fill ? x : undefined));
    const added = (count: number): LaneConstants => range(0, count).map(() => fill);
    return {
      ties: [{ input: 0, output: 0, pairs: shiftedPairs(channels, before) }],
      carried: [0],
      constants: [[...added(before), ...inner, ...added(after)]],
      rewrite: (edit) => {
        if (before + after === 0) return [context.node];
        const kept = edit.output(0);
        const beginning = kept.filter((lane) => lane < before).length;
        const end = kept.filter((lane) => lane >= before + channels).length;
        return [withPads(context, edit, beginning, end)];
      },
    };
  };
}

function withPads(context: ChannelContext, edit: LaneEditor, before: number, after: number): Node {
  const pads = present(fullyKnown(intsArgument(context, 1, "pads")));
  const axes = fullyKnown(intsArgument(context, 3, "axes")) ?? range(0, pads.length / 2);
  const at = axes.findIndex((axis) => normalizeAxis(context.node, axis, rankOfLanes(context)) === 1);
  const values = pads.with(at, before).with(at + axes.length, after);
  return withInts(context, context.node, edit, { port: 1, attribute: "pads", values });
}
