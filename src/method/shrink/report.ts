import { at, entryOf } from "../../graph/at.js";
import type { InitializerMapping, KeptElements } from "../../graph/mapping.js";
import type { Graph } from "../../graph/types.js";
import { layerName } from "../inspect.js";
import { shrinkWithMapping } from "../shrink.js";
import { analyseChannels } from "./analysis.js";
import { type LayerChannels, layerChannels, livePairs } from "./layers.js";
import type { ShrinkOptions } from "./plan.js";
import { shufflesToGathers } from "./shuffles.js";

export type LayerSize = Pick<LayerChannels, "inputs" | "outputs" | "basis" | "pairs">;

/** What shrinking removes of one layer; indices are those of the unshrunk layer, ascending. */
export interface LayerShrink {
  readonly name: string;
  readonly op: string;
  readonly before: LayerSize;
  /** Undefined if the whole layer goes. */
  readonly after: LayerSize | undefined;
  readonly removedInputs: readonly number[];
  readonly removedOutputs: readonly number[];
  /**
   * Decomposed layers: [channel, basis kernel] of the maps that nobody computes any more, because the channel or the
   * kernel is gone or the coefficients of the pair are zero for every output.
   */
  readonly removedPairs?: readonly (readonly [number, number])[];
}

/** A node all of whose channels stay. */
export interface ReportedWall {
  readonly node: string;
  readonly op: string;
  readonly reason: string;
}

/** What `shrink` does to a graph, without the shrunk graph. */
export interface ShrinkReport {
  /** Every Conv, ConvTranspose, Gemm and MatMul with a constant weight, in the graph's order. */
  readonly layers: readonly LayerShrink[];
  readonly walls: readonly ReportedWall[];
}

/** Shrinks a graph (simplified, as for `shrink`) and tells what that removed, layer by layer, and where it could not. */
export function reportShrink(graph: Graph, options: ShrinkOptions = {}): ShrinkReport {
  const small = shrinkWithMapping(graph, options);
  const find = finder(layerChannels(small.graph));
  const layers = layerChannels(graph).map((before): LayerShrink => {
    const after = find(before);
    const kept = after === undefined ? nothing : keptOf(before, after, small.mapping);
    return {
      name: layerName(before.node),
      op: before.node.op,
      before: sizeOf(before),
      after: after === undefined ? undefined : sizeOf(after),
      removedInputs: others(before.inputs, kept.inputs),
      removedOutputs: others(before.outputs, kept.outputs),
      ...(before.basis === undefined ? {} : { removedPairs: removedPairs(before, after, kept, small.graph) }),
    };
  });
  const { walls } = analyseChannels(shufflesToGathers(small.graph), options.mode ?? "inference");
  return {
    layers,
    walls: walls.map(({ node, reason }) => ({ node: layerName(node), op: node.op, reason })),
  };
}

/** Finds the layer that another one became: by its output or, where a map was added behind it, by its node's name. */
function finder(layers: readonly LayerChannels[]): (before: LayerChannels) => LayerChannels | undefined {
  const byOutput = new Map(layers.map((layer) => [layer.node.outputs[0], layer]));
  const byName = new Map(layers.map((layer) => [layer.node.name, layer]));
  return ({ node }) =>
    byOutput.get(node.outputs[0]) ?? (node.name === "" ? undefined : byName.get(node.name));
}

function sizeOf({ inputs, outputs, basis, pairs }: LayerChannels): LayerSize {
  return {
    inputs,
    outputs,
    ...(basis === undefined ? {} : { basis }),
    ...(pairs === undefined ? {} : { pairs }),
  };
}

interface Kept {
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly basis: readonly number[];
}

const nothing: Kept = { inputs: [], outputs: [], basis: [] };

const all = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

function others(count: number, kept: readonly number[]): readonly number[] {
  const set = new Set(kept);
  return all(count).filter((index) => !set.has(index));
}

/** What of a layer is left, by where its weight comes from. */
function keptOf(before: LayerChannels, after: LayerChannels, mapping: InitializerMapping): Kept {
  const origin = mapping.get(after.weight);
  const { groups, outputAxis, inputs, outputs, basis = 0 } = before;
  const along = (axis: 0 | 1 | 2, count: number): readonly number[] => keptAlong(origin, axis, count);
  if (groups === 1) {
    return {
      inputs: along(outputAxis === 0 ? 1 : 0, inputs),
      outputs: along(outputAxis, outputs),
      basis: along(2, basis),
    };
  }
  // Whole groups go: axis 0 tells which.
  const [first, second] = outputAxis === 0 ? [outputs, inputs] : [inputs, outputs];
  const keptFirst = along(0, first);
  const keptGroups = new Set(keptFirst.map((lane) => Math.floor((lane * groups) / first)));
  const keptSecond = all(second).filter((lane) => keptGroups.has(Math.floor((lane * groups) / second)));
  const [keptInputs, keptOutputs] = outputAxis === 0 ? [keptSecond, keptFirst] : [keptFirst, keptSecond];
  return { inputs: keptInputs, outputs: keptOutputs, basis: along(2, basis) };
}

function keptAlong(origin: KeptElements | undefined, axis: number, count: number): readonly number[] {
  return origin?.kept[axis] ?? all(count);
}

function removedPairs(
  { inputs, basis = 0 }: LayerChannels,
  after: LayerChannels | undefined,
  kept: Kept,
  small: Graph,
): readonly (readonly [number, number])[] {
  const left = new Set<number>();
  if (after !== undefined) {
    livePairs(entryOf(small.initializers, after.weight), after.groups).forEach((flag, pair) => {
      const channel = at(kept.inputs, Math.floor(pair / kept.basis.length));
      if (flag === 1) left.add(channel * basis + at(kept.basis, pair % kept.basis.length));
    });
  }
  return others(inputs * basis, [...left]).map((pair) => [Math.floor(pair / basis), pair % basis]);
}
