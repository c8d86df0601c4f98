import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Random } from "../../src/data/random.js";
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  GraphProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  TensorShapeProtoSchema,
  type TypeProto,
  TypeProtoSchema,
} from "../../src/onnx/gen/onnx_pb.js";
import { absurdFloats, absurdIntegers, absurdNames, chance, pick } from "./draw.js";

/** Up to so many integers, all of them absurd. */
export const someIntegers = (random: Random, longest: number): bigint[] =>
  Array.from({ length: random.below(longest + 1) }, () => pick(random, absurdIntegers));

/** Attributes that operators read, so that a changed one matters. */
export const attributeNames: readonly string[] = [
  ..."axis axes perm keepdims group kernel_shape strides pads dilations auto_pad ceil_mode".split(" "),
  ..."output_padding output_shape transA transB alpha beta epsilon to mode value value_int value_ints".split(
    " ",
  ),
  ..."value_float value_floats value_string split blocksize starts ends scales training_mode momentum".split(
    " ",
  ),
  ..."allowzero noop_with_empty_axes num_outputs size count_include_pad storage_order spatial ratio min".split(
    " ",
  ),
  ..."max repeats start end coordinate_transformation_mode keep_aspect_ratio_policy __proto__ constructor".split(
    " ",
  ),
];

const absurdText: readonly Uint8Array[] = [
  ...["", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", "reflect", "linear", "x".repeat(5000)].map((text) =>
    new TextEncoder().encode(text),
  ),
  Uint8Array.of(0xff, 0xfe, 0x80),
];

/** An attribute of the given name that holds anything. */
export function anyAttribute(random: Random, name: string): AttributeProto {
  const kinds: readonly (() => MessageInitShape<typeof AttributeProtoSchema>)[] = [
    () => ({ type: AttributeType.INT, i: pick(random, absurdIntegers) }),
    () => ({ type: AttributeType.INTS, ints: someIntegers(random, 6) }),
    () => ({ type: AttributeType.INTS, ints: Array.from({ length: 4 }, () => pick(random, absurdIntegers)) }),
    () => ({ type: AttributeType.FLOAT, f: Math.fround(pick(random, absurdFloats)) }),
    () => ({ type: AttributeType.FLOATS, floats: absurdFloats.map(Math.fround).slice(0, random.below(6)) }),
    () => ({ type: AttributeType.STRING, s: pick(random, absurdText) }),
    () => ({ type: AttributeType.STRINGS, strings: [pick(random, absurdText)] }),
    () => ({ type: AttributeType.TENSOR, t: anyTensor(random, "") }),
    () => ({ type: AttributeType.TENSOR }),
    () => ({ type: AttributeType.GRAPH, g: create(GraphProtoSchema) }),
    () => ({ type: pick(random, [0, 10, 11, 12, 13, 14, 99]) as AttributeType }),
  ];
  const attribute = create(AttributeProtoSchema, pick(random, kinds)());
  attribute.name = name;
  return attribute;
}

function anyTensor(random: Random, name: string): TensorProto {
  const dims = someIntegers(random, 4);
  return create(TensorProtoSchema, {
    name,
    dims,
    dataType: pick(random, [0, 1, 1, 6, 7, 8, 9, 10, 11, 16, 22, 99]),
    rawData: new Uint8Array(random.below(65)),
    int64Data: chance(random, 0.3) ? someIntegers(random, 5) : [],
  });
}

/** A type with dimensions that are absurd here and there. */
export function absurdType(random: Random, rank: number): TypeProto {
  const dim = Array.from({ length: rank }, () => {
    if (chance(random, 0.2)) return {};
    if (chance(random, 0.2))
      return { value: { case: "dimParam" as const, value: pick(random, absurdNames) } };
    const size = chance(random, 0.5) ? BigInt(1 + random.below(16)) : pick(random, absurdIntegers);
    return { value: { case: "dimValue" as const, value: size } };
  });
  const elemType = chance(random, 0.7) ? 1 : random.below(25);
  return create(TypeProtoSchema, {
    value: {
      case: "tensorType",
      value: { elemType, shape: create(TensorShapeProtoSchema, { dim }) },
    },
  });
}

/** Graphs within graphs, so many levels deep. */
export function graphDepth(depth: number): GraphProto {
  let graph = create(GraphProtoSchema, { name: "innermost" });
  for (let level = 0; level < depth; level += 1) {
    const attribute = create(AttributeProtoSchema, { name: "g", type: AttributeType.GRAPH, g: graph });
    graph = create(GraphProtoSchema, { node: [{ opType: "If", input: ["x"], attribute: [attribute] }] });
  }
  return graph;
}

/** What is no metadata of Penni's. */
export const garbage: readonly string[] = [
  "",
  "{",
  "null",
  "[]",
  '{"mean":[],"std":[],"scale":1,"layout":"NCHW","colour":"rgb"}',
  '{"mean":[1e999,0,0],"std":[1,1,1],"scale":1,"layout":"NCHW","colour":"rgb"}',
  '{"mean":[0],"std":[-1],"scale":0,"layout":"NHWC","colour":"bgr"}',
  '{"__proto__":{"mean":[0]},"std":"no"}',
  "[".repeat(50_000),
  '["\\u0000"]',
];
