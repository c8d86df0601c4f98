import { type GraphLinks, linkGraph } from "../graph/links.js";
import type { Graph, Node } from "../graph/types.js";
import type { Inference } from "../ops/infer.js";
import { nodeContext } from "../ops/infer.js";
import { type Bounds, boundsOf } from "./lower/bounds.js";

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
 * The operations of a graph in an order in which they can run: a convolution takes along a following sum with a value
 * of the same shape and following bounds, as far as nobody else reads what lies between.
 */
export function fuseOperations(graph: Graph, inference: Inference, opset: number): readonly Operation[] {
  const links = linkGraph(graph);
  const taken = new Set<Node>();
  const byLast = new Map<Node, Operation>();
  for (const node of graph.nodes) {
    if (node.op !== "Conv" || node.domain !== "") continue;
    const { operation, last } = withEnding(node, links, inference, opset, taken);
    if (last === node) continue;
    byLast.set(last, operation);
    taken.add(node);
  }
  return graph.nodes.flatMap((node) => {
    const fused = byLast.get(node);
    if (fused !== undefined) return [fused];
    return taken.has(node) ? [] : [alone(node)];
  });
}

function alone(node: Node): Operation {
  return { node, residual: undefined, bounds: unbounded, output: node.outputs[0] ?? "" };
}

function withEnding(
  node: Node,
  links: GraphLinks,
  { types, values }: Inference,
  opset: number,
  taken: Set<Node>,
): { readonly operation: Operation; readonly last: Node } {
  let operation = alone(node);
  let last = node;
  const take = (next: Node, change: Partial<Operation>): void => {
    operation = { ...operation, ...change, output: next.outputs[0] ?? "" };
    if (last !== node) taken.add(last);
    last = next;
  };
  const sum = onlyReader(links, operation.output);
  if (sum?.op === "Add" && sum.domain === "" && !taken.has(sum)) {
    const other = sum.inputs.find((name) => name !== operation.output);
    const sameShape =
      JSON.stringify(types.get(other ?? "")?.shape) === JSON.stringify(types.get(operation.output)?.shape);
    if (other !== undefined && sameShape) take(sum, { residual: other });
  }
  const limit = onlyReader(links, operation.output);
  const bounds = limit === undefined ? undefined : boundsOf(nodeContext(limit, opset, types, values));
  if (limit !== undefined && bounds !== undefined && !taken.has(limit)) take(limit, { bounds });
  return { operation, last };
}

/** The one node that reads a value, if it is read once and is no output of the graph. */
function onlyReader(links: GraphLinks, name: string): Node | undefined {
  const readers = links.readers.get(name) ?? [];
  return readers.length === 1 && !links.outputNames.has(name) ? readers[0] : undefined;
}
