import { orDefault } from "./at.js";
import { PenniError } from "./errors.js";
import { capturedNames } from "./links.js";
import { elementBytes, elementCount } from "./tensor.js";
import type { Graph, Node, Tensor } from "./types.js";

const DAMAGED = "The model is damaged or was not written by an ONNX exporter: export it again";

/** Names of the values that a node reads, those that its subgraphs capture included. */
export function namesRead(node: Node): readonly string[] {
  return [...node.inputs, ...capturedNames(node)].filter((name) => name !== "");
}

/**
 * What defines each value: the node that computes it, or undefined for graph inputs and initializers.
 * @throws PenniError "bad-model" if a name is defined twice.
 */
export function definitionsOf(graph: Graph): ReadonlyMap<string, Node | undefined> {
  const definitions = new Map<string, Node | undefined>();
  const define = (name: string, node?: Node): void => {
    if (definitions.has(name)) throw definedTwice("value", name, node);
    definitions.set(name, node);
  };
  for (const { name } of graph.inputs) define(name);
  for (const name of graph.initializers.keys()) define(name);
  for (const node of graph.nodes) for (const name of node.outputs) if (name !== "") define(name, node);
  return definitions;
}

/** The error for a name that nothing defines. */
export function undefinedValue(name: string, node: Node): PenniError {
  return new PenniError("bad-model", `nothing computes the input "${name}"`, {
    node: node.name,
    op: node.op,
    advice: DAMAGED,
  });
}

/**
 * Checks the structure of a graph: every value is defined once, by an input, an initializer or a node;
 * every value that is read (by a node, its subgraphs, or as a graph output) is defined, and earlier than
 * its reader; the standard operator set has a version; initializers hold as many bytes as their dimensions say.
 * @throws PenniError "bad-model" naming the node or value.
 */
export function verifyGraph(graph: Graph): void {
  const definitions = definitionsOf(graph);
  verifyOutputs(graph, definitions);
  verifyOrder(graph, definitions);
  for (const node of graph.nodes) verifyOpset(graph, node);
  for (const [name, tensor] of graph.initializers) verifyTensor(name, tensor);
}

function definedTwice(what: string, name: string, node?: Node): PenniError {
  return new PenniError("bad-model", `${what} "${name}" is defined twice`, {
    ...(node === undefined ? {} : { node: node.name, op: node.op }),
    advice: DAMAGED,
  });
}

function verifyOutputs(graph: Graph, definitions: ReadonlyMap<string, Node | undefined>): void {
  const seen = new Set<string>();
  for (const { name } of graph.outputs) {
    if (seen.has(name)) throw definedTwice("output", name);
    seen.add(name);
    if (definitions.has(name)) continue;
    throw new PenniError("bad-model", `nothing computes the output "${name}"`, { advice: DAMAGED });
  }
}

function verifyOrder(graph: Graph, definitions: ReadonlyMap<string, Node | undefined>): void {
  const done = new Set<Node>();
  for (const node of graph.nodes) {
    for (const name of namesRead(node)) {
      if (!definitions.has(name)) throw undefinedValue(name, node);
      const producer = definitions.get(name);
      if (producer === undefined || done.has(producer)) continue;
      throw new PenniError("bad-model", `reads "${name}" before it is computed`, {
        node: node.name,
        op: node.op,
        expected: "nodes in topological order",
        found: `the node that computes it, "${producer.name}" (${producer.op}), comes later`,
      });
    }
    done.add(node);
  }
}

function verifyOpset(graph: Graph, node: Node): void {
  const isStandard = node.domain === "" || node.domain === "ai.onnx";
  if (!isStandard || graph.opsets.has("") || graph.opsets.has("ai.onnx")) return;
  throw new PenniError("bad-model", "the model does not say which operator set this node belongs to", {
    node: node.name,
    op: node.op,
    expected: "an opset_import of the standard domain",
    found: [...graph.opsets.keys()].join(", ") || "none",
    advice: DAMAGED,
  });
}

function verifyTensor(name: string, tensor: Tensor): void {
  const { dims, type } = tensor;
  if (dims.some((dim) => !Number.isSafeInteger(dim) || dim < 0)) {
    throw new PenniError("bad-model", `initializer "${name}" has impossible dimensions`, {
      expected: "non-negative integers",
      found: `[${dims.join(", ")}]`,
    });
  }
  if (type === "other") return;
  const expected = type === "string" ? elementCount(dims) : elementCount(dims) * elementBytes[type];
  const found = type === "string" ? orDefault(tensor.strings?.length, 0) : tensor.bytes.byteLength;
  if (expected === found) return;
  const unit = type === "string" ? "strings" : "bytes";
  throw new PenniError("bad-model", `initializer "${name}" does not fill its dimensions`, {
    expected: `${expected} ${unit} for ${type} [${dims.join(", ")}]`,
    found: `${found} ${unit}`,
    advice: DAMAGED,
  });
}
