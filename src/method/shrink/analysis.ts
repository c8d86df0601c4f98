import { listOf } from "../../graph/at.js";
import { capturedNames, type GraphLinks, linkGraph } from "../../graph/links.js";
import { inputOrOmitted, ofInput, outputOrOmitted } from "../../graph/operands.js";
import { elementCount } from "../../graph/tensor.js";
import type { Graph, Node } from "../../graph/types.js";
import { type Decomposition, findDecomposition } from "../../layers/decomposition.js";
import {
  type ChannelContext,
  type ChannelFlow,
  type ForwardMode,
  hasChannels,
  type LaneConstants,
  laneCount,
  MOST_LANES_IN_ALL,
  unknownConstants,
  type Wall,
  wall,
} from "../../ops/core/channels.js";
import type { NodeContext } from "../../ops/core/context.js";
import { ruleOf, standardOpset } from "../../ops/core/definition.js";
import { type Inference, inferGraph, nodeContext } from "../../ops/inference/infer.js";
import { findOp } from "../../ops/inference/registry.js";

/** A node all of whose channels stay, and why. */
export interface WallNode {
  readonly node: Node;
  readonly reason: string;
}

/** Everything that is known of how lanes flow through a graph. */
export interface ChannelAnalysis {
  readonly graph: Graph;
  readonly mode: ForwardMode;
  readonly inference: Inference;
  /** Number of lanes of every value that has lanes, in topological order. */
  readonly lanes: ReadonlyMap<string, number>;
  readonly flows: ReadonlyMap<Node, ChannelFlow>;
  readonly decompositions: ReadonlyMap<Node, Decomposition>;
  /** Values all of whose lanes stay: graph inputs and outputs, and what touches a wall. */
  readonly pinned: ReadonlySet<string>;
  readonly walls: readonly WallNode[];
}

/**
 * Asks every node's channel rule, in topological order, so that constants reach the rules behind them. For
 * training, a parameter that several nodes read makes walls of them: sliced differently it
 * would become several.
 * @param borderMaps values whose constant channels zero-padded convolutions are to take from a map (`borderMap`)
 */
export function analyseChannels(
  graph: Graph,
  mode: ForwardMode,
  borderMaps: ReadonlySet<string> = new Set(),
): ChannelAnalysis {
  const inference = inferGraph(graph);
  const links = linkGraph(graph);
  const decompositions = decompositionsOf(links);
  const owned = new Set([...decompositions.values()].flatMap(({ matmul, reshape }) => [matmul, reshape]));
  const constants = new Map<string, LaneConstants>();
  const unknown = new Map<number, LaneConstants>();
  const lanes = new Map<string, number>();
  const flows = new Map<Node, ChannelFlow>();
  const walls: WallNode[] = [];
  const pinned = new Set(graph.outputs.map((output) => output.name));
  let lanesInAll = 0;
  /** Values with more channels than can be followed. */
  const crowded = new Set<string>();
  const addLanes = (name: string): void => {
    const shape = inference.types.get(name)?.shape;
    const count = laneCount(shape);
    if (name === "" || !hasChannels(shape)) return;
    if (count === undefined || lanesInAll + count > MOST_LANES_IN_ALL) {
      crowded.add(name);
      return;
    }
    lanes.set(name, count);
    lanesInAll += count;
  };

  for (const { name } of graph.inputs) {
    addLanes(name);
    pinned.add(name);
  }
  for (const node of graph.nodes) {
    if (owned.has(node)) continue;
    for (const name of node.outputs) addLanes(name);
    const context = channelContext(
      { links, mode, inference, lanes, constants, unknown, borderMaps },
      node,
      decompositions.get(node),
    );
    const shared = mode !== "inference" ? sharedParameter(links, node) : undefined;
    // No rule counts channels one by one that are too many.
    const isCrowded = [...node.inputs, ...node.outputs].some((name) => crowded.has(name));
    const obstacle =
      shared !== undefined
        ? `it shares "${shared}" with another node`
        : isCrowded
          ? "it has more channels than can be followed"
          : undefined;
    const flow = obstacle === undefined ? flowOf(context) : wall(obstacle);
    if ("wall" in flow) {
      const touched = [...node.inputs, ...node.outputs, ...capturedNames(node)].filter((name) =>
        lanes.has(name),
      );
      for (const name of touched) pinned.add(name);
      if (touched.length > 0) walls.push({ node, reason: flow.wall });
      continue;
    }
    flows.set(node, flow);
    node.inputs.forEach((name, index) => {
      if (lanes.has(name) && !flow.carried.includes(index)) pinned.add(name);
    });
    node.outputs.forEach((name, index) => {
      const known = flow.constants[index];
      // Rules compute constants as ONNX Runtime does for float32 only.
      const isFloat = inference.types.get(name)?.elementType === "float32";
      if (known !== undefined && isFloat) constants.set(name, known);
    });
  }
  return { graph, mode, inference, lanes, flows, decompositions, pinned, walls };
}

/** Decomposed weights that belong to one convolution alone; the nodes of shared ones are ordinary nodes. */
function decompositionsOf(links: GraphLinks): ReadonlyMap<Node, Decomposition> {
  const found = new Map<Node, Decomposition>();
  for (const node of links.graph.nodes) {
    const decomposition = findDecomposition(links, node);
    if (decomposition !== undefined && !decomposition.shared) found.set(node, decomposition);
  }
  return found;
}

/** A float32 tensor among a node's inputs that is more than a scalar and read elsewhere too. */
function sharedParameter({ graph, readers }: GraphLinks, node: Node): string | undefined {
  return node.inputs.find((name) => {
    const tensor = graph.initializers.get(name);
    const isParameter = tensor?.type === "float32" && elementCount(tensor.dims) > 1;
    return isParameter && listOf(readers, name).length > 1;
  });
}

interface Known {
  readonly links: GraphLinks;
  readonly mode: ForwardMode;
  readonly inference: Inference;
  readonly lanes: ReadonlyMap<string, number>;
  readonly constants: ReadonlyMap<string, LaneConstants>;
  /** What is known of so many lanes where nothing is: one list for all values that have as many. */
  readonly unknown: Map<number, LaneConstants>;
  readonly borderMaps: ReadonlySet<string>;
}

function channelContext(
  { links, mode, inference, lanes, constants, unknown, borderMaps }: Known,
  node: Node,
  decomposition: Decomposition | undefined,
): ChannelContext {
  const { graph } = links;
  const contextOf = (one: Node): NodeContext =>
    nodeContext(one, standardOpset(graph), inference.types, inference.values);
  const base = contextOf(node);
  return {
    ...base,
    mode,
    outputs: node.outputs.map((name) => inference.types.get(name)),
    lanes: node.inputs.map((name) => lanes.get(name)),
    outputLanes: node.outputs.map((name) => lanes.get(name)),
    constants: node.inputs.map((name) => {
      const count = lanes.get(name);
      return count === undefined ? undefined : (constants.get(name) ?? nothingKnown(unknown, count));
    }),
    borderMap: borderMaps.has(inputOrOmitted(node, 0)),
    readers: (output) => readersOf(links, outputOrOmitted(node, output))?.map(contextOf),
    initializer: (input) => ofInput(graph.initializers, node, input),
    decomposition,
  };
}

function nothingKnown(unknown: Map<number, LaneConstants>, count: number): LaneConstants {
  const list = unknown.get(count) ?? unknownConstants(count);
  unknown.set(count, list);
  return list;
}

function readersOf({ readers, outputNames }: GraphLinks, name: string): readonly Node[] | undefined {
  const nodes = listOf(readers, name);
  const isCaptured = nodes.some((node) => capturedNames(node).includes(name));
  return isCaptured || outputNames.has(name) ? undefined : nodes;
}

function flowOf(context: ChannelContext): ChannelFlow | Wall {
  const { node, outputs } = context;
  const rule = ruleOf(findOp(node)?.channels);
  if (rule === undefined) return wall(`operator ${node.op} has no channel rule`);
  if (capturedNames(node).length > 0) return wall("it contains a subgraph");
  const flow = rule(context);
  // Rules look at the data they pass on, and may not miss what hides the output's shape: another input's, say.
  const isHidden = node.outputs.some((name, index) => name !== "" && outputs[index]?.shape === undefined);
  return !("wall" in flow) && isHidden ? wall("the shape of its output is not known") : flow;
}
