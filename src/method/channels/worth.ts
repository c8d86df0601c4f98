import { PenniError } from "../../graph/errors.js";
import { elementCount, float32Data } from "../../graph/tensor.js";
import type { Graph } from "../../graph/types.js";
import { type ChannelLayer, type ChannelTable, canLoseInputs } from "./table.js";

/** Variance by channel, for each value that layers with weights read. */
export type ChannelVariances = ReadonlyMap<string, readonly number[]>;

/**
 * Groups of channels, the one that can best be spared first: by their worth for each multiply-accumulate that they cost.
 * The worth of a group is the sum, over the layers that read it, of its share of the variance that all channels bring to
 * their outputs, correlations aside: squared weights times the channel's variance. A constant channel is worth nothing,
 * because normalization or bias behind the layer makes up for it.
 */
export function leastWorthFirst(
  graph: Graph,
  { families, layers }: ChannelTable,
  variances: ChannelVariances,
): readonly number[] {
  const worth = new Float64Array(families.length);
  const cost = new Float64Array(families.length);
  for (const layer of layers) {
    addTo(cost, layer.outputGroups, () => layer.macs / layer.outputs);
    if (!canLoseInputs(layer)) continue;
    addTo(cost, layer.inputGroups, () => layer.macs / layer.inputs);
    const shares = sharesOfVariance(graph, layer, variances);
    addTo(worth, layer.inputGroups, (lane) => shares[lane] ?? 0);
  }
  // What costs nothing is not worth removing.
  const price = worth.map((value, group) => {
    const macs = cost[group] ?? 0;
    return macs === 0 ? Number.POSITIVE_INFINITY : value / macs;
  });
  return [...price.keys()].sort((a, b) => compare(price[a], price[b]) || a - b);
}

function compare(a = 0, b = 0): number {
  return a === b ? 0 : a - b;
}

function addTo(sums: Float64Array, places: Int32Array, amount: (lane: number) => number): void {
  places.forEach((group, lane) => {
    if (group >= 0) sums[group] = (sums[group] ?? 0) + amount(lane);
  });
}

/** Of each input channel, in [0, 1]. */
function sharesOfVariance(graph: Graph, layer: ChannelLayer, variances: ChannelVariances): readonly number[] {
  const variance = variances.get(layer.input);
  if (variance?.length !== layer.inputs) {
    throw new PenniError("internal", "the variances of a layer's input channels are not known", {
      node: layer.node.name,
      expected: `${layer.inputs} numbers`,
      found: `${variance?.length ?? 0}`,
    });
  }
  const brought = squaredWeights(graph, layer).map((sum, lane) => sum * (variance[lane] ?? 0));
  const total = brought.reduce((sum, value) => sum + value, 0);
  return total === 0 ? brought : brought.map((value) => value / total);
}

/** Sums of squared weights (or coefficients) by input channel. */
function squaredWeights(graph: Graph, layer: ChannelLayer): readonly number[] {
  const sums = Array.from({ length: layer.inputs }, () => 0);
  forEachWeight(graph, layer, (value, lane) => {
    sums[lane] = (sums[lane] ?? 0) + value * value;
  });
  return sums;
}

/** Visits the weights of a layer with the input channel that each multiplies and its place in the initializer. */
export function forEachWeight(
  graph: Graph,
  { weight, outputAxis, node }: ChannelLayer,
  visit: (value: number, inputLane: number, at: number) => void,
): void {
  const tensor = graph.initializers.get(weight);
  if (tensor === undefined)
    throw new PenniError("internal", "the weights of a layer are gone", { node: node.name, found: weight });
  const inputAxis = 1 - outputAxis;
  const size = tensor.dims[inputAxis] ?? 1;
  const inner = elementCount(tensor.dims.slice(inputAxis + 1));
  float32Data(tensor).forEach((value, at) => {
    visit(value, Math.floor(at / inner) % size, at);
  });
}
