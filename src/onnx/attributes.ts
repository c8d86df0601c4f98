import { create, fromBinary, isFieldSet, toBinary } from "@bufbuild/protobuf";
import { PenniError } from "../graph/errors.js";
import type { Attribute, InnerNode } from "../graph/types.js";
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
} from "./gen/onnx_pb.js";
import { sparseName } from "./sparse.js";
import { decodeTensor, type ExternalReader, encodeTensor, inlineExternal } from "./tensors.js";

/** The standard domain has two spellings. */
export function normalDomain(domain: string): string {
  return domain === "ai.onnx" ? "" : domain;
}

/** Files of IR version 1 leave the type out: what is set tells. UNDEFINED where nothing does. */
function attributeType(proto: AttributeProto): AttributeType {
  if (proto.type !== AttributeType.UNDEFINED) return proto.type;
  if (proto.t !== undefined) return AttributeType.TENSOR;
  if (proto.g !== undefined) return AttributeType.GRAPH;
  if (proto.floats.length > 0) return AttributeType.FLOATS;
  if (proto.ints.length > 0) return AttributeType.INTS;
  if (proto.strings.length > 0) return AttributeType.STRINGS;
  if (isFieldSet(proto, AttributeProtoSchema.field.f)) return AttributeType.FLOAT;
  if (isFieldSet(proto, AttributeProtoSchema.field.i)) return AttributeType.INT;
  if (isFieldSet(proto, AttributeProtoSchema.field.s)) return AttributeType.STRING;
  return AttributeType.UNDEFINED;
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8 = new TextEncoder();

/** UTF-8 text, or undefined where the bytes are something else. */
function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Names that a subgraph reads, itself or in its own subgraphs, and does not define. */
function capturedNames(graph: GraphProto): Set<string> {
  const defined = new Set([
    "",
    ...graph.input.map(({ name }) => name),
    ...graph.initializer.map(({ name }) => name),
    ...graph.sparseInitializer.map(sparseName),
    ...graph.node.flatMap(({ output }) => output),
  ]);
  const read = [
    ...graph.node.flatMap(({ input }) => input),
    ...graph.node.flatMap(({ attribute }) => attribute.flatMap(attributeCaptures)),
    ...graph.output.map(({ name }) => name),
  ];
  return new Set(read.filter((name) => !defined.has(name)));
}

function subgraphs(proto: AttributeProto): readonly GraphProto[] {
  return proto.g === undefined ? proto.graphs : [proto.g, ...proto.graphs];
}

function attributeCaptures(proto: AttributeProto): string[] {
  return [...new Set(subgraphs(proto).flatMap((graph) => [...capturedNames(graph)]))];
}

/** The nodes of all subgraphs below an attribute, at any depth. */
function innerNodes(proto: AttributeProto): InnerNode[] {
  return subgraphs(proto).flatMap(({ node }) =>
    node.flatMap(({ name, opType, domain, attribute }) => [
      { name, op: opType, domain: normalDomain(domain) },
      ...attribute.flatMap(innerNodes),
    ]),
  );
}

/** Moves external data of all tensors below an attribute into the message. */
function inlineAll(proto: AttributeProto, read: ExternalReader | undefined): void {
  for (const tensor of proto.t === undefined ? proto.tensors : [proto.t, ...proto.tensors]) {
    inlineExternal(tensor, read);
  }
  for (const graph of subgraphs(proto)) {
    for (const tensor of graph.initializer) inlineExternal(tensor, read);
    for (const { values, indices } of graph.sparseInitializer) {
      if (values !== undefined) inlineExternal(values, read);
      if (indices !== undefined) inlineExternal(indices, read);
    }
    for (const node of graph.node) for (const attribute of node.attribute) inlineAll(attribute, read);
  }
}

/** An attribute that Penni does not interpret: `value` is the encoded message. */
function opaque(proto: AttributeProto, read: ExternalReader | undefined): Attribute {
  inlineAll(proto, read);
  return {
    kind: "opaque",
    value: toBinary(AttributeProtoSchema, proto),
    captures: attributeCaptures(proto),
    inner: innerNodes(proto),
  };
}

/**
 * One attribute of a node. Subgraphs, lists of tensors, sparse tensors, references, strings that are not
 * UTF-8 and kinds newer than Penni become `opaque`.
 * @throws PenniError "bad-model" if its tensor is broken.
 */
export function decodeAttribute(proto: AttributeProto, read?: ExternalReader): Attribute {
  if (proto.refAttrName !== "") return opaque(proto, read);
  switch (attributeType(proto)) {
    case AttributeType.INT:
      return { kind: "int", value: proto.i };
    case AttributeType.FLOAT:
      return { kind: "float", value: proto.f };
    case AttributeType.INTS:
      return { kind: "ints", value: proto.ints };
    case AttributeType.FLOATS:
      return { kind: "floats", value: proto.floats };
    case AttributeType.STRING: {
      const value = decodeText(proto.s);
      return value === undefined ? opaque(proto, read) : { kind: "string", value };
    }
    case AttributeType.STRINGS: {
      const value = proto.strings.map(decodeText);
      const readable = value.every((text) => text !== undefined);
      return readable ? { kind: "strings", value } : opaque(proto, read);
    }
    case AttributeType.TENSOR:
      if (proto.t === undefined) {
        throw new PenniError("bad-model", `attribute "${proto.name}" should hold a tensor and does not`);
      }
      return { kind: "tensor", value: decodeTensor(proto.t, read) };
    default:
      return opaque(proto, read);
  }
}

/** The message of an attribute. */
export function encodeAttribute(name: string, attribute: Attribute): AttributeProto {
  switch (attribute.kind) {
    case "int":
      return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: attribute.value });
    case "float":
      return create(AttributeProtoSchema, {
        name,
        type: AttributeType.FLOAT,
        f: Math.fround(attribute.value),
      });
    case "string":
      return create(AttributeProtoSchema, {
        name,
        type: AttributeType.STRING,
        s: utf8.encode(attribute.value),
      });
    case "ints":
      return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: [...attribute.value] });
    case "floats":
      return create(AttributeProtoSchema, {
        name,
        type: AttributeType.FLOATS,
        floats: attribute.value.map(Math.fround),
      });
    case "strings":
      return create(AttributeProtoSchema, {
        name,
        type: AttributeType.STRINGS,
        strings: attribute.value.map((text) => utf8.encode(text)),
      });
    case "tensor":
      return create(AttributeProtoSchema, {
        name,
        type: AttributeType.TENSOR,
        t: encodeTensor("", attribute.value),
      });
    case "opaque":
      return encodeOpaque(name, attribute.value);
  }
}

function encodeOpaque(name: string, value: unknown): AttributeProto {
  if (!(value instanceof Uint8Array)) {
    throw new PenniError("internal", `attribute "${name}" holds something that cannot be written to a file`);
  }
  const proto = fromBinary(AttributeProtoSchema, value);
  proto.name = name;
  return proto;
}
