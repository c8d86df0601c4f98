import { at, orDefault, present } from "../../graph/at.js";
import { PenniError } from "../../graph/errors.js";
import { elementCount, float32Data } from "../../graph/tensor.js";
import type { Graph } from "../../graph/types.js";
import { type ChannelLayer, type ChannelTable, canLoseInputs } from "./table.js";

/** Variance by channel, for each value that layers with weights read. */
export type ChannelVariances = ReadonlyMap<string, readonly number[]>;

/** A layer that reads a group, and the share of the variance of its outputs that the group brings, in [0, 1]. */
interface Part {
  readonly layer: ChannelLayer;
  readonly share: number;
}

/**
 * Groups of channels, the one that can best be spared first: by what its removal costs, for what it saves: its share of the
 * network's multiply-accumulates and of its parameters, as a network is to be both fast and small. What a layer loses with a group is the group's share of the variance that all channels bring to the layer's
 * outputs, correlations aside: squared weights times the channel's variance. A constant channel brings nothing, because
 * normalization or bias behind the layer makes up for it. A removal costs the fall of the logarithm of what is left of
 * that variance, summed over the layers that read the group; so the last channels of a layer cost more than the first.
 */
export function leastWorthFirst(
  graph: Graph,
  { families, layers }: ChannelTable,
  variances: ChannelVariances,
): readonly number[] {
  const parts = families.map((): Part[] => []);
  const savings = new Float64Array(families.length);
  for (const layer of layers) {
    addTo(savings, layer.outputGroups, () => layer.cost / layer.outputGroups.length);
    if (!canLoseInputs(layer)) continue;
    addTo(savings, layer.inputGroups, () => layer.cost / layer.inputs);
    const shares = new Float64Array(families.length);
    const ofLanes = sharesOfVariance(graph, layer, variances);
    addTo(shares, layer.inputGroups, (lane) => at(ofLanes, lane));
    for (const group of new Set(layer.inputGroups)) {
      if (group >= 0) at(parts, group).push({ layer, share: at(shares, group) });
    }
  }
  const brought = parts.map((of) => of.reduce((sum, { share }) => sum + share, 0));
  const order = [...brought.keys()].sort((a, b) => compare(at(brought, a), at(brought, b)) || a - b);
  const prices = removalPrices(order, { families, parts, savings });
  // Sorting is stable: of equal prices, what brings less goes first.
  return order.toSorted((a, b) => compare(at(prices, a), at(prices, b)));
}

interface Groups {
  readonly families: readonly number[];
  readonly parts: readonly (readonly Part[])[];
  /** What each group takes of the whole (`ChannelLayer.cost`), with all others there. */
  readonly savings: Float64Array;
}

/** What removing each group costs for what it saves, if those of its family that come before it went before. */
function removalPrices(order: readonly number[], { families, parts, savings }: Groups): Float64Array {
  const left = new Map<ChannelLayer, number>();
  const highest = new Map<number, number>();
  const prices = new Float64Array(families.length);
  for (const group of order) {
    let cost = 0;
    for (const { layer, share } of at(parts, group)) {
      // All of it as long as nothing has gone.
      const before = orDefault(left.get(layer), 1);
      const after = Math.max(LEAST_LEFT, before - share);
      left.set(layer, after);
      cost += Math.log(before / after);
    }
    const family = at(families, group);
    const saved = at(savings, group);
    // What saves nothing is not worth removing, and nothing goes before what brings less.
    const price = saved === 0 ? Number.POSITIVE_INFINITY : cost / saved;
    const monotone = Math.max(price, orDefault(highest.get(family), 0));
    highest.set(family, monotone);
    prices[group] = monotone;
  }
  return prices;
}

/** Rounding leaves less than nothing of a layer that has lost all its channels. */
const LEAST_LEFT = 1e-9;

function compare(a: number, b: number): number {
  return a === b ? 0 : a - b;
}

function addTo(sums: Float64Array, places: Int32Array, amount: (lane: number) => number): void {
  places.forEach((group, lane) => {
    if (group >= 0) sums[group] = present(sums[group]) + amount(lane);
  });
}

/** Of each input channel, in [0, 1]. */
function sharesOfVariance(graph: Graph, layer: ChannelLayer, variances: ChannelVariances): readonly number[] {
  const variance = variances.get(layer.input);
  if (variance?.length !== layer.inputs) {
    throw new PenniError("internal", "the variances of a layer's input channels are not known", {
      node: layer.node.name,
      expected: `${layer.inputs} numbers`,
      found: `${orDefault(variance?.length, 0)}`,
    });
  }
  const brought = squaredWeights(graph, layer).map((sum, lane) => sum * at(variance, lane));
  const total = brought.reduce((sum, value) => sum + value, 0);
  return total === 0 ? brought : brought.map((value) => value / total);
}

/** Sums of squared weights (or coefficients) by input channel. */
function squaredWeights(graph: Graph, layer: ChannelLayer): readonly number[] {
  const sums = Array.from({ length: layer.inputs }, () => 0);
  forEachWeight(graph, layer, (value, lane) => {
    sums[lane] = present(sums[lane]) + value * value;
  });
  return sums;
}

/** Visits the weights of a layer with the input channel that each multiplies and its place in the initializer. */
export function forEachWeight(
  graph: Graph,
  { weight, outputAxis, node }: ChannelLayer,
  visit: (value: number, inputLane: number, place: number) => void,
): void {
  const tensor = graph.initializers.get(weight);
  if (tensor === undefined)
    throw new PenniError("internal", "the weights of a layer are gone", { node: node.name, found: weight });
  const inputAxis = 1 - outputAxis;
  const size = at(tensor.dims, inputAxis);
  const inner = elementCount(tensor.dims.slice(inputAxis + 1));
  float32Data(tensor).forEach((value, place) => {
    visit(value, Math.floor(place / inner) % size, place);
  });
}
