import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Attribute, Node } from "../graph/types.js";
import { type AttributeProto, AttributeProtoSchema, type GraphProto } from "./gen/onnx_pb.js";
import { sparseName } from "./sparse.js";

/** A node with other names for its inputs, its outputs, and what its subgraphs read from outside. */
export function withValuesRenamed(node: Node, rename: (name: string) => string): Node {
  const attributes = new Map(
    [...node.attributes].map(([name, attribute]) => [name, withCapturesRenamed(attribute, rename)]),
  );
  return { ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename), attributes };
}

/** A subgraph with other names for what it reads from outside; what it defines itself keeps its names. */
function withCapturesRenamed(attribute: Attribute, rename: (name: string) => string): Attribute {
  if (attribute.kind !== "opaque" || attribute.captures.length === 0) return attribute;
  if (!(attribute.value instanceof Uint8Array)) return attribute;
  const names = new Map(attribute.captures.map((name) => [name, rename(name)]));
  const proto = fromBinary(AttributeProtoSchema, attribute.value);
  renameIn(proto, names);
  // A decoded branch would still have the names from before.
  const { branch: _, ...rest } = attribute;
  return { ...rest, value: toBinary(AttributeProtoSchema, proto), captures: [...names.values()] };
}

function renameIn(proto: AttributeProto, names: ReadonlyMap<string, string>): void {
  for (const graph of proto.g === undefined ? proto.graphs : [proto.g, ...proto.graphs]) {
    const outside = withoutOwn(graph, names);
    if (outside.size === 0) continue;
    const renamed = (name: string): string => outside.get(name) ?? name;
    for (const node of graph.node) {
      node.input = node.input.map(renamed);
      for (const attribute of node.attribute) renameIn(attribute, outside);
    }
    for (const output of graph.output) output.name = renamed(output.name);
  }
}

/** The names that mean the same inside a subgraph as outside. */
function withoutOwn(
  { input, initializer, sparseInitializer, node }: GraphProto,
  names: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const own = new Set([
    ...input.map(({ name }) => name),
    ...initializer.map(({ name }) => name),
    ...sparseInitializer.map(sparseName),
    ...node.flatMap(({ output }) => output),
  ]);
  return new Map([...names].filter(([name]) => !own.has(name)));
}
