import { create, toBinary } from "@bufbuild/protobuf";
import { present } from "../../graph/at.js";
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
} from "../gen/onnx_pb.js";
import { BITS, codes, GAPS, integer, integers, NUMBERS, PACKED_DOMAIN, tensorOf } from "./format.js";

// The functions that a model with packed initializers brings along, in standard operators.

/** From here on models have functions. */
export const IR_VERSION_FUNCTIONS = 8n;
const FUNCTION_OPSET = 13;
const PACKED_VERSION = 1n;

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

/** Whether a function of the domain is one of ours. */
export const isUnpacking = (op: string): boolean => Object.hasOwn(bodies, op);

/** What a function takes in a file. */
export const functionBytes = (op: string): number => toBinary(FunctionProtoSchema, functionOf(op)).length;

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
