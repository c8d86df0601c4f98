import { at } from "../../graph/at.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import type { Dim, Graph, Node, ValueInfo } from "../../graph/types.js";
import { namesRead } from "../../graph/verify.js";
import { findDecompositions } from "../../layers/weights.js";
import { countGraph, type GraphCount, type LayerCount } from "../../measure/count.js";
import { decompositionCandidates } from "../../method/decompose.js";
import { type InspectedLayer, inspectGraph, layerName } from "../../method/inspect.js";
import { type RailRow, railRows } from "./lanes.js";

/** What a layer costs. */
export interface LayerCost {
  /** Paper count. */
  readonly parameters: number;
  /** Multiply-accumulates of one image, paper count. */
  readonly macs: number;
}

/** A layer: what it is, what it cost and what it costs now. */
export interface Layer {
  readonly op: string;
  readonly weightDims: readonly number[] | undefined;
  readonly before: LayerCost;
  /** Undefined where nothing was compressed yet; zeros where the layer is gone. */
  readonly after: LayerCost | undefined;
  /** Of a layer on a basis: its size. */
  readonly basis: number | undefined;
  /** Why its kernels share no basis; undefined where they do, or could. */
  readonly reason: string | undefined;
  /** Share of the original kernels' energy that 1, 2, ... basis kernels can keep. */
  readonly energy: readonly number[] | undefined;
}

/** A row of the network from input to output. */
export interface NetworkRow extends RailRow {
  readonly kind: "input" | "layer" | "join" | "output";
  readonly name: string;
  /** Operator of a join, dimensions of an input or output. */
  readonly detail: string;
  readonly layer: Layer | undefined;
}

export interface NetworkView {
  readonly rows: readonly NetworkRow[];
  readonly before: LayerCost;
  readonly after: LayerCost | undefined;
  /** What is no layer of its own, as normalizations, and parts that have no like before. */
  readonly rest: { readonly before: LayerCost; readonly after: LayerCost | undefined };
  /** Operators whose arithmetic is not counted, each once. */
  readonly uncounted: readonly string[];
}

/**
 * A network as it came in beside what has become of it, row by row: layers that multiply, and nodes at which branches
 * meet.
 * @param after the compressed network, as far as there is one; its layers are found by their nodes' names
 */
export function networkView(before: Graph, after: Graph | undefined): NetworkView {
  const original = fixBatch(before, 1);
  const count = countGraph(original);
  const inspected = inspectedLayers(original);
  const changed = after === undefined ? undefined : costsAfter(fixBatch(after, 1));
  const shown = shownRows(original, count);
  const rails = railRows(shown.map(({ sources }) => sources));
  const rows = shown.map(({ sources: _, count: layerCount, ...row }, index): NetworkRow => {
    const rail = at(rails, index);
    const layer =
      layerCount === undefined ? undefined : layerOf(layerCount, inspected.get(row.name), changed);
    return { ...row, ...rail, layer };
  });
  const layers = rows.flatMap(({ layer }) => (layer === undefined ? [] : [layer]));
  const totals = { before: costOf(count), after: changed === undefined ? undefined : costOf(changed.count) };
  const sum = (pick: (layer: Layer) => LayerCost): LayerCost => total(layers.map(pick));
  return {
    rows,
    ...totals,
    rest: {
      before: minus(
        totals.before,
        sum((layer) => layer.before),
      ),
      after:
        totals.after &&
        minus(
          totals.after,
          sum((layer) => layer.after ?? nothing),
        ),
    },
    uncounted: [...new Set(count.uncounted.map(({ op }) => op))],
  };
}

const nothing: LayerCost = { parameters: 0, macs: 0 };

const costOf = (count: Pick<LayerCount, "parameters" | "paperMacs">): LayerCost => ({
  parameters: count.parameters,
  macs: count.paperMacs,
});

const total = (costs: readonly LayerCost[]): LayerCost =>
  costs.reduce(
    (sum, { parameters, macs }) => ({ parameters: sum.parameters + parameters, macs: sum.macs + macs }),
    nothing,
  );

const minus = (a: LayerCost, b: LayerCost): LayerCost => ({
  parameters: a.parameters - b.parameters,
  macs: a.macs - b.macs,
});

/** Spectra and reasons, by name. Where weights are damaged the rest of the report is still worth having. */
function inspectedLayers(graph: Graph): ReadonlyMap<string, Pick<InspectedLayer, "energy" | "reason">> {
  try {
    return new Map(inspectGraph(graph).layers.map((layer) => [layer.name, layer]));
  } catch {
    return new Map(
      decompositionCandidates(graph).map((decision) => {
        const reason = decision.layer === undefined ? decision.reason : undefined;
        return [layerName(decision.conv), { energy: undefined, reason }];
      }),
    );
  }
}

interface CostsAfter {
  readonly count: GraphCount;
  readonly layers: ReadonlyMap<string, LayerCount>;
  readonly bases: ReadonlyMap<Node, number>;
}

function costsAfter(graph: Graph): CostsAfter {
  const count = countGraph(graph);
  return {
    count,
    layers: new Map(count.layers.map((layer) => [layerName(layer.node), layer])),
    bases: new Map(findDecompositions(graph).map(({ conv, d }) => [conv, d])),
  };
}

function layerOf(
  count: LayerCount,
  inspected: Pick<InspectedLayer, "energy" | "reason"> | undefined,
  changed: CostsAfter | undefined,
): Layer {
  const found = changed?.layers.get(layerName(count.node));
  const after = found === undefined ? nothing : costOf(found);
  return {
    op: count.node.op,
    weightDims: count.weightDims,
    before: costOf(count),
    after: changed === undefined ? undefined : after,
    basis: found === undefined ? undefined : changed?.bases.get(found.node),
    reason: inspected?.reason,
    energy: inspected?.energy,
  };
}

interface ShownRow {
  readonly kind: NetworkRow["kind"];
  readonly name: string;
  readonly detail: string;
  readonly count?: LayerCount;
  readonly sources: readonly number[];
}

/** Everything else (normalizations, activations, poolings) is part of the line between two rows. */
function shownRows(graph: Graph, count: GraphCount): readonly ShownRow[] {
  const counts = new Map(
    count.layers.filter((layer) => layer.executedMacs > 0).map((layer) => [layer.node, layer]),
  );
  const rows: ShownRow[] = [];
  /** The row that each value comes from; undefined of constants. */
  const origin = new Map<string, number>();
  const add = (row: ShownRow, values: readonly string[]): void => {
    for (const value of values) origin.set(value, rows.length);
    rows.push(row);
  };
  for (const info of graph.inputs)
    add({ kind: "input", name: info.name, detail: dimsOf(info), sources: [] }, [info.name]);
  for (const node of graph.nodes) {
    const read = namesRead(node).map((value) => origin.get(value));
    const sources = [...new Set(read.filter((row) => row !== undefined))];
    const layer = counts.get(node);
    const [only] = sources;
    if (layer !== undefined)
      add({ kind: "layer", name: layerName(node), detail: node.op, count: layer, sources }, node.outputs);
    else if (sources.length > 1)
      add({ kind: "join", name: layerName(node), detail: node.op, sources }, node.outputs);
    else if (only !== undefined) for (const value of node.outputs) origin.set(value, only);
  }
  for (const info of graph.outputs) {
    const source = origin.get(info.name);
    const sources = source === undefined ? [] : [source];
    rows.push({ kind: "output", name: info.name, detail: dimsOf(info), sources });
  }
  return rows;
}

function dimsOf({ type }: ValueInfo): string {
  const show = (dim: Dim): string => (dim === undefined ? "?" : `${dim}`);
  return type?.shape === undefined ? "" : type.shape.map(show).join(" \u00d7 ");
}
