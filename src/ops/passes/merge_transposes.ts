import { at } from "../../graph/at.js";
import { ints, intsAttribute } from "../../graph/attributes.js";
import { linkGraph } from "../../graph/links.js";
import { ofInput } from "../../graph/operands.js";
import type { Graph, Node } from "../../graph/types.js";
import { permutation } from "../operators/transpose.js";

/**
 * Turns a Transpose of a Transpose into one, which reads the first one's input: converters between channel
 * orders leave pairs that cancel.
 */
export function mergeTransposes(graph: Graph): Graph {
  const { producers } = linkGraph(graph);
  const nodes = graph.nodes.map((node) => {
    const inner = ofInput(producers, node, 0);
    return isTranspose(node) && isTranspose(inner) ? (merged(inner, node) ?? node) : node;
  });
  return nodes.every((node, index) => node === graph.nodes[index]) ? graph : { ...graph, nodes };
}

const isTranspose = (node: Node | undefined): node is Node => node?.op === "Transpose" && node.domain === "";

/** y[i] = inner[second[i]] and inner[j] = x[first[j]], axis by axis: y[i] = x[first[second[i]]]. */
function merged(inner: Node, outer: Node): Node | undefined {
  const rank = (intsAttribute(inner, "perm") ?? intsAttribute(outer, "perm"))?.length;
  if (rank === undefined) return undefined;
  const first = permutation(inner, rank);
  const perm = permutation(outer, rank).map((axis) => at(first, axis));
  return { ...outer, inputs: inner.inputs, attributes: new Map([["perm", ints(perm)]]) };
}
