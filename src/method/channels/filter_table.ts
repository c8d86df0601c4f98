import { at, entryOf } from "../../graph/at.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import { float32Data } from "../../graph/tensor.js";
import type { Graph } from "../../graph/types.js";
import { mergedKernels } from "../../layers/forms.js";
import { findDecompositions } from "../../layers/weights.js";
import { prunableInitializers } from "../prune.js";
import { shufflesToGathers } from "../shrink.js";
import { tally } from "../tally.js";
import { type ChannelLayer, channelTable } from "./table.js";

/** What makes one channel, in some layers: rows of their weights that stay or go together. */
export interface Filter {
  /** Of the table of channels. */
  readonly group: number;
  readonly rows: readonly { readonly weight: string; readonly row: number }[];
  /** The kernels of all rows, one behind the other. */
  readonly kernels: Float32Array;
}

/** The filters of the same layers. */
export interface FilterFamily {
  /** Channels, those that cannot go included. */
  readonly size: number;
  /** Those that can. */
  readonly filters: readonly Filter[];
}

/** The filters of a network, and the layers whose rows they are and that read them. */
export interface FilterTable {
  readonly families: readonly FilterFamily[];
  readonly layers: readonly ChannelLayer[];
}

/**
 * Which filters of a network can go, with those that additions tie them to.
 * @param graph simplified; spatial dimensions are fixed
 * @param frozen weights that stay as they are
 */
export function filterTable(graph: Graph, frozen: ReadonlySet<string>): FilterTable {
  const single = fixBatch(shufflesToGathers(graph), 1);
  const { families, layers } = channelTable(single, "tied");
  const rows = families.map((): { readonly weight: string; readonly row: number }[] => []);
  const stuck = new Set<number>();
  const isPrunable = prunableRows(single, layers, frozen);
  for (const layer of layers) {
    layer.outputGroups.forEach((group, row) => {
      if (group < 0) return;
      if (isPrunable(layer)) at(rows, group).push({ weight: layer.weight, row });
      else if (!isDepthwiseOn(layer, group)) stuck.add(group);
    });
  }
  const kernels = kernelsOf(single, layers);
  const found = new Map<number, { size: number; filters: Filter[] }>();
  families.forEach((name, group) => {
    const family = found.get(name) ?? { size: 0, filters: [] };
    family.size++;
    const own = at(rows, group);
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
  const readers = tally(layers.map(({ weight }) => weight));
  return ({ weight, outputAxis }) => prunable.has(weight) && outputAxis === 0 && readers.get(weight) === 1;
}

/** What convolutions really do, [K, C, ...kernel], by the names of their weights or coefficients. */
function kernelsOf(graph: Graph, layers: readonly ChannelLayer[]): ReadonlyMap<string, KernelRows> {
  const merged = new Map(
    findDecompositions(graph).map((layer) => [layer.coefs, mergedKernels(graph, layer)] as const),
  );
  return new Map(
    layers.flatMap(({ weight, outputs }) => {
      const tensor = merged.get(weight) ?? entryOf(graph.initializers, weight);
      if (tensor.type !== "float32") return [];
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
    const { data, size } = entryOf(kernels, weight);
    return data.subarray(row * size, (row + 1) * size);
  });
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const part of parts) {
    whole.set(part, end);
    end += part.length;
  }
  return whole;
}
