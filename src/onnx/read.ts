import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { orDefault } from "../graph/at.js";
import { type ErrorDetails, PenniError } from "../graph/errors.js";
import { normalForm } from "../graph/passes/normal_form.js";
import { topologicalSort } from "../graph/passes/topological_sort.js";
import type { Attribute, Branch, Graph, Node, Tensor, ValueInfo } from "../graph/types.js";
import { verifyGraph } from "../graph/verify.js";
import { decodeAttribute, normalDomain } from "./attributes.js";
import { foreignFormat } from "./foreign_formats.js";
import { inlineFunctions } from "./functions.js";
import {
  type AttributeProto,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from "./gen/onnx_pb.js";
import { unpackInitializers } from "./packed/unpack.js";
import { decodesToMoreThan } from "./size_check.js";
import { densify, sparseName } from "./sparse.js";
import { decodeTensor, type ExternalReader } from "./tensors.js";
import { decodeValueInfo } from "./values.js";

/**
 * What all sparse tensors of a file may take together when expanded: that much, and so many bytes for each byte of the
 * file, so that a few bytes do not fill the memory while a pruned network still has its zeros.
 */
const DENSIFIED_BYTES = 2 ** 26;
const DENSIFIED_BYTES_PER_BYTE = 256;
/** More than that is never allowed. */
const LARGEST_DENSIFIED_BYTES = 2 ** 31;

const mostDensified = (fileBytes: number): number =>
  Math.min(DENSIFIED_BYTES + DENSIFIED_BYTES_PER_BYTE * fileBytes, LARGEST_DENSIFIED_BYTES);

export interface DecodeOptions {
  /** Name of the file for error messages. */
  readonly file?: string;
  /** Reads a file of external data; without it a model that has some is refused. */
  readonly external?: ExternalReader;
}

/** About 0.5 GiB once decoded. Weights are not among them unless they are 64-bit integers outside raw data. */
const MOST_INTEGERS = 2 ** 23;

function parse(bytes: Uint8Array): ModelProto {
  // A plain view: windows into a Buffer would be Buffers, whose slice() does not copy.
  const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength === 0) throw notAModel("an empty file", view);
  try {
    if (!decodesToMoreThan(MOST_INTEGERS, ModelProtoSchema, view)) return fromBinary(ModelProtoSchema, view);
  } catch (cause) {
    throw notAModel("bytes that are not a valid protobuf message", view, cause);
  }
  throw new PenniError("bad-file", "the model has too many parts to be read into memory", {
    expected: `at most ${MOST_INTEGERS} integers and nodes (a node counted as 16 integers or more)`,
    found: "more",
    advice: "Export it again, with the weights as raw data",
  });
}

/** @param found what can be said of bytes that are not of another known kind */
function notAModel(found: string, bytes: Uint8Array, cause?: unknown): PenniError {
  const foreign = foreignFormat(bytes);
  const details: ErrorDetails = {
    expected: "an ONNX model",
    found: foreign?.name ?? found,
    advice: foreign?.advice ?? "Check that the file is complete and is an .onnx file",
  };
  return new PenniError("bad-file", "cannot read the model", details, { cause });
}

interface Annotated {
  readonly docString: string;
  readonly $unknown?: unknown[] | undefined;
}

/** The fields given, without empty texts: an absent field and an empty one mean the same. */
function present<Fields extends Readonly<Record<string, string>>>(fields: Fields): Partial<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, text]) => text !== "")) as Partial<Fields>;
}

function isAnnotated(message: Annotated): boolean {
  return message.docString !== "" || message.$unknown !== undefined;
}

/** Documentation and unknown fields of a node and its attributes, encoded; undefined if there are none. */
function nodeExtra(proto: NodeProto): Uint8Array | undefined {
  const annotated = proto.attribute.filter(isAnnotated);
  if (annotated.length === 0 && !isAnnotated(proto)) return undefined;
  const extra = create(NodeProtoSchema, present({ docString: proto.docString }));
  extra.$unknown = proto.$unknown;
  extra.attribute = annotated.map(({ name, docString, $unknown }) => {
    const attribute = create(AttributeProtoSchema, present({ name, docString }));
    attribute.$unknown = $unknown;
    return attribute;
  });
  return toBinary(NodeProtoSchema, extra);
}

function decodeBranch(graph: GraphProto, read?: ExternalReader): Branch {
  return {
    nodes: graph.node.map((node) => decodeNode(node, read)),
    initializers: decodeInitializers(graph, 0, read),
    valueInfo: graph.valueInfo.map(decodeValueInfo),
    outputs: graph.output.map(({ name }) => name),
  };
}

/** A branch of If, which may turn out to be the only one. */
function withBranch(
  decoded: Attribute,
  { g: graph }: AttributeProto,
  read: ExternalReader | undefined,
): Attribute {
  if (decoded.kind !== "opaque" || graph === undefined || graph.input.length > 0) return decoded;
  // Sparse tensors are expanded within an allowance that is the whole file's: rare in branches, and left there.
  if (graph.sparseInitializer.length > 0) return decoded;
  return { ...decoded, branch: decodeBranch(graph, read) };
}

/** What is in the body of a Loop or Scan. */
export interface Body extends Branch {
  /** Names, in order. */
  readonly inputs: readonly string[];
}

/**
 * The subgraph of an attribute, which otherwise travels as it is; undefined where it holds none.
 * @throws PenniError "bad-model" if it contradicts itself
 */
export function decodeBody(attribute: Attribute): Body | undefined {
  if (attribute.kind !== "opaque" || !(attribute.value instanceof Uint8Array)) return undefined;
  const { g: graph } = fromBinary(AttributeProtoSchema, attribute.value);
  if (graph === undefined) return undefined;
  return { ...decodeBranch(graph), inputs: graph.input.map(({ name }) => name) };
}

function decodeAttributes(proto: NodeProto, read?: ExternalReader): ReadonlyMap<string, Attribute> {
  const attributes = new Map<string, Attribute>();
  for (const attribute of proto.attribute) {
    if (attributes.has(attribute.name)) {
      throw new PenniError("bad-model", `attribute "${attribute.name}" is given twice`);
    }
    const decoded = decodeAttribute(attribute, read);
    attributes.set(attribute.name, proto.opType === "If" ? withBranch(decoded, attribute, read) : decoded);
  }
  return attributes;
}

function decodeNode(proto: NodeProto, read?: ExternalReader): Node {
  const { name, opType: op } = proto;
  try {
    if (op === "") throw new PenniError("bad-model", "a node has no operator");
    const extra = nodeExtra(proto);
    return {
      name,
      op,
      domain: normalDomain(proto.domain),
      inputs: proto.input,
      outputs: proto.output,
      attributes: decodeAttributes(proto, read),
      ...(extra === undefined ? {} : { extra }),
    };
  } catch (error) {
    throw error instanceof PenniError ? error.within({ node: name, op }) : error;
  }
}

function decodeInitializers(
  graph: GraphProto,
  fileBytes: number,
  read?: ExternalReader,
): ReadonlyMap<string, Tensor> {
  const initializers = new Map<string, Tensor>();
  const define = (name: string, tensor: Tensor): void => {
    if (name === "") throw new PenniError("bad-model", "an initializer has no name");
    if (initializers.has(name)) throw new PenniError("bad-model", `initializer "${name}" is defined twice`);
    initializers.set(name, tensor);
  };
  for (const proto of graph.initializer) define(proto.name, decodeTensor(proto, read));
  let allowance = mostDensified(fileBytes);
  for (const proto of graph.sparseInitializer) {
    const tensor = densify(proto, allowance, read);
    allowance -= tensor.bytes.byteLength;
    define(sparseName(proto), tensor);
  }
  return initializers;
}

function decodeOpsets(model: ModelProto): ReadonlyMap<string, number> {
  const opsets = new Map<string, number>();
  for (const { domain, version } of model.opsetImport) {
    if (version < 1n || version > 0x7fffffffn) {
      throw new PenniError("bad-model", `the operator set version of domain "${domain}" is impossible`, {
        found: `${version}`,
      });
    }
    opsets.set(normalDomain(domain), Number(version));
  }
  if (opsets.size > 0) return opsets;
  throw new PenniError("bad-model", "the model does not say which operator set it uses", {
    expected: "an opset_import",
    advice: "Export it again with opset 13 or later",
  });
}

/** Documentation and unknown fields of an initializer, under its name. */
function tensorExtra({ name, docString, $unknown }: TensorProto): TensorProto {
  const extra = create(TensorProtoSchema, present({ name, docString }));
  extra.$unknown = $unknown;
  return extra;
}

/** What `Graph` does not hold of model and graph: versions, producer, documentation, unknown fields. */
function modelExtra(model: ModelProto, graph: GraphProto): Uint8Array {
  const annotated = graph.initializer.filter(isAnnotated);
  const graphExtra = create(GraphProtoSchema, {
    ...present({ docString: graph.docString }),
    initializer: annotated.map(tensorExtra),
  });
  graphExtra.$unknown = graph.$unknown;
  const { irVersion, producerName, producerVersion, domain, modelVersion, docString } = model;
  const extra = create(ModelProtoSchema, {
    irVersion,
    modelVersion,
    ...present({ producerName, producerVersion, domain, docString }),
    graph: graphExtra,
  });
  extra.$unknown = model.$unknown;
  return toBinary(ModelProtoSchema, extra);
}

/** The newest version of the file format that onnxruntime-node 1.30 loads. */
const NEWEST_IR_VERSION = 13n;

function checkIrVersion({ irVersion }: ModelProto): void {
  if (irVersion <= NEWEST_IR_VERSION) return;
  throw new PenniError("bad-file", "the file is in a later version of the ONNX format", {
    expected: `IR version ${NEWEST_IR_VERSION} or earlier`,
    found: `${irVersion}`,
    advice: `Export it with an earlier version of the onnx package, or set its ir_version to ${NEWEST_IR_VERSION} and save it again`,
  });
}

/** Exporters write 0 for a size that is open; an input without elements has no other use. */
function withOpenSizes(graph: Graph): Graph {
  const hasZero = graph.inputs.some(({ type }) => type?.shape?.includes(0) === true);
  if (!hasZero) return graph;
  const opened = (info: ValueInfo): ValueInfo => {
    const { type } = info;
    if (type?.shape?.includes(0) !== true) return info;
    return { ...info, type: { ...type, shape: type.shape.map((dim) => (dim === 0 ? undefined : dim)) } };
  };
  return {
    ...graph,
    inputs: graph.inputs.map(opened),
    outputs: graph.outputs.map(opened),
    valueInfo: new Map([...graph.valueInfo].map(([name, info]) => [name, opened(info)])),
  };
}

/**
 * Exporters write one name ("?", "None") for whatever they do not know. Where an input of three dimensions or more has the
 * batch's name for another dimension, that one is open: it would become 1 where one image goes in.
 */
function withOwnBatch(graph: Graph): Graph {
  const inputs = graph.inputs.map((info): ValueInfo => {
    const [batch, ...others] = orDefault(info.type?.shape, []);
    if (info.type === undefined || typeof batch !== "string" || others.length < 2 || !others.includes(batch))
      return info;
    const shape = [batch, ...others.map((dim) => (dim === batch ? undefined : dim))];
    return { ...info, type: { ...info.type, shape } };
  });
  return inputs.every((info, index) => info === graph.inputs[index]) ? graph : { ...graph, inputs };
}

function withoutOutputs({ nodes }: Graph): PenniError {
  return new PenniError("bad-model", "the model has no output, so nothing of it would be computed", {
    found: `${nodes.length} nodes, and none whose result is an output`,
    advice: "Export it again with its outputs",
  });
}

function decodeGraph(model: ModelProto, bytes: Uint8Array, read?: ExternalReader): Graph {
  if (model.graph === undefined) throw notAModel("a file without a graph", bytes);
  checkIrVersion(model);
  unpackInitializers(model.graph, mostDensified(bytes.byteLength));
  inlineFunctions(model);
  const { graph } = model;
  const initializers = decodeInitializers(graph, bytes.byteLength, read);
  const given: Graph = {
    name: graph.name,
    opsets: decodeOpsets(model),
    // Before IR version 4 initializers were inputs as well.
    inputs: graph.input.map(decodeValueInfo).filter(({ name }) => !initializers.has(name)),
    outputs: graph.output.map(decodeValueInfo),
    nodes: graph.node.map((node) => decodeNode(node, read)),
    initializers,
    valueInfo: new Map(
      graph.valueInfo.map(decodeValueInfo).map((info): [string, ValueInfo] => [info.name, info]),
    ),
    metadata: new Map(model.metadataProps.map(({ key, value }) => [key, value])),
    extra: modelExtra(model, graph),
  };
  if (given.outputs.length === 0) throw withoutOutputs(given);
  const sorted = topologicalSort(normalForm(withOpenSizes(withOwnBatch(given))));
  verifyGraph(sorted);
  return sorted;
}

/**
 * The graph in the bytes of an .onnx file. Weights are not copied: tensors are windows into `bytes`, except
 * sparse ones and those that are not stored as raw data. Nodes come in topological order, each with a name of its own
 * (`normalForm`). Whatever Penni does
 * not interpret (documentation, producer, unknown fields) travels in `extra`, as encoded messages,
 * and is written back by `encodeModel`; tensors of unknown element types hold their encoded message.
 * @throws PenniError "bad-file" if the bytes are no ONNX model, "bad-model" if the model contradicts itself.
 */
export function decodeModel(bytes: Uint8Array, options: DecodeOptions = {}): Graph {
  try {
    return decodeGraph(parse(bytes), bytes, options.external);
  } catch (error) {
    if (error instanceof PenniError && options.file !== undefined) throw error.within({ file: options.file });
    throw error;
  }
}
