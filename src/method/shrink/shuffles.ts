import { inputOf, outputOf } from "../../graph/at.js";
import { int } from "../../graph/attributes.js";
import { freshNames, usedNames } from "../../graph/edit.js";
import { type GraphLinks, linkGraph } from "../../graph/links.js";
import { ofInput } from "../../graph/operands.js";
import { removeDeadNodes } from "../../graph/passes/remove_dead_nodes.js";
import { int64Tensor } from "../../graph/tensor.js";
import type { Graph, Node, Shape, Tensor } from "../../graph/types.js";
import { inferGraph } from "../../ops/inference/infer.js";
import { permutation } from "../../ops/operators/transpose.js";

/**
 * Writes every channel shuffle (ShuffleNet: Reshape [N, C, ...] -> [N, g, C / g, ...], Transpose of axes 1 and 2, Reshape
 * back) as one Gather of channels, out of which single channels can be removed. Returns the very same graph if
 * it has none.
 */
export function shufflesToGathers(graph: Graph): Graph {
  const links = linkGraph(graph);
  const { types } = inferGraph(graph);
  const shape = (name: string): Shape | undefined => types.get(name)?.shape;
  const fresh = freshNames(usedNames(graph));
  const added = new Map<string, Tensor>();
  const nodes = graph.nodes.map((node) => {
    const shuffle = findShuffle(links, node, shape);
    if (shuffle === undefined) return node;
    const { source, groups, channels } = shuffle;
    const perGroup = channels / groups;
    const order = Array.from(
      { length: channels },
      (_, lane) => (lane % groups) * perGroup + Math.floor(lane / groups),
    );
    const indices = fresh(`${outputOf(node, 0)}.order`);
    added.set(indices, int64Tensor([channels], order));
    return { ...node, op: "Gather", inputs: [source, indices], attributes: new Map([["axis", int(1)]]) };
  });
  if (added.size === 0) return graph;
  return removeDeadNodes({ ...graph, nodes, initializers: new Map([...graph.initializers, ...added]) });
}

interface Shuffle {
  readonly source: string;
  readonly groups: number;
  readonly channels: number;
}

/** The shuffle that ends in this node. */
function findShuffle(
  links: GraphLinks,
  last: Node,
  shape: (name: string) => Shape | undefined,
): Shuffle | undefined {
  if (!isStandard(last, "Reshape")) return undefined;
  const transpose = ofInput(links.producers, last, 0);
  if (!isStandard(transpose, "Transpose")) return undefined;
  const first = ofInput(links.producers, transpose, 0);
  if (!isStandard(first, "Reshape")) return undefined;
  const source = inputOf(first, 0);
  const [before, split, after] = [shape(source), shape(outputOf(first, 0)), shape(outputOf(last, 0))];
  if (before === undefined || split === undefined || after === undefined) return undefined;
  const swap = [0, 2, 1, ...before.slice(2).map((_, axis) => axis + 3)];
  if (split.length !== swap.length || !same(permutation(transpose, split.length), swap)) return undefined;
  const [batch, channels, ...spatial] = before;
  const [splitBatch, groups, perGroup, ...splitSpatial] = split;
  if (typeof channels !== "number" || typeof groups !== "number" || typeof perGroup !== "number")
    return undefined;
  const keeps = groups * perGroup === channels && same([splitBatch, ...splitSpatial], [batch, ...spatial]);
  return keeps && same(after, before) ? { source, groups, channels } : undefined;
}

function isStandard(node: Node | undefined, op: string): node is Node {
  return node?.op === op && node.domain === "";
}

/** Whether two shapes are known to be equal. */
function same(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => dim !== undefined && dim === b[axis]);
}
