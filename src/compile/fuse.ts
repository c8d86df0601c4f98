import { listOf, orDefault, outputOf } from "../graph/at.js";
import { type GraphLinks, linkGraph } from "../graph/links.js";
import type { Graph, Node } from "../graph/types.js";
import type { Inference } from "../ops/inference/infer.js";
import { nodeContext } from "../ops/inference/infer.js";
import type { Bounds } from "./lower/definition.js";
import { findLowering } from "./lower/registry.js";

/** A node, and the nodes behind it that its kernel does in passing. */
export interface Operation {
  readonly node: Node;
  /** The other summand, where the result is added to a value of the same shape. */
  readonly residual: string | undefined;
  readonly bounds: Bounds;
  /** What the last of the nodes is called that it computes; other outputs keep their names. */
  readonly output: string;
}

const unbounded: Bounds = { low: undefined, high: undefined };

/**
 * The operations of a graph in an order in which they can run. A convolution takes along a following sum with a value
 * of the same shape; it and everything else whose lowering can do so take along following bounds; as far as nobody
 * else reads what lies between.
 */
export function fuseOperations(graph: Graph, inference: Inference, opset: number): readonly Operation[] {
  const fusion: Fusion = { links: linkGraph(graph), inference, opset, taken: new Set() };
  // By the last of its nodes, before which the other summand may be computed.
  const byLast = new Map<Node, Operation>();
  for (const node of graph.nodes) {
    if (fusion.taken.has(node)) continue;
    const { operation, last } = withEnding(node, fusion);
    byLast.set(last, operation);
  }
  // A node that another takes along, and is not its last, has no operation.
  return graph.nodes.map((node) => byLast.get(node)).filter((operation) => operation !== undefined);
}

interface Fusion {
  readonly links: GraphLinks;
  readonly inference: Inference;
  readonly opset: number;
  /** Nodes that those before them took along. */
  readonly taken: Set<Node>;
}

interface Ending {
  readonly operation: Operation;
  readonly last: Node;
}

function withEnding(node: Node, fusion: Fusion): Ending {
  const operation = { node, residual: undefined, bounds: unbounded, output: orDefault(node.outputs[0], "") };
  const alone: Ending = { operation, last: node };
  const lowering = findLowering(node);
  const summed = lowering?.takesSum === true ? withSum(alone, fusion) : alone;
  return lowering?.takesBounds === true ? withBounds(summed, fusion) : summed;
}

function withSum(ending: Ending, fusion: Fusion): Ending {
  const { links, inference, taken } = fusion;
  const { operation } = ending;
  const sum = onlyReader(links, operation.output);
  if (sum === undefined || taken.has(sum) || findLowering(sum)?.isSum !== true) return ending;
  const other = sum.inputs.find((name) => name !== operation.output);
  const shapeOf = (name: string): string => JSON.stringify(inference.types.get(name)?.shape);
  if (other === undefined || shapeOf(other) !== shapeOf(operation.output)) return ending;
  taken.add(sum);
  return { operation: { ...operation, residual: other, output: outputOf(sum, 0) }, last: sum };
}

function withBounds(ending: Ending, { links, inference, opset, taken }: Fusion): Ending {
  const { operation } = ending;
  const limit = onlyReader(links, operation.output);
  if (limit === undefined || taken.has(limit)) return ending;
  const bounds = findLowering(limit)?.bounds?.(nodeContext(limit, opset, inference.types, inference.values));
  if (bounds === undefined) return ending;
  taken.add(limit);
  return { operation: { ...operation, bounds, output: outputOf(limit, 0) }, last: limit };
}

/** The one node that reads a value, if it is read once and is no output of the graph. */
function onlyReader(links: GraphLinks, name: string): Node | undefined {
  const readers = listOf(links.readers, name);
  return readers.length === 1 && !links.outputNames.has(name) ? readers[0] : undefined;
}
