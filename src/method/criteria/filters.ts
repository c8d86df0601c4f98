import { z } from "zod";
import { withInitializers } from "../../graph/edit.js";
import { PenniError } from "../../graph/errors.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import { float32Data, float32Tensor } from "../../graph/tensor.js";
import type { Graph, Tensor } from "../../graph/types.js";
import { mergedKernels } from "../../layers/forms.js";
import { findDecompositions } from "../../layers/weights.js";
import { type ChannelLayer, canLoseInputs, channelTable } from "../channels/table.js";
import { forEachWeight } from "../channels/worth.js";
import { prunableInitializers } from "../prune.js";
import { shufflesToGathers } from "../shrink.js";
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
      const [, by, share] = /^(?:(norm|median):)?(\d*\.?\d+)$/.exec(text.trim()) ?? [];
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

/** What makes one channel, in some layers: rows of their weights that stay or go together. */
interface Filter {
  /** Of the table of channels. */
  readonly group: number;
  readonly rows: readonly { readonly weight: string; readonly row: number }[];
  /** The kernels of all rows, one behind the other. */
  readonly kernels: Float32Array;
}

/** The filters of the same layers. */
interface Family {
  /** Channels, those that cannot go included. */
  readonly size: number;
  /** Those that can. */
  readonly filters: readonly Filter[];
}

/** The filters of a network, and the layers whose rows they are and that read them. */
interface FilterTable {
  readonly families: readonly Family[];
  readonly layers: readonly ChannelLayer[];
}

function filterTable({ graph, frozen }: PrunableNetwork): FilterTable {
  const single = fixBatch(shufflesToGathers(graph), 1);
  const { families, layers } = channelTable(single, "tied");
  const rows = families.map((): { readonly weight: string; readonly row: number }[] => []);
  const stuck = new Set<number>();
  const isPrunable = prunableRows(single, layers, frozen);
  for (const layer of layers) {
    layer.outputGroups.forEach((group, row) => {
      if (group < 0) return;
      if (isPrunable(layer)) rows[group]?.push({ weight: layer.weight, row });
      else if (!isDepthwiseOn(layer, group)) stuck.add(group);
    });
  }
  const kernels = kernelsOf(single, layers);
  const found = new Map<number, { size: number; filters: Filter[] }>();
  families.forEach((name, group) => {
    const family = found.get(name) ?? { size: 0, filters: [] };
    family.size++;
    const own = rows[group] ?? [];
    if (own.length > 0 && !stuck.has(group))
      family.filters.push({ group, rows: own, kernels: joined(own, kernels) });
    found.set(name, family);
  });
  return { families: [...found.values()], layers };
}

/** Whether a layer makes a channel of this group of nothing but a channel of the group: it goes when that goes. */
function isDepthwiseOn({ groups, inputs, inputGroups }: ChannelLayer, group: number): boolean {
  return groups === inputs && groups > 1 && inputGroups.includes(group);
}

/** Whether the rows of a layer's weight are its filters and no one else's, and may go. */
function prunableRows(
  graph: Graph,
  layers: readonly ChannelLayer[],
  frozen: ReadonlySet<string>,
): (layer: ChannelLayer) => boolean {
  const prunable = new Set(prunableInitializers(graph).filter((name) => !frozen.has(name)));
  const readers = new Map<string, number>();
  for (const { weight } of layers) readers.set(weight, (readers.get(weight) ?? 0) + 1);
  return ({ weight, outputAxis }) => prunable.has(weight) && outputAxis === 0 && readers.get(weight) === 1;
}

/** What convolutions really do, [K, C, ...kernel], by the names of their weights or coefficients. */
function kernelsOf(graph: Graph, layers: readonly ChannelLayer[]): ReadonlyMap<string, KernelRows> {
  const merged = new Map(
    findDecompositions(graph).map((layer) => [layer.coefs, mergedKernels(graph, layer)] as const),
  );
  return new Map(
    layers.flatMap(({ weight, outputs }) => {
      const tensor = merged.get(weight) ?? graph.initializers.get(weight);
      if (tensor?.type !== "float32") return [];
      const data = float32Data(tensor);
      return [[weight, { data, size: data.length / outputs }] as const];
    }),
  );
}

interface KernelRows {
  readonly data: Float32Array;
  /** Values of one row. */
  readonly size: number;
}

function joined(rows: Filter["rows"], kernels: ReadonlyMap<string, KernelRows>): Float32Array {
  const parts = rows.map(({ weight, row }) => {
    const { data, size } = kernels.get(weight) ?? { data: new Float32Array(), size: 0 };
    return data.subarray(row * size, (row + 1) * size);
  });
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The most filters of a family that go, so that a multiple stays. */
function mostGone({ size, filters }: Family, share: number, multiple: number): number {
  // A share is a decimal: of 10 filters 0.3 are 3.
  const left = size - Math.floor(share * size + 1e-9);
  const stays = Math.min(size, Math.ceil(Math.max(1, left) / multiple) * multiple);
  return Math.min(filters.length, size - stays);
}

function withoutFilters(network: PrunableNetwork, { share, by }: Filters): Graph {
  const { graph, frozen, channelMultiple } = network;
  const { families, layers } = filterTable(network);
  const gone = families.flatMap((family) => {
    const worth = worths[by](family.filters);
    const order = [...worth.keys()].sort((a, b) => (worth[a] ?? 0) - (worth[b] ?? 0) || a - b);
    const least = order.slice(0, mostGone(family, share, channelMultiple));
    return least.flatMap((index) => family.filters[index] ?? []);
  });
  const changed = new Map<string, Float32Array>();
  const valuesOf = (weight: string): Float32Array => {
    const values = changed.get(weight) ?? float32Data(expectWeight(graph, weight)).slice();
    changed.set(weight, values);
    return values;
  };
  for (const { weight, row } of gone.flatMap(({ rows }) => rows)) {
    const values = valuesOf(weight);
    const size = values.length / (expectWeight(graph, weight).dims[0] ?? 1);
    values.fill(0, row * size, (row + 1) * size);
  }
  const groups = new Set(gone.map(({ group }) => group));
  for (const layer of layers) {
    if (!canLoseInputs(layer) || frozen.has(layer.weight)) continue;
    if (!layer.inputGroups.some((group) => groups.has(group))) continue;
    const values = valuesOf(layer.weight);
    forEachWeight(graph, layer, (_, lane, at) => {
      if (groups.has(layer.inputGroups[lane] ?? -1)) values[at] = 0;
    });
  }
  const pruned = [...changed].map(
    ([name, values]) => [name, float32Tensor(expectWeight(graph, name).dims, values)] as const,
  );
  return withInitializers(graph, pruned);
}

function expectWeight(graph: Graph, weight: string): Tensor {
  const tensor = graph.initializers.get(weight);
  if (tensor === undefined)
    throw new PenniError("internal", "the weights of a layer are gone", { found: weight });
  return tensor;
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
        const distance = Math.sqrt(squared(kernelsAt(filters, one), kernelsAt(filters, other)));
        sums[one] = (sums[one] ?? 0) + distance;
        sums[other] = (sums[other] ?? 0) + distance;
      }
    }
    return sums;
  },
};

function kernelsAt(filters: readonly Filter[], index: number): Float32Array {
  return filters[index]?.kernels ?? new Float32Array();
}

/** Sum of the squares of values, or of their differences from others. */
function squared(values: Float32Array, others: Float32Array | undefined): number {
  let sum = 0;
  for (let at = 0; at < values.length; at++) {
    const value = (values[at] ?? 0) - (others?.[at] ?? 0);
    sum += value * value;
  }
  return sum;
}

function checkReachable(network: PrunableNetwork, { share }: Filters): void {
  const { channelMultiple } = network;
  const families = filterTable(network).families.filter((family) => mostGone(family, 1, channelMultiple) > 0);
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
function leastShare({ size }: Family, multiple: number): number {
  return (((size - 1) % multiple) + 1) / size;
}

/** Rounded up, so that what is advised is accepted. */
function rounded(share: number): number {
  return Math.ceil(share * 1e4 - 1e-6) / 1e4;
}
