import { orDefault } from "../../graph/at.js";
import { linkGraph } from "../../graph/links.js";
import { dropOmitted } from "../../graph/passes/normal_form.js";
import type { Graph, Node } from "../../graph/types.js";
import { findOp } from "../inference/registry.js";

/**
 * Leaves out the outputs that an operator need not have and nobody reads: the mask of Dropout, the indices of MaxPool.
 * The same object where there are none.
 */
export function removeUnreadOutputs(graph: Graph): Graph {
  const { readers, outputNames } = linkGraph(graph);
  const isRead = (name: string): boolean => readers.has(name) || outputNames.has(name);
  const nodes = graph.nodes.map((node) => withoutUnread(node, isRead));
  if (nodes.every((node, index) => node === graph.nodes[index])) return graph;
  return dropOmitted({ ...graph, nodes });
}

function withoutUnread(node: Node, isRead: (name: string) => boolean): Node {
  const first = orDefault(findOp(node)?.optionalOutputs, Number.POSITIVE_INFINITY);
  const isIdle = (name: string, index: number): boolean => index >= first && name !== "" && !isRead(name);
  if (!node.outputs.some(isIdle)) return node;
  return { ...node, outputs: node.outputs.map((name, index) => (isIdle(name, index) ? "" : name)) };
}
