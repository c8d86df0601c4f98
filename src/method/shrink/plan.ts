import { at, countOf, inputOf, outputOf } from "../../graph/at.js";
import { PenniError } from "../../graph/errors.js";
import { outputOrOmitted } from "../../graph/operands.js";
import type { Graph, Node } from "../../graph/types.js";
import { type ChannelFlow, type ForwardMode, forEachPair } from "../../ops/core/channels.js";
import { analyseChannels, type ChannelAnalysis, type WallNode } from "./analysis.js";
import { LaneClasses, type Liveness } from "./lane_classes.js";
import { type LayerChannels, layerChannels } from "./layers.js";

/** What one layer keeps. */
export interface LayerPlan {
  readonly before: LayerChannels;
  readonly keptInputs: number;
  readonly keptOutputs: number;
}

/** Which lanes of a graph stay. */
export interface ShrinkPlan {
  readonly mode: ForwardMode;
  /** Lanes that stay, ascending, for every value that loses some. */
  readonly kept: ReadonlyMap<string, readonly number[]>;
  /** Convolutions and matrix products, in the graph's order. */
  readonly layers: readonly LayerPlan[];
  /** Nodes all of whose channels stay, and why. */
  readonly walls: readonly WallNode[];
  /** Operands that become constants although no lane goes with them. */
  readonly simplified: readonly Node[];
}

export interface ShrinkOptions {
  /** Keep so many channels that their number is a multiple of this, or all of them (1). */
  readonly multiple?: number;
  /** What the graph computes the same for ("inference"). */
  readonly mode?: ForwardMode;
}

/** Whether applying the plan changes anything. */
export function changesAnything(plan: ShrinkPlan): boolean {
  return plan.kept.size > 0 || plan.simplified.length > 0;
}

/**
 * The largest set of channels that can go without changing any output of the graph: the least fixed point of
 * "a lane stays if it is pinned, tied to one that stays, or read by one that stays". Every value keeps at
 * least one lane. The graph should be simplified first (constants in nodes hide what a rule needs to see), and
 * channel shuffles are walls unless `shufflesToGathers` has rewritten them, as `shrink` does.
 */
export function planShrink(graph: Graph, options: ShrinkOptions = {}): ShrinkPlan {
  return planFromAnalysis(analyseChannels(graph, options.mode ?? "inference"), options);
}

export function planFromAnalysis(
  analysis: ChannelAnalysis,
  { multiple = 1 }: ShrinkOptions = {},
): ShrinkPlan {
  const kept = keptLanes(analysis, multiple);
  const keptCount = (name: string, before: number): number => kept.get(name)?.length ?? before;
  const layers = layerChannels(analysis.graph, analysis.decompositions).map((before) => ({
    before,
    keptInputs: keptCount(inputOf(before.node, 0), before.inputs),
    keptOutputs: keptCount(outputOf(before.node, 0), before.outputs),
  }));
  const simplified = [...analysis.flows].flatMap(([node, flow]) => (flow.simplifies === true ? [node] : []));
  return { mode: analysis.mode, kept, layers, walls: analysis.walls, simplified };
}

/** The lanes of a graph, tied as its nodes tie them. */
export function tiedLanes({ lanes, flows }: Pick<ChannelAnalysis, "lanes" | "flows">): LaneClasses {
  const classes = new LaneClasses(lanes);
  for (const [node, flow] of flows) {
    for (const { input, output, pairs } of flow.ties)
      classes.tie(inputOf(node, input), outputOrOmitted(node, output), pairs);
  }
  return classes;
}

function keptLanes(analysis: ChannelAnalysis, multiple: number): ReadonlyMap<string, readonly number[]> {
  const classes = tiedLanes(analysis);
  const producers = new Map<
    string,
    { readonly flow: ChannelFlow; readonly node: Node; readonly output: number }
  >();
  for (const [node, flow] of analysis.flows) {
    node.outputs.forEach((name, output) => {
      producers.set(name, { flow, node, output });
    });
  }
  const live: Liveness = classes.liveness((value, lane, mark) => {
    const producer = producers.get(value);
    // What a lane of a wide layer reads takes time to find out, and there is mostly nothing left to mark.
    if (producer?.flow.reads === undefined || producer.node.inputs.every((name) => live.isComplete(name)))
      return;
    for (const read of producer.flow.reads(producer.output, lane))
      mark(inputOf(producer.node, read.port), read.lane);
  });
  for (const name of analysis.pinned) {
    for (let lane = 0; lane < countOf(analysis.lanes, name); lane++) live.mark(name, lane);
  }
  live.propagate(multiple);
  return live.restrictions();
}

/**
 * Checks a plan against the graph without trusting the planner: pinned values keep everything, tied lanes
 * stay or go together, whatever a kept lane reads is kept, no value is left without lanes.
 * @throws PenniError "internal" that names the node that would break.
 */
export function checkPlan(graph: Graph, plan: ShrinkPlan): void {
  checkAgainst(analyseChannels(graph, plan.mode), plan);
}

export function checkAgainst(analysis: ChannelAnalysis, plan: ShrinkPlan): void {
  const sets = new Map([...plan.kept].map(([name, lanes]) => [name, new Set(lanes)]));
  const stays = (name: string, lane: number): boolean => sets.get(name)?.has(lane) ?? true;
  for (const [name, lanes] of plan.kept) {
    const count = countOf(analysis.lanes, name);
    const ascending = lanes.every((lane, i) => lane < count && (i === 0 || lane > at(lanes, i - 1)));
    if (lanes.length === 0 || !ascending) throw badPlan(`value "${name}" keeps no valid set of channels`);
    if (analysis.pinned.has(name)) throw badPlan(`value "${name}" must keep all its channels`);
  }
  const loses = (name: string): boolean => sets.has(name);
  for (const [node, flow] of analysis.flows) checkNode(node, flow, { stays, loses }, analysis.lanes);
}

interface LaneQuestions {
  readonly stays: (name: string, lane: number) => boolean;
  /** Whether a value loses any lane. */
  readonly loses: (name: string) => boolean;
}

function checkNode(
  node: Node,
  flow: ChannelFlow,
  { stays, loses }: LaneQuestions,
  lanes: ReadonlyMap<string, number>,
): void {
  for (const { input, output, pairs } of flow.ties) {
    const [source, target] = [inputOf(node, input), outputOrOmitted(node, output)];
    // Where all lanes stay, they stay together.
    if (!loses(source) && !loses(target)) continue;
    forEachPair(pairs, (from, to) => {
      if (stays(source, from) !== stays(target, to))
        throw badPlan("channels that belong together are separated", node);
    });
  }
  if (flow.reads === undefined || !node.inputs.some((name) => loses(name))) return;
  for (const [output, name] of node.outputs.entries()) {
    for (let lane = 0; lane < countOf(lanes, name); lane++) {
      if (!stays(name, lane)) continue;
      for (const read of flow.reads(output, lane)) {
        if (!stays(inputOf(node, read.port), read.lane))
          throw badPlan("a channel that is read would be removed", node);
      }
    }
  }
}

function badPlan(problem: string, node?: Node): PenniError {
  return new PenniError("internal", `the shrink plan is not exact: ${problem}`, {
    ...(node === undefined ? {} : { node: node.name, op: node.op }),
    advice: "The plan must come from planShrink on the very same graph",
  });
}
