import { create, toBinary } from "@bufbuild/protobuf";
import { orDefault, present } from "../graph/at.js";
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
import { checkedDims, encodeTensor, tensorError } from "./tensors.js";

// int8 tensors most of whose elements are zero. Sparse initializers spend two to four bytes on each position; here the
// places of the others are bits, or distances of one byte, and a function of the model, which any runtime computes once
// when it loads the file, puts the values there.

/** Domain of the functions that unpack. */
export const PACKED_DOMAIN = "penni.packed";
const BITS = "Bits";
const GAPS = "Gaps";
/** Makes the values, where these take fewer than 8 bits each. */
const NUMBERS = "Numbers";
/** From here on models have functions. */
export const IR_VERSION_FUNCTIONS = 8n;
const FUNCTION_OPSET = 13;
const PACKED_VERSION = 1n;

const codes = { uint8: 2, int8: 3, int32: 6 } as const;
const MOST_GAP = 255;

/** What takes the place of an initializer: nodes that make it of two others. */
export interface PackedInitializer {
  /** Bytes that it takes less than the ordinary form. */
  readonly saved: number;
  readonly nodes: readonly NodeProto[];
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
function packInitializer(
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
  const unpack = create(NodeProtoSchema, {
    opType: op,
    domain: PACKED_DOMAIN,
    input: [placesName, valuesName],
    output: [name],
    attribute: [integers("shape", tensor.dims)],
  });
  const numbers = packNumbers(valuesName, Int8Array.from(values), fresh);
  const parts = numbers ?? {
    nodes: [],
    initializers: [tensorOf(valuesName, [values.length], "int8", Uint8Array.from(values))],
  };
  const nodes = [...parts.nodes, unpack];
  const initializers = [tensorOf(placesName, placesDims, "uint8", places), ...parts.initializers];
  const packed = [
    ...nodes.map((each) => toBinary(NodeProtoSchema, each)),
    ...initializers.map((each) => toBinary(TensorProtoSchema, each)),
  ];
  const bytes = packed.reduce((sum, part) => sum + part.length, 0);
  const saved = toBinary(TensorProtoSchema, dense).length - bytes;
  return saved > 0 ? { saved, nodes, initializers } : undefined;
}

/**
 * The initializers of a graph that have smaller forms, by name: none where all of them together save less than the
 * functions that unpack them take.
 */
export function packInitializers(
  initializers: ReadonlyMap<string, Tensor>,
  fresh: (stem: string) => string,
): ReadonlyMap<string, PackedInitializer> {
  const packed = new Map<string, PackedInitializer>();
  for (const [name, tensor] of initializers) {
    const found =
      tensor.type === "int8" ? packInitializer(name, tensor, encodeTensor(name, tensor), fresh) : undefined;
    if (found !== undefined) packed.set(name, found);
  }
  const called = new Set([...packed.values()].flatMap(({ nodes }) => nodes.map(({ opType }) => opType)));
  const functions = [...called].map(
    (op) => toBinary(FunctionProtoSchema, functionOf(op)).length + NODE_BYTES,
  );
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
  return sum([...packed.values()].map(({ saved }) => saved)) > sum(functions) ? packed : new Map();
}

/** Bytes of a node and of a name more. */
const NODE_BYTES = 64;

/** int8 of which the largest needs few bits, in so many, above the smallest that those hold. */
function packNumbers(
  name: string,
  values: Int8Array,
  fresh: (stem: string) => string,
): Pick<PackedInitializer, "nodes" | "initializers"> | undefined {
  const offset = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const width = Math.ceil(Math.log2(2 * offset + 1));
  const size = Math.ceil((values.length * width) / 8);
  if (width === 0 || size + NODE_BYTES >= values.length) return undefined;
  const bytes = new Uint8Array(size);
  values.forEach((value, at) => {
    for (let bit = 0; bit < width; bit++) {
      const place = at * width + bit;
      if (((value + offset) >> bit) & 1) bytes[place >> 3] = present(bytes[place >> 3]) | (1 << (place & 7));
    }
  });
  const stream = fresh(`${name}.b`);
  const unpack = create(NodeProtoSchema, {
    opType: NUMBERS,
    domain: PACKED_DOMAIN,
    input: [stream],
    output: [name],
    attribute: [
      integers("shape", [values.length, width]),
      integers(
        "weights",
        Array.from({ length: width }, (_, bit) => 2 ** bit),
      ),
      integer("offset", -offset),
    ],
  });
  return { nodes: [unpack], initializers: [tensorOf(stream, [size, 1], "uint8", bytes)] };
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

/** A constant that a call states. */
const stated = (name: string, kind: "INT" | "INTS"): NodeProto =>
  node("Constant", [], name, [
    create(AttributeProtoSchema, {
      name: kind === "INT" ? "value_int" : "value_ints",
      type: AttributeProto_AttributeType[kind],
      refAttrName: name,
    }),
  ]);

/** The shape that a call states, and how many elements it has. */
const shapeNodes = (): readonly NodeProto[] => [
  stated("shape", "INTS"),
  node("ReduceProd", ["shape"], "count"),
  node("Constant", [], "axis", [integer("value_int", 0)]),
];

/** Bits as integers, as many as there are elements. */
const bitNodes = (): readonly NodeProto[] => [
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
];

const bodies: Readonly<Record<string, () => readonly NodeProto[]>> = {
  [BITS]: () => [
    ...shapeNodes(),
    ...bitNodes(),
    node("CumSum", ["known", "axis"], "sums"),
    node("Mul", ["sums", "known"], "indices"),
    node("Gather", ["values", "indices"], "found"),
    node("Reshape", ["found", "shape"], "y"),
  ],
  [NUMBERS]: () => [
    ...shapeNodes(),
    ...bitNodes(),
    stated("weights", "INTS"),
    stated("offset", "INT"),
    node("Cast", ["weights"], "factors", [integer("to", codes.int32)]),
    node("Cast", ["offset"], "least", [integer("to", codes.int32)]),
    node("Constant", [], "last", [integers("value_ints", [1])]),
    node("Reshape", ["known", "shape"], "rows"),
    node("Mul", ["rows", "factors"], "parts"),
    node("ReduceSum", ["parts", "last"], "sums", [integer("keepdims", 0)]),
    node("Add", ["sums", "least"], "moved"),
    node("Cast", ["moved"], "y", [integer("to", codes.int8)]),
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
    input: name === NUMBERS ? ["places"] : ["places", "values"],
    output: ["y"],
    attribute: name === NUMBERS ? ["shape", "weights", "offset"] : ["shape"],
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
    known.set(tensor.name, tensor);
    done.add(call);
  }
  graph.node = graph.node.filter((each) => !done.has(each));
  const read = new Set(graph.node.flatMap(({ input }) => input));
  // What was unpacked only to be unpacked further goes along.
  const parts = new Set([...done].flatMap(({ input }) => input).filter((name) => !read.has(name)));
  graph.initializer = graph.initializer.filter(({ name }) => !parts.has(name));
}

function unpacked(
  { opType, input, output, attribute }: NodeProto,
  known: ReadonlyMap<string, TensorProto>,
  allowance: number,
): TensorProto | undefined {
  const [places, values = opType === NUMBERS ? noValues : undefined] = input.map((name) => known.get(name));
  const [name] = output;
  const [shape, offset] = ["shape", "offset"].map((wanted) => attribute.find((each) => each.name === wanted));
  if (places === undefined || values === undefined || name === undefined || shape === undefined)
    return undefined;
  // As other tools may have written it again: what its function says is what it means.
  const isOurs = places.dataType === codes.uint8 && values.dataType === codes.int8;
  if (!isOurs || places.rawData.byteLength === 0 || values.rawData.byteLength === 0) return undefined;
  const { dims, count } = checkedDims(name, shape.ints);
  if (count > allowance) {
    throw tensorError(name, "is too large when unpacked", `at most ${allowance} bytes`, `${count}`);
  }
  if (opType === NUMBERS) {
    const [length, width] = dims;
    if (
      length === undefined ||
      width === undefined ||
      width > 8 ||
      places.rawData.length !== Math.ceil((length * width) / 8) ||
      offset === undefined
    )
      throw tensorError(name, "is packed in parts that contradict each other");
    return tensorOf(name, [length], "int8", fromStream(places.rawData, length, width, Number(offset.i)));
  }
  const bytes = new Uint8Array(count);
  const isWhole = (opType === BITS ? fromBits : fromGaps)(bytes, places.rawData, values.rawData);
  if (!isWhole) throw tensorError(name, "is packed in parts that contradict each other");
  return tensorOf(name, dims, "int8", bytes);
}

const noValues = tensorOf("", [1], "int8", new Uint8Array(1));

function fromStream(places: Uint8Array, length: number, width: number, offset: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => {
    let value = offset;
    for (let bit = 0; bit < width; bit++) {
      const place = at * width + bit;
      value += ((present(places[place >> 3]) >> (place & 7)) & 1) << bit;
    }
    return value;
  });
}

/** Places and values that are too few are found at the end, by what was taken of them. */
function fromBits(bytes: Uint8Array, places: Uint8Array, values: Uint8Array): boolean {
  let next = 0;
  for (let at = 0; at < bytes.length; at++) {
    if ((orDefault(places[at >> 3], 0) & (1 << (at & 7))) === 0) bytes[at] = present(values[0]);
    else bytes[at] = orDefault(values[++next], 0);
  }
  return next < values.length && places.length === Math.ceil(bytes.length / 8) && values[0] === 0;
}

function fromGaps(bytes: Uint8Array, places: Uint8Array, values: Uint8Array): boolean {
  let at = 0;
  places.forEach((gap, index) => {
    at += gap;
    if (at < bytes.length) bytes[at] = orDefault(values[index], 0);
  });
  return at < bytes.length && places.length === values.length;
}
