import { at, orDefault } from "../../graph/at.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import { elementCount } from "../../graph/tensor.js";
import type { Graph, Node, ValueType } from "../../graph/types.js";
import { namesRead } from "../../graph/verify.js";
import { inferGraph } from "../../ops/inference/infer.js";
import { constantValues } from "../sensitivity/continuation.js";

/** All values through which what comes before some node of a network acts on what comes after. */
export type Cut = readonly string[];

/**
 * For each of some nodes, in the graph's order, where to cut the network in front of it so that what comes before need
 * not run again: as late as the values that cross the cut fit into memory. The same list as for the node before where
 * there is no later one; empty where there is none at all.
 * @param room float32 elements that may cross, for one image
 */
export function planCuts(graph: Graph, nodes: readonly Node[], room: number): readonly Cut[] {
  const crossings = crossingValues(graph);
  const { types } = inferGraph(fixBatch(graph, 1));
  const fits = (cut: Cut): boolean => elementsOf(cut, types) <= room;
  let last: { readonly position: number; readonly cut: Cut } = { position: 0, cut: [] };
  return nodes.map((node) => {
    for (let position = graph.nodes.indexOf(node); position > last.position; position--) {
      const cut = crossings[position];
      if (cut === undefined || !fits(cut)) continue;
      last = { position, cut };
      break;
    }
    return last.cut;
  });
}

/** For each node the values, other than inputs and constants, that it or later ones read and earlier ones compute. */
function crossingValues(graph: Graph): readonly Cut[] {
  const constants = constantValues(graph);
  const lastRead = new Map<string, number>();
  graph.nodes.forEach((node, position) => {
    for (const name of namesRead(node)) lastRead.set(name, position);
  });
  const open = new Set<string>();
  return graph.nodes.map((node, position) => {
    // What nobody reads was read last before the first node.
    for (const name of open) if (orDefault(lastRead.get(name), -1) < position) open.delete(name);
    const cut = [...open];
    for (const name of node.outputs) if (name !== "" && !constants.has(name)) open.add(name);
    return cut;
  });
}

/** Infinite where a value is not float32 or its size is not known: sizes computed from other sizes must stay in. */
function elementsOf(cut: Cut, types: ReadonlyMap<string, ValueType>): number {
  return cut.reduce((sum, name) => {
    const { elementType, shape } = types.get(name) ?? {};
    if (elementType !== "float32" || shape === undefined) return Number.POSITIVE_INFINITY;
    if (!shape.every((dim) => typeof dim === "number")) return Number.POSITIVE_INFINITY;
    return sum + elementCount(shape);
  }, 0);
}

/** Settles the values of one cut after the other, the same ones however often a calibration was stopped between. */
export class CutSequence {
  private reached = 0;

  /** @param settle makes a runtime start from these values */
  constructor(
    private readonly cuts: readonly Cut[],
    private readonly settle: (cut: Cut) => Promise<void>,
  ) {}

  /** Up to the cut in front of a node. */
  async reach(index: number): Promise<void> {
    for (; this.reached <= index; this.reached++) {
      const cut = at(this.cuts, this.reached);
      const before = this.cuts[this.reached - 1];
      if (cut.length > 0 && cut !== before) await this.settle(cut);
    }
  }
}
