import { freshNames, usedNames } from "../edit.js";
import type { Graph, Node } from "../types.js";

/**
 * What the format leaves open, said in one way: every node has a name of its own, trailing omitted inputs and outputs
 * are not listed, and an output is listed once. The same object where nothing is to be said otherwise.
 */
export function normalForm(graph: Graph): Graph {
  return nameNodes(dropOmitted(listOutputsOnce(graph)));
}

/**
 * Gives a name to every node that has none, and another to every node that has that of an earlier one: ONNX Runtime
 * refuses two nodes of one name, and reports go by names. New names say what the node computes ("y/Conv") and are no
 * other node's and no value's; they depend on the graph alone.
 */
export function nameNodes(graph: Graph): Graph {
  const names = new Set(graph.nodes.map(({ name }) => name));
  if (names.size === graph.nodes.length && !names.has("")) return graph;
  const fresh = freshNames(usedNames(graph));
  const given = new Set<string>();
  const nodes = graph.nodes.map((node) => {
    const isOwn = node.name !== "" && !given.has(node.name);
    const name = isOwn ? node.name : fresh(node.name === "" ? describedName(node) : node.name);
    given.add(name);
    return isOwn ? node : { ...node, name };
  });
  return { ...graph, nodes };
}

function describedName({ op, outputs }: Node): string {
  const output = outputs.find((name) => name !== "");
  return output === undefined ? op : `${output}/${op}`;
}

/** In ONNX "" at the end of a list of inputs or outputs says what a shorter list says. */
export function dropOmitted(graph: Graph): Graph {
  const nodes = graph.nodes.map((node) => {
    const [inputs, outputs] = [withoutTrailing(node.inputs), withoutTrailing(node.outputs)];
    return inputs === node.inputs && outputs === node.outputs ? node : { ...node, inputs, outputs };
  });
  return nodes.every((node, index) => node === graph.nodes[index]) ? graph : { ...graph, nodes };
}

function withoutTrailing(names: readonly string[]): readonly string[] {
  const end = names.findLastIndex((name) => name !== "") + 1;
  return end === names.length ? names : names.slice(0, end);
}

/** Runtimes give outputs by name, so a value that is listed twice is one output. */
export function listOutputsOnce(graph: Graph): Graph {
  const names = new Set(graph.outputs.map(({ name }) => name));
  if (names.size === graph.outputs.length) return graph;
  const outputs = graph.outputs.filter((output) => names.delete(output.name));
  return { ...graph, outputs };
}
