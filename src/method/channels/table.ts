import { countOf, entryOf, inputOf, orDefault, outputOf } from "../../graph/at.js";
import { elementCount } from "../../graph/tensor.js";
import type { Graph, Node } from "../../graph/types.js";
import { countGraph } from "../../measure/count.js";
import type { ChannelFlow } from "../../ops/core/channels.js";
import { analyseChannels, type ChannelAnalysis } from "../shrink/analysis.js";
import type { Lane } from "../shrink/lane_classes.js";
import { type LayerChannels, layerChannels } from "../shrink/layers.js";
import { tiedLanes } from "../shrink/plan.js";
import { tally } from "../tally.js";

/** Where a channel group stands in a layer: its index, or -1 for a channel that cannot go. */
type Places = Int32Array;

/** A layer with weights, and the groups that its channels belong to. */
export interface ChannelLayer extends LayerChannels {
  /** The value that it reads. */
  readonly input: string;
  /** Multiply-accumulates of one image (paper count) with all channels. */
  readonly macs: number;
  /** Its share of all layers' multiply-accumulates, and of their parameters: from 0 to 2. */
  readonly cost: number;
  /** Whether every output has a weight of its own for every input channel. */
  readonly readsAcross: boolean;
  readonly inputGroups: Places;
  readonly outputGroups: Places;
}

/** The groups of channels that stay or go together, and the layers that have them. */
export interface ChannelTable {
  /** For each group its family: groups of the same values, which compete for the same room. */
  readonly families: readonly number[];
  readonly layers: readonly ChannelLayer[];
}

/** What becomes of channels that element-wise nodes such as additions carry: they stay, or go with all that are tied to them. */
export type SumChannels = "fixed" | "tied";

/**
 * Which channels of a network can go, and with which others: all but those of inputs and outputs, those that touch an
 * operator without a channel rule, and those that anything but a layer with weights reads across.
 * @param graph simplified, channel shuffles written as Gather (`shufflesToGathers`), with fixed input dimensions
 */
export function channelTable(graph: Graph, sums: SumChannels = "fixed"): ChannelTable {
  const analysis = analyseChannels(graph, "inference");
  const found = layerChannels(graph, analysis.decompositions);
  const macs = new Map(countGraph(graph).layers.map(({ node, paperMacs }) => [node, paperMacs]));
  const isAcross = (layer: LayerChannels): boolean => readsAcross(layer, analysis.flows.get(layer.node));
  const across = ownWeights(found).filter(isAcross);
  const fixed = fixedValues(analysis, new Set(across.map(({ node }) => node)), sums);
  const names = new Map<string, number>();
  const families: number[] = [];
  const places = new Map<string, Places>();
  for (const members of tiedLanes(analysis).members()) {
    if (members.some(({ value }) => fixed.has(value))) continue;
    for (const { value, lane } of members)
      placesOf(places, value, entryOf(analysis.lanes, value))[lane] = families.length;
    families.push(familyOf(names, members));
  }
  const sizeOf = ({ weight }: LayerChannels): number =>
    elementCount(entryOf(graph.initializers, weight).dims);
  const macsOf = ({ node }: LayerChannels): number => countOf(macs, node);
  const total = (of: (layer: LayerChannels) => number): number =>
    found.reduce((sum, layer) => sum + of(layer), 0);
  const [allMacs, allParameters] = [total(macsOf), total(sizeOf)];
  const layers = found.map((layer): ChannelLayer => {
    const [input, output] = [inputOf(layer.node, 0), outputOf(layer.node, 0)];
    return {
      ...layer,
      input,
      macs: macsOf(layer),
      cost: share(macsOf(layer), allMacs) + share(sizeOf(layer), allParameters),
      readsAcross: isAcross(layer),
      inputGroups: placesOf(places, input, layer.inputs),
      outputGroups: placesOf(places, output, layer.outputs),
    };
  });
  return { families, layers };
}

const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

/**
 * Whether every output of a layer has a weight of its own for every input channel: not in groups, nor where channels pass
 * through, as axis 1 does through a matrix product of later axes.
 */
function readsAcross({ groups }: LayerChannels, flow: ChannelFlow | undefined): boolean {
  return groups === 1 && (flow === undefined || !isTieOnly(flow));
}

/** Whether a layer may be left with fewer of the channels that it reads. */
export function canLoseInputs(layer: ChannelLayer): boolean {
  return layer.readsAcross && layer.inputGroups.some((group) => group >= 0);
}

/** Layers whose weight no other layer reads, so that its elements can go with this one's channels. */
function ownWeights(layers: readonly LayerChannels[]): readonly LayerChannels[] {
  const readers = tally(layers.map(({ weight }) => weight));
  return layers.filter(({ weight }) => readers.get(weight) === 1);
}

function placesOf(all: Map<string, Places>, value: string, lanes: number): Places {
  const places = all.get(value) ?? new Int32Array(lanes).fill(-1);
  all.set(value, places);
  return places;
}

function familyOf(names: Map<string, number>, members: readonly Lane[]): number {
  const name = JSON.stringify([...new Set(members.map(({ value }) => value))]);
  const family = names.get(name) ?? names.size;
  names.set(name, family);
  return family;
}

/** Whether each channel of a node's output comes of the same channel of its inputs alone. */
function isTieOnly({ ties, reads }: ChannelFlow): boolean {
  return ties.length > 0 && [...orDefault(reads?.(0, 0), [])].length === 0;
}

function fixedValues(
  { pinned, flows }: ChannelAnalysis,
  layers: ReadonlySet<Node>,
  sums: SumChannels,
): ReadonlySet<string> {
  const fixed = new Set(pinned);
  for (const [node, flow] of flows) {
    if (flow.reads === undefined || layers.has(node)) continue;
    if (sums === "tied" && isTieOnly(flow)) continue;
    for (const input of flow.carried) fixed.add(inputOf(node, input));
  }
  return fixed;
}
