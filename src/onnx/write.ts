import { create, fromBinary } from "@bufbuild/protobuf";
import { freshNames, usedNames } from "../graph/edit.js";
import { PenniError } from "../graph/errors.js";
import type { Graph, Node } from "../graph/types.js";
import { encodeAttribute } from "./attributes.js";
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
} from "./gen/onnx_pb.js";
import { addPackedFunctions, IR_VERSION_FUNCTIONS } from "./packed/functions.js";
import { type PackedInitializer, packInitializers } from "./packed/pack.js";
import { messageParts, sizeOf } from "./parts.js";
import { sparsify } from "./sparse.js";
import { encodeTensor } from "./tensors.js";
import { encodeValueInfo } from "./values.js";

/** IR version of models that Penni creates. */
const OWN_IR_VERSION = 8n;
/** From here on initializers need not be inputs as well. */
const IR_VERSION_FREE_INITIALIZERS = 4n;
/** From here on there are sparse initializers. */
const IR_VERSION_SPARSE = 6n;

/** Protobuf messages end here. */
const LARGEST_MODEL_BYTES = 2 ** 31 - 1;

export interface EncodeOptions {
  /** Store initializers without their zeros where that is smaller: float32 and float16 as sparse tensors, int8 packed. */
  readonly sparse?: boolean;
}

function encodeNode(node: Node): NodeProto {
  const proto =
    node.extra instanceof Uint8Array ? fromBinary(NodeProtoSchema, node.extra) : create(NodeProtoSchema);
  const annotations = new Map(proto.attribute.map((attribute) => [attribute.name, attribute]));
  if (node.name !== "") proto.name = node.name;
  proto.opType = node.op;
  if (node.domain !== "") proto.domain = node.domain;
  proto.input = [...node.inputs];
  proto.output = [...node.outputs];
  proto.attribute = [...node.attributes].map(([name, attribute]) => {
    const encoded = encodeAttribute(name, attribute);
    const annotation = annotations.get(name);
    // An opaque attribute carries its own annotations.
    if (annotation === undefined || attribute.kind === "opaque") return encoded;
    if (annotation.docString !== "") encoded.docString = annotation.docString;
    encoded.$unknown = annotation.$unknown;
    return encoded;
  });
  return proto;
}

/** Tensors with fewer bytes stay in the model's own file. */
const SMALLEST_EXTERNAL_BYTES = 1024;
/** Where tensors start in a data file: multiples of this, as processors like them. */
const DATA_ALIGNMENT = 64;

/** Collects what goes into a data file. */
class DataParts {
  readonly parts: Uint8Array[] = [];
  private size = 0;

  constructor(private readonly location: string) {}

  /** Moves the raw data of a message here, if it is large enough, and leaves a reference. */
  take(proto: TensorProto): void {
    const { rawData } = proto;
    if (rawData.byteLength < SMALLEST_EXTERNAL_BYTES) return;
    const padding = (DATA_ALIGNMENT - (this.size % DATA_ALIGNMENT)) % DATA_ALIGNMENT;
    if (padding > 0) this.parts.push(new Uint8Array(padding));
    const offset = this.size + padding;
    this.parts.push(rawData);
    this.size = offset + rawData.byteLength;
    const entries = { location: this.location, offset: `${offset}`, length: `${rawData.byteLength}` };
    proto.externalData = Object.entries(entries).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    );
    proto.dataLocation = TensorProto_DataLocation.EXTERNAL;
    proto.rawData = new Uint8Array(0);
  }
}

function encodeInitializers(graph: Graph, proto: GraphProto, sparse: boolean, data?: DataParts): void {
  const annotations = new Map(proto.initializer.map((tensor) => [tensor.name, tensor]));
  proto.initializer = [];
  const packing = sparse
    ? packInitializers(graph.initializers, freshNames(usedNames(graph)))
    : new Map<string, PackedInitializer>();
  for (const [name, tensor] of graph.initializers) {
    const packed = packing.get(name);
    if (packed !== undefined) {
      proto.node.unshift(...packed.nodes);
      proto.initializer.push(...packed.initializers);
      continue;
    }
    const dense = encodeTensor(name, tensor);
    const smaller = sparse ? sparsify(name, tensor, dense) : undefined;
    const annotated = smaller?.values ?? dense;
    const annotation = annotations.get(name);
    if (annotation !== undefined && tensor.type !== "other") {
      if (annotation.docString !== "") annotated.docString = annotation.docString;
      annotated.$unknown = annotation.$unknown;
    }
    if (smaller === undefined) {
      data?.take(dense);
      proto.initializer.push(dense);
    } else proto.sparseInitializer.push(smaller);
  }
}

function encodeGraph(graph: Graph, proto: GraphProto, sparse: boolean, data?: DataParts): void {
  proto.name = graph.name === "" ? "graph" : graph.name;
  proto.input = graph.inputs.map(encodeValueInfo);
  proto.output = graph.outputs.map(encodeValueInfo);
  proto.node = graph.nodes.map(encodeNode);
  encodeInitializers(graph, proto, sparse, data);
  const known = new Set([...graph.initializers.keys(), ...graph.nodes.flatMap(({ outputs }) => outputs)]);
  proto.valueInfo = [...graph.valueInfo.values()].filter(({ name }) => known.has(name)).map(encodeValueInfo);
}

function leastIrVersion(graph: GraphProto, hasFunctions: boolean): bigint {
  if (hasFunctions) return IR_VERSION_FUNCTIONS;
  if (graph.sparseInitializer.length > 0) return IR_VERSION_SPARSE;
  return graph.initializer.length > 0 ? IR_VERSION_FREE_INITIALIZERS : 1n;
}

function weightBytes(graph: Graph): number {
  return [...graph.initializers.values()].reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
}

/** What a model's file may hold besides weights. */
const RESERVED_BYTES = 2 ** 24;

/** Whether the weights of a model need a data file of their own. */
export function isTooLarge(graph: Graph): boolean {
  return weightBytes(graph) > LARGEST_MODEL_BYTES - RESERVED_BYTES;
}

function checkSize(graph: Graph): void {
  if (!isTooLarge(graph)) return;
  throw new PenniError("unsupported", "the model is too large for one file", {
    expected: `at most ${LARGEST_MODEL_BYTES} bytes of weights`,
    found: `${weightBytes(graph)}`,
    advice: "It can be inspected, decomposed, shrunk and written with external data, but not run",
  });
}

function newModel(): ModelProto {
  return create(ModelProtoSchema, { irVersion: OWN_IR_VERSION, producerName: "penni" });
}

/**
 * The bytes of an .onnx file. Tensors are written as raw data, or, with `sparse`, as sparse initializers where
 * that is smaller (bit-exact: only +0.0 is left out). What `decodeModel` kept in `extra` is written back. The
 * IR version is raised only where initializers (4) or sparse initializers (6) need it.
 * @throws PenniError "unsupported" beyond 2 GiB of weights, "internal" for an opaque attribute that did not
 * come from a file.
 */
export function encodeModel(graph: Graph, options: EncodeOptions = {}): Uint8Array {
  return joined(encodeModelParts(graph, options));
}

/** The same bytes in parts, one after the other; large weights are not copied. @throws as `encodeModel` */
export function encodeModelParts(graph: Graph, options: EncodeOptions = {}): readonly Uint8Array[] {
  checkSize(graph);
  return messageParts(modelProto(graph, options));
}

/** How many bytes `encodeModel` returns, without making them. @throws as `encodeModel` */
export function encodedSize(graph: Graph, options: EncodeOptions = {}): number {
  return sizeOf(encodeModelParts(graph, options));
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(sizeOf(parts));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.byteLength;
  }
  return bytes;
}

/** A model whose larger weights are in a file of their own. */
export interface ModelWithData {
  readonly model: Uint8Array;
  /** The data file, part by part; weights are not copied. */
  readonly data: readonly Uint8Array[];
}

/**
 * As `encodeModel`, with the larger weights as external data; sparse ones stay in the model.
 * @param location name of the data file, as the model states it: relative to the model's directory
 */
export function encodeModelWithData(
  graph: Graph,
  location: string,
  options: EncodeOptions = {},
): ModelWithData {
  const data = new DataParts(location);
  return { model: joined(messageParts(modelProto(graph, options, data))), data: data.parts };
}

function modelProto(graph: Graph, options: EncodeOptions, data?: DataParts): ModelProto {
  const model = graph.extra instanceof Uint8Array ? fromBinary(ModelProtoSchema, graph.extra) : newModel();
  const proto = model.graph ?? create(GraphProtoSchema);
  model.graph = proto;
  encodeGraph(graph, proto, options.sparse ?? false, data);
  model.opsetImport = [...graph.opsets].map(([domain, version]) =>
    create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
  );
  addPackedFunctions(model, proto);
  const least = leastIrVersion(proto, model.functions.length > 0);
  if (model.irVersion < least) model.irVersion = least;
  model.metadataProps = [...graph.metadata].map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  );
  return model;
}
