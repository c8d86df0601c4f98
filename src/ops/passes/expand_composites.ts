import { PenniError } from "../../graph/errors.js";
import type { Graph, Node } from "../../graph/types.js";
import { PENNI_DOMAIN } from "../core/composite.js";
import { standardOpset } from "../core/definition.js";
import { TypedBuilder } from "../inference/builder.js";
import { findOp } from "../inference/registry.js";

/** All names a graph uses, so that fresh ones do not collide. */
export function namesOf(graph: Graph): string[] {
  return [
    ...graph.inputs.map((input) => input.name),
    ...graph.initializers.keys(),
    ...graph.nodes.flatMap((node) => [node.name, ...node.outputs]),
  ];
}

/**
 * Tells a builder the types that the file declares. Those of operators that Penni knows are inferred when they are
 * appended; behind all others these are all that is known.
 */
export function declareTypes(b: TypedBuilder, graph: Graph): void {
  for (const { name, type } of graph.outputs) if (type?.shape !== undefined) b.types.set(name, type);
  for (const [name, { type }] of graph.valueInfo) if (type?.shape !== undefined) b.types.set(name, type);
}

/** A builder over a graph's inputs and initializers, its nodes still to be appended. All inputs need types. */
export function builderFor(graph: Graph): TypedBuilder {
  const b = new TypedBuilder(standardOpset(graph), namesOf(graph));
  declareTypes(b, graph);
  for (const { name, type } of graph.inputs) if (type !== undefined) b.declare(name, type);
  for (const [name, tensor] of graph.initializers) b.setInitializer(name, tensor);
  return b;
}

/** Writes every composite of Penni's own in standard operators, so that any ONNX runtime can run the graph. */
export function expandComposites(graph: Graph): Graph {
  return expandWhere(graph, (node) => node.domain === PENNI_DOMAIN);
}

/** The graph with the nodes that `isExpanded` picks written in other operators. */
export function expandWhere(graph: Graph, isExpanded: (node: Node, b: TypedBuilder) => boolean): Graph {
  const b = builderFor(graph);
  const renamed = new Map<string, string>();
  for (const node of graph.nodes) {
    const present = { ...node, inputs: node.inputs.map((name) => renamed.get(name) ?? name) };
    if (!isExpanded(present, b)) b.append(present);
    else for (const [from, to] of expandComposite(b, present)) renamed.set(from, to);
  }
  for (const { name } of graph.outputs) {
    const source = renamed.get(name);
    if (source !== undefined) b.emit("Identity", [source], { outputs: [name] });
  }
  return { ...graph, nodes: b.nodes, initializers: b.initializers };
}

/** Emits a composite in standard operators; pairs of its outputs with the values that stand for them. */
export function expandComposite(b: TypedBuilder, node: Node): readonly (readonly [string, string])[] {
  const expand = findOp(node)?.expand;
  if (expand === undefined)
    throw new PenniError("internal", "a composite has no expansion", { node: node.name, op: node.op });
  const values = expand(b, node);
  return node.outputs.flatMap((name, index) => {
    const value = values[index];
    return name === "" || value === undefined ? [] : [[name, value] as const];
  });
}
