import { z } from "zod";
import { at, entryOf, orDefault, present } from "../../graph/at.js";
import { withInitializers } from "../../graph/edit.js";
import { PenniError } from "../../graph/errors.js";
import { float32Data, float32Tensor } from "../../graph/tensor.js";
import type { Graph } from "../../graph/types.js";
import { type Filter, type FilterFamily, filterTable } from "../channels/filter_table.js";
import { canLoseInputs } from "../channels/table.js";
import { forEachWeight } from "../channels/worth.js";
import { defineCriterion } from "./criterion.js";
import { type PrunableNetwork, withinOriginal } from "./network.js";

const measures = ["norm", "median"] as const;

const schema = z.object({
  rule: z.literal("filters"),
  /** Of the filters of each layer, the most that go. */
  share: z.number().gt(0).lt(1),
  /** What makes a filter worth keeping: see `worths`. */
  by: z.enum(measures),
});

type Filters = Pick<z.infer<typeof schema>, "share" | "by">;

/**
 * Whole filters, the same share of each layer: all coefficients of an output go together, and with them those that read
 * its channel in the layers behind (Li et al. 2017), so that shrinking removes the channel, which every runtime gains by.
 * Filters whose channels additions tie together go together, and compete with those of the same layers. So many stay
 * that the channels left are a multiple of what shrinking leaves.
 */
export const filters = defineCriterion({
  schema,
  option: {
    flags: "--filters <share>",
    description:
      "prune whole filters, at most this share of each layer's: those of the smallest L2 norm, or with median:SHARE those nearest to the geometric median; faster in every runtime",
    expected: "a share above 0 and below 1 such as 0.5 or median:0.5",
    parse: (text) => {
      const found = /^(?:(norm|median):)?(\d*\.?\d+)$/.exec(text.trim());
      if (found === null) return undefined;
      const [, by, share] = found;
      return schema.safeParse({ rule: "filters", share: Number(share), by: by ?? "norm" }).data;
    },
  },
  apply: (network, rule) => withinOriginal({ ...network, graph: withoutFilters(network, rule) }),
  checkReachable,
  describe: ({ share, by }) =>
    `of each layer's filters up to ${Number((100 * share).toFixed(2))} % go, those ${descriptions[by]}`,
  fraction: () => undefined,
  fixesPlaces: false,
});

const descriptions: Readonly<Record<Filters["by"], string>> = {
  norm: "of the smallest L2 norm",
  median: "nearest to the geometric median of all",
};

/** The most filters of a family that go, so that a multiple stays. */
function mostGone({ size, filters }: FilterFamily, share: number, multiple: number): number {
  // A share is a decimal: of 10 filters 0.3 are 3.
  const left = size - Math.floor(share * size + 1e-9);
  const stays = Math.min(size, Math.ceil(Math.max(1, left) / multiple) * multiple);
  return Math.min(filters.length, size - stays);
}

function withoutFilters(network: PrunableNetwork, { share, by }: Filters): Graph {
  const { graph, frozen, channelMultiple } = network;
  const { families, layers } = filterTable(graph, frozen);
  const gone = families.flatMap((family) => {
    const worth = worths[by](family.filters);
    const order = [...worth.keys()].sort((a, b) => at(worth, a) - at(worth, b) || a - b);
    const least = order.slice(0, mostGone(family, share, channelMultiple));
    return least.map((index) => at(family.filters, index));
  });
  const changed = new Map<string, Float32Array>();
  const valuesOf = (weight: string): Float32Array => {
    const values = changed.get(weight) ?? float32Data(entryOf(graph.initializers, weight)).slice();
    changed.set(weight, values);
    return values;
  };
  for (const { weight, row } of gone.flatMap(({ rows }) => rows)) {
    const values = valuesOf(weight);
    const size = values.length / at(entryOf(graph.initializers, weight).dims, 0);
    values.fill(0, row * size, (row + 1) * size);
  }
  const groups = new Set(gone.map(({ group }) => group));
  for (const layer of layers) {
    if (!canLoseInputs(layer) || frozen.has(layer.weight)) continue;
    if (!layer.inputGroups.some((group) => groups.has(group))) continue;
    const values = valuesOf(layer.weight);
    forEachWeight(graph, layer, (_, lane, place) => {
      if (groups.has(present(layer.inputGroups[lane]))) values[place] = 0;
    });
  }
  const pruned = [...changed].map(
    ([name, values]) => [name, float32Tensor(entryOf(graph.initializers, name).dims, values)] as const,
  );
  return withInitializers(graph, pruned);
}

/** What filters are worth by their kernels, in any unit. */
const worths: Readonly<Record<Filters["by"], (filters: readonly Filter[]) => readonly number[]>> = {
  /** Sums of squares. */
  norm: (filters) => filters.map(({ kernels }) => squared(kernels, undefined)),
  /** Sums of the distances to all others: the least are next to the geometric median, and best replaced by the rest. */
  median: (filters) => {
    const sums = filters.map(() => 0);
    for (let one = 0; one < filters.length; one++) {
      for (let other = one + 1; other < filters.length; other++) {
        const distance = Math.sqrt(squared(at(filters, one).kernels, at(filters, other).kernels));
        sums[one] = at(sums, one) + distance;
        sums[other] = at(sums, other) + distance;
      }
    }
    return sums;
  },
};

/** Sum of the squares of values, or of their differences from others, which may be fewer: of a filter of fewer rows. */
function squared(values: Float32Array, others: Float32Array | undefined): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const value = present(values[i]) - orDefault(others?.[i], 0);
    sum += value * value;
  }
  return sum;
}

function checkReachable(network: PrunableNetwork, { share }: Filters): void {
  const { graph, frozen, channelMultiple } = network;
  const families = filterTable(graph, frozen).families.filter(
    (family) => mostGone(family, 1, channelMultiple) > 0,
  );
  if (families.some((family) => mostGone(family, share, channelMultiple) > 0)) return;
  const least = Math.min(...families.map((family) => leastShare(family, channelMultiple)));
  throw new PenniError("bad-option", "no whole filter can go", {
    expected:
      families.length === 0
        ? `a convolution with more than ${channelMultiple} channels that can go: not those of outputs and next to unknown operators`
        : `a share from ${rounded(least)}, as channels stay in multiples of ${channelMultiple}`,
    found: families.length === 0 ? "none" : `${share}`,
    advice:
      families.length === 0 ? "Prune single coefficients: --target-macs" : `Give --filters ${rounded(least)}`,
  });
}

/** From this share on a filter goes. */
function leastShare({ size }: FilterFamily, multiple: number): number {
  return (((size - 1) % multiple) + 1) / size;
}

/** Rounded up, so that what is advised is accepted. */
function rounded(share: number): number {
  return Math.ceil(share * 1e4 - 1e-6) / 1e4;
}
