import { hasInput, inputOf } from "../../graph/at.js";
import { freshNames, usedNames, withInitializers } from "../../graph/edit.js";
import { type GraphLinks, linkGraph } from "../../graph/links.js";
import { ofInput, outputOrOmitted } from "../../graph/operands.js";
import { int64Tensor, numericData } from "../../graph/tensor.js";
import type { Graph, Node, Tensor } from "../../graph/types.js";

/** The constant ranges of a Slice, one entry per axis it concerns. */
interface Ranges {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly axes: readonly number[];
  readonly steps: readonly number[];
}

/**
 * Merges a Slice into the Slice before it where both have constant ranges of different axes and nobody else
 * reads what lies between: exporters write x[:, :, ::2, ::2] as one Slice per axis.
 */
export function mergeSlices(graph: Graph): Graph {
  const links = linkGraph(graph);
  const fresh = freshNames(usedNames(graph));
  const added = new Map<string, Tensor>();
  const merged = new Set<Node>();
  const nodes = graph.nodes.map((node) => {
    const inner = ofInput(links.producers, node, 0);
    // A Slice that was merged already may be merged again in the next round.
    if (inner === undefined || merged.has(inner) || !isOnlyReader(links, inner)) return node;
    const ranges = joined(constantRanges(graph, inner), constantRanges(graph, node));
    if (ranges === undefined) return node;
    merged.add(node);
    const inputs = [ranges.starts, ranges.ends, ranges.axes, ranges.steps].map((values, index) => {
      const name = fresh(`${node.outputs[0]}_${["starts", "ends", "axes", "steps"][index]}`);
      added.set(name, int64Tensor([values.length], values));
      return name;
    });
    return { ...node, inputs: [inputOf(inner, 0), ...inputs] };
  });
  return merged.size === 0 ? graph : withInitializers({ ...graph, nodes }, added);
}

function isOnlyReader({ readers, outputNames }: GraphLinks, node: Node): boolean {
  const y = outputOrOmitted(node, 0);
  return readers.get(y)?.length === 1 && !outputNames.has(y);
}

function constantRanges(graph: Graph, node: Node): Ranges | undefined {
  if (node.op !== "Slice" || node.domain !== "" || node.inputs.length < 3) return undefined;
  const values = (index: number): readonly number[] | undefined => {
    const tensor = ofInput(graph.initializers, node, index);
    return tensor === undefined ? undefined : numericData(tensor);
  };
  const starts = values(1);
  const ends = values(2);
  const axes = hasInput(node, 3) ? values(3) : starts?.map((_, axis) => axis);
  const steps = hasInput(node, 4) ? values(4) : starts?.map(() => 1);
  if (starts === undefined || ends === undefined || axes === undefined || steps === undefined)
    return undefined;
  return { starts, ends, axes, steps };
}

function joined(first: Ranges | undefined, second: Ranges | undefined): Ranges | undefined {
  if (first === undefined || second === undefined) return undefined;
  const axes = [...first.axes, ...second.axes];
  // A negative axis may name the same axis as a positive one.
  if (new Set(axes).size !== axes.length || axes.some((axis) => axis < 0)) return undefined;
  return {
    starts: [...first.starts, ...second.starts],
    ends: [...first.ends, ...second.ends],
    axes,
    steps: [...first.steps, ...second.steps],
  };
}
