import { create, toBinary } from "@bufbuild/protobuf";
import { present } from "../graph/at.js";
import type { Tensor } from "../graph/types.js";
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type FunctionProto,
  FunctionProtoSchema,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from "./gen/onnx_pb.js";
import { checkedDims, tensorError } from "./tensors.js";

// int8 tensors most of whose elements are zero. Sparse initializers spend two to four bytes on each position; here the
// places of the others are bits, or distances of one byte, and a function of the model, which any runtime computes once
// when it loads the file, puts the values there.

/** Domain of the functions that unpack. */
export const PACKED_DOMAIN = "penni.packed";
const BITS = "UnpackBits";
const GAPS = "UnpackGaps";
/** From here on models have functions. */
export const IR_VERSION_FUNCTIONS = 8n;
const FUNCTION_OPSET = 13;
const PACKED_VERSION = 1n;

const codes = { uint8: 2, int8: 3, int32: 6 } as const;
const MOST_GAP = 255;

/** What takes the place of an initializer: a node that makes it of two others. */
export interface PackedInitializer {
  readonly node: NodeProto;
  readonly initializers: readonly TensorProto[];
}

const tensorOf = (
  name: string,
  dims: readonly number[],
  type: keyof typeof codes,
  bytes: Uint8Array,
): TensorProto =>
  create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType: codes[type], rawData: bytes });

/** Values, and where they stand, of elements that are not zero. */
interface Places {
  readonly values: readonly number[];
  readonly places: Uint8Array;
}

/** The places as bits, the lowest of each byte first; values begin with the zero that all others are. */
function asBits(bytes: Uint8Array): Places {
  const places = new Uint8Array(Math.ceil(bytes.length / 8));
  const values = [0];
  bytes.forEach((value, at) => {
    if (value === 0) return;
    places[at >> 3] = present(places[at >> 3]) | (1 << (at & 7));
    values.push(value);
  });
  return { values, places };
}

/** The places as distances, from 0 for the first; where one does not fit, zeros are written out on the way. */
function asGaps(bytes: Uint8Array): Places {
  const values: number[] = [];
  const gaps: number[] = [];
  let last = 0;
  bytes.forEach((value, at) => {
    if (value === 0) return;
    for (; at - last > MOST_GAP; last += MOST_GAP) {
      gaps.push(MOST_GAP);
      values.push(0);
    }
    gaps.push(at - last);
    values.push(value);
    last = at;
  });
  return { values, places: Uint8Array.from(gaps) };
}

/**
 * A smaller form of an int8 initializer; undefined where there is none.
 * @param dense its ordinary form
 * @param fresh hands out names
 */
export function packInitializer(
  name: string,
  tensor: Tensor,
  dense: TensorProto,
  fresh: (stem: string) => string,
): PackedInitializer | undefined {
  if (tensor.type !== "int8" || tensor.dims.length === 0) return undefined;
  const nonZeros = tensor.bytes.reduce((count, value) => count + (value === 0 ? 0 : 1), 0);
  if (nonZeros === 0 || nonZeros >= tensor.bytes.length) return undefined;
  const [bits, gaps] = [asBits(tensor.bytes), asGaps(tensor.bytes)];
  const size = ({ values, places }: Places): number => values.length + places.length;
  const op = size(bits) <= size(gaps) ? BITS : GAPS;
  const { values, places } = op === BITS ? bits : gaps;
  const [placesName, valuesName] = [fresh(`${name}.p`), fresh(`${name}.v`)];
  const placesDims = op === BITS ? [places.length, 1] : [places.length];
  const node = create(NodeProtoSchema, {
    opType: op,
    domain: PACKED_DOMAIN,
    input: [placesName, valuesName],
    output: [name],
    attribute: [integers("shape", tensor.dims)],
  });
  const initializers = [
    tensorOf(placesName, placesDims, "uint8", places),
    tensorOf(valuesName, [values.length], "int8", Uint8Array.from(values)),
  ];
  const packed = [
    toBinary(NodeProtoSchema, node),
    ...initializers.map((each) => toBinary(TensorProtoSchema, each)),
  ];
  const bytes = packed.reduce((sum, part) => sum + part.length, 0);
  return bytes < toBinary(TensorProtoSchema, dense).length ? { node, initializers } : undefined;
}

function integers(name: string, values: readonly number[]): AttributeProto {
  const type = AttributeProto_AttributeType.INTS;
  return create(AttributeProtoSchema, { name, type, ints: values.map(BigInt) });
}

const integer = (name: string, value: number): AttributeProto =>
  create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) });

const word = (name: string, value: string): AttributeProto =>
  create(AttributeProtoSchema, {
    name,
    type: AttributeProto_AttributeType.STRING,
    s: new TextEncoder().encode(value),
  });

const tensorValue = (t: TensorProto): AttributeProto =>
  create(AttributeProtoSchema, { name: "value", type: AttributeProto_AttributeType.TENSOR, t });

function node(
  opType: string,
  input: readonly string[],
  output: string,
  attribute: AttributeProto[] = [],
): NodeProto {
  return create(NodeProtoSchema, { opType, input: [...input], output: [output], attribute });
}

/** The shape that a call states, and how many elements it has. */
const shapeNodes = (): readonly NodeProto[] => [
  node("Constant", [], "shape", [
    create(AttributeProtoSchema, {
      name: "value_ints",
      type: AttributeProto_AttributeType.INTS,
      refAttrName: "shape",
    }),
  ]),
  node("ReduceProd", ["shape"], "count"),
  node("Constant", [], "axis", [integer("value_int", 0)]),
];

const bodies: Readonly<Record<string, () => readonly NodeProto[]>> = {
  [BITS]: () => [
    ...shapeNodes(),
    node("Constant", [], "shifts", [
      tensorValue(
        tensorOf(
          "",
          [8],
          "uint8",
          Uint8Array.from({ length: 8 }, (_, bit) => bit),
        ),
      ),
    ]),
    node("Constant", [], "two", [tensorValue(tensorOf("", [], "uint8", Uint8Array.of(2)))]),
    node("Constant", [], "flat", [integers("value_ints", [-1])]),
    node("Constant", [], "first", [integers("value_ints", [0])]),
    node("BitShift", ["places", "shifts"], "shifted", [word("direction", "RIGHT")]),
    node("Mod", ["shifted", "two"], "bits"),
    node("Cast", ["bits"], "numbers", [integer("to", codes.int32)]),
    node("Reshape", ["numbers", "flat"], "all"),
    node("Slice", ["all", "first", "count"], "known"),
    node("CumSum", ["known", "axis"], "sums"),
    node("Mul", ["sums", "known"], "indices"),
    node("Gather", ["values", "indices"], "found"),
    node("Reshape", ["found", "shape"], "y"),
  ],
  [GAPS]: () => [
    ...shapeNodes(),
    node("ConstantOfShape", ["count"], "zeros", [tensorValue(tensorOf("", [1], "int8", Uint8Array.of(0)))]),
    node("Cast", ["places"], "numbers", [integer("to", codes.int32)]),
    node("CumSum", ["numbers", "axis"], "indices"),
    node("ScatterElements", ["zeros", "indices", "values"], "found"),
    node("Reshape", ["found", "shape"], "y"),
  ],
};

function functionOf(name: string): FunctionProto {
  return create(FunctionProtoSchema, {
    name,
    domain: PACKED_DOMAIN,
    input: ["places", "values"],
    output: ["y"],
    attribute: ["shape"],
    node: [...present(bodies[name])()],
    opsetImport: [create(OperatorSetIdProtoSchema, { domain: "", version: BigInt(FUNCTION_OPSET) })],
  });
}

/** Adds the functions that the packed initializers of a model call, and what a model with functions has to state. */
export function addPackedFunctions(model: ModelProto, graph: GraphProto): void {
  const called = new Set(
    graph.node.filter(({ domain }) => domain === PACKED_DOMAIN).map(({ opType }) => opType),
  );
  if (called.size === 0) return;
  model.functions.push(...[...called].map(functionOf));
  model.opsetImport.push(
    create(OperatorSetIdProtoSchema, { domain: PACKED_DOMAIN, version: PACKED_VERSION }),
  );
}

/**
 * Puts initializers in the place of the nodes that unpack them, where these are as Penni writes them: the message itself
 * is changed.
 * @param allowance bytes that all of them together may take
 * @throws PenniError "bad-model" if their parts contradict each other or they are too large
 */
export function unpackInitializers(graph: GraphProto, allowance: number): void {
  const calls = graph.node.filter(
    ({ domain, opType }) => domain === PACKED_DOMAIN && Object.hasOwn(bodies, opType),
  );
  if (calls.length === 0) return;
  const known = new Map(graph.initializer.map((each) => [each.name, each]));
  const done = new Set<NodeProto>();
  let left = allowance;
  for (const call of calls) {
    const tensor = unpacked(call, known, left);
    if (tensor === undefined) continue;
    left -= tensor.rawData.byteLength;
    graph.initializer.push(tensor);
    done.add(call);
  }
  graph.node = graph.node.filter((each) => !done.has(each));
  const read = new Set(graph.node.flatMap(({ input }) => input));
  const parts = new Set([...done].flatMap(({ input }) => input).filter((name) => !read.has(name)));
  graph.initializer = graph.initializer.filter(({ name }) => !parts.has(name));
}

function unpacked(
  { opType, input, output, attribute }: NodeProto,
  known: ReadonlyMap<string, TensorProto>,
  allowance: number,
): TensorProto | undefined {
  const [places, values] = input.map((name) => known.get(name));
  const [name] = output;
  const shape = attribute.find((each) => each.name === "shape");
  if (places === undefined || values === undefined || name === undefined || shape === undefined)
    return undefined;
  // As other tools may have written it again: what its function says is what it means.
  const isOurs = places.dataType === codes.uint8 && values.dataType === codes.int8;
  if (!isOurs || places.rawData.byteLength === 0 || values.rawData.byteLength === 0) return undefined;
  const { dims, count } = checkedDims(name, shape.ints);
  if (count > allowance) {
    throw tensorError(name, "is too large when unpacked", `at most ${allowance} bytes`, `${count}`);
  }
  const bytes = new Uint8Array(count);
  const isWhole = (opType === BITS ? fromBits : fromGaps)(bytes, places.rawData, values.rawData);
  if (!isWhole) throw tensorError(name, "is packed in parts that contradict each other");
  return tensorOf(name, dims, "int8", bytes);
}

function fromBits(bytes: Uint8Array, places: Uint8Array, values: Uint8Array): boolean {
  let next = 0;
  for (let at = 0; at < bytes.length; at++) {
    if (((places[at >> 3] ?? 0) & (1 << (at & 7))) === 0) bytes[at] = present(values[0]);
    else bytes[at] = values[++next] ?? 0;
  }
  return next < values.length && places.length === Math.ceil(bytes.length / 8) && values[0] === 0;
}

function fromGaps(bytes: Uint8Array, places: Uint8Array, values: Uint8Array): boolean {
  let at = 0;
  places.forEach((gap, index) => {
    at += gap;
    if (at < bytes.length) bytes[at] = values[index] ?? 0;
  });
  return at < bytes.length && places.length === values.length;
}
