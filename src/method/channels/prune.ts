import { at, countOf, entryOf, present } from "../../graph/at.js";
import { withInitializers } from "../../graph/edit.js";
import { PenniError } from "../../graph/errors.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import { float32Data, float32Tensor } from "../../graph/tensor.js";
import type { Graph, Tensor } from "../../graph/types.js";
import { countGraph } from "../../measure/count.js";
import { shrink, shufflesToGathers } from "../shrink.js";
import { tally } from "../tally.js";
import { type ChannelTable, canLoseInputs, channelTable, type SumChannels } from "./table.js";
import { type ChannelVariances, forEachWeight, leastWorthFirst } from "./worth.js";

export interface ChannelPruning {
  /** Multiply-accumulates to reach (paper count), as a fraction of the graph's own; in (0, 1]. */
  readonly fraction: number;
  /** Channels stay in multiples of this, or all of them (1). */
  readonly multiple?: number;
  /** Variances by channel on some images, of the values that `readValues` names. */
  readonly variances: ChannelVariances;
  /** Whether channels that additions carry, those of residual streams, may go as well, with all that are tied to them. */
  readonly sums?: SumChannels | undefined;
}

/** Of each family of channels at least this share stays: a layer with next to none cannot recover. */
const LEAST_SHARE = 1 / 8;

/**
 * The values whose variances by channel `pruneChannels` asks for.
 * @param graph simplified; spatial dimensions are fixed
 */
export function readValues(graph: Graph, sums?: SumChannels): readonly string[] {
  return [...equalVariances(graph, sums).keys()];
}

/** What stands for the variances that `pruneChannels` asks for where there are no images: all channels vary as much. */
export function equalVariances(graph: Graph, sums?: SumChannels): ChannelVariances {
  const { layers } = channelTable(singleImage(graph), sums);
  return new Map(layers.filter(canLoseInputs).map(({ input, inputs }) => [input, Array(inputs).fill(1)]));
}

/**
 * Removes whole channels, the least worth first (`leastWorthFirst`), until a fraction of the multiply-accumulates is
 * left. Channels that additions tie together go together; those that cannot go, stay (`channelTable`). The network's
 * inputs and outputs keep their form, but it no longer computes the same: it is to be trained.
 * @param graph simplified; spatial dimensions are fixed
 * @throws PenniError "bad-option" if removing channels does not lead that far
 */
export function pruneChannels(
  graph: Graph,
  { fraction, multiple = 1, variances, sums }: ChannelPruning,
): Graph {
  const whole = shufflesToGathers(graph);
  const single = fixBatch(whole, 1);
  const { paperMacs } = countGraph(single);
  const table = channelTable(single, sums);
  const order = leastWorthFirst(single, table, variances);
  const goneOf = (count: number): Uint8Array => goneGroups(table, order, count, multiple);
  const shareLeft = (count: number): number => 1 - macsSaved(table, goneOf(count)) / paperMacs;
  checkReachable(fraction, shareLeft(order.length));
  const narrowBy = (count: number): Graph =>
    shrink(withoutReaders(whole, table, goneOf(count)), { multiple });
  // Shares of layers foresee what goes, but for channels that something besides them holds: then more have to go.
  const step = Math.max(1, Math.ceil(order.length / MOST_STEPS));
  let count = fewest(order.length, (candidate) => shareLeft(candidate) <= fraction);
  for (;;) {
    const narrow = narrowBy(count);
    const left = countGraph(fixBatch(narrow, 1)).paperMacs / paperMacs;
    if (left <= fraction || paperMacs === 0) return narrow;
    if (count === order.length) checkReachable(fraction, left);
    count = Math.min(order.length, count + step);
  }
}

/** Steps in which more and more channels go where fewer were not enough. */
const MOST_STEPS = 32;

function singleImage(graph: Graph): Graph {
  return fixBatch(shufflesToGathers(graph), 1);
}

function checkReachable(fraction: number, least: number): void {
  if (fraction > 0 && fraction <= 1 && least <= fraction) return;
  // Rounded up, so that what is advised is accepted.
  const lowest = Math.ceil(least * 1e4) / 1e4;
  throw new PenniError("bad-option", "the MACs target for channels cannot be reached by removing channels", {
    expected: `from ${lowest} to 1: channels of inputs, of outputs and next to unknown operators stay, and an eighth of all others`,
    found: `${fraction}`,
    advice: `Give --channels ${lowest} or more`,
  });
}

/** The smallest whole number from 0 to `most` that is enough, where more is never less. */
function fewest(most: number, isEnough: (count: number) => boolean): number {
  let low = 0;
  let high = most;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (isEnough(middle)) high = middle;
    else low = middle + 1;
  }
  return high;
}

/**
 * The groups that go (1) if the first `count` are to: in each family as many stay as make a multiple, the most worth
 * ones, and no fewer than its least share.
 */
function goneGroups(
  { families }: ChannelTable,
  order: readonly number[],
  count: number,
  multiple: number,
): Uint8Array {
  const asked = tally(order.slice(0, count).map((group) => at(families, group)));
  const room = new Map<number, number>();
  for (const [family, size] of tally(families)) {
    const left = Math.max(size - countOf(asked, family), Math.ceil(LEAST_SHARE * size));
    room.set(family, size - Math.min(size, Math.ceil(left / multiple) * multiple));
  }
  const gone = new Uint8Array(families.length);
  for (const group of order) {
    const family = at(families, group);
    const open = entryOf(room, family);
    if (open === 0) continue;
    room.set(family, open - 1);
    gone[group] = 1;
  }
  return gone;
}

/** Multiply-accumulates of one image that go with these groups. */
function macsSaved({ layers }: ChannelTable, gone: Uint8Array): number {
  const shareLeft = (places: Int32Array): number =>
    places.reduce((left, group) => left - (group >= 0 ? present(gone[group]) : 0), places.length) /
    Math.max(1, places.length);
  return layers.reduce((sum, layer) => {
    const inputs = layer.readsAcross ? shareLeft(layer.inputGroups) : 1;
    return sum + layer.macs * (1 - inputs * shareLeft(layer.outputGroups));
  }, 0);
}

/** The network with zeros for all weights that read what goes: nobody needs those channels then. */
function withoutReaders(graph: Graph, { layers }: ChannelTable, gone: Uint8Array): Graph {
  const changed = new Map<string, Tensor>();
  for (const layer of layers) {
    if (!canLoseInputs(layer)) continue;
    const tensor = changed.get(layer.weight) ?? entryOf(graph.initializers, layer.weight);
    const values = float32Data(tensor).slice();
    forEachWeight(graph, layer, (_, lane, place) => {
      const group = present(layer.inputGroups[lane]);
      if (group >= 0 && gone[group] === 1) values[place] = 0;
    });
    changed.set(layer.weight, float32Tensor(tensor.dims, values));
  }
  return withInitializers(graph, changed);
}
