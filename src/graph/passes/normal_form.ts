import { freshNames, usedNames } from "../edit.js";
import type { Graph, Node } from "../types.js";

/**
 * Standard operators all of whose outputs are there, whether anybody wants them or not: how many are listed says what
 * the node does (Split), or must be as many as the operator or its body has.
 */
const COUNTED_OUTPUTS: ReadonlySet<string> = new Set([
  "DynamicQuantizeLinear",
  "If",
  "Loop",
  "Scan",
  "Split",
  "TopK",
]);

const countsOutputs = ({ op, domain }: Node): boolean =>
  COUNTED_OUTPUTS.has(op) && (domain === "" || domain === "ai.onnx");

/**
 * What the format leaves open, said in one way: every node has a name of its own, trailing omitted inputs and outputs
 * are not listed, outputs that cannot be omitted have names, and an output of the graph is listed once. The same object
 * where nothing is to be said otherwise.
 */
export function normalForm(graph: Graph): Graph {
  return nameNodes(dropOmitted(nameOutputs(listOutputsOnce(graph))));
}

/** Names the outputs that a file omits although the node has them: runtimes crash on them, and rules count outputs. */
function nameOutputs(graph: Graph): Graph {
  const isToName = (node: Node): boolean => countsOutputs(node) && node.outputs.includes("");
  if (!graph.nodes.some(isToName)) return graph;
  const fresh = freshNames(usedNames(graph));
  const nodes = graph.nodes.map((node) => {
    if (!isToName(node)) return node;
    const stem = describedName(node);
    return { ...node, outputs: node.outputs.map((name) => (name === "" ? fresh(`${stem}/unread`) : name)) };
  });
  return { ...graph, nodes };
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

/** "" at the end of a list of inputs or outputs says what a shorter list says, except where outputs are counted. */
export function dropOmitted(graph: Graph): Graph {
  const nodes = graph.nodes.map((node) => {
    const inputs = withoutTrailing(node.inputs);
    const outputs = countsOutputs(node) ? node.outputs : withoutTrailing(node.outputs);
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
