import { clone, create } from "@bufbuild/protobuf";
import type { Random } from "../../src/data/random.js";
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  NodeProtoSchema,
  TensorProtoSchema,
} from "../../src/onnx/gen/onnx_pb.js";
import { absurdFloats, absurdIntegers, chance, pick, pickAny } from "./draw.js";
import { type Target, valueNames } from "./structure.js";

/** Appends nodes that read the graph's values; names start with "fuzz". */
export class Appender {
  constructor(
    private readonly random: Random,
    private readonly target: Target,
  ) {}

  /** A value of the graph. */
  any(): string {
    return pickAny(this.random, valueNames(this.target)) ?? "";
  }

  fresh(): string {
    return `fuzz_${this.target.graph.node.length}_${this.target.graph.initializer.length}`;
  }

  integers(values: readonly bigint[], dims: readonly bigint[] = [BigInt(values.length)]): string {
    const name = this.fresh();
    const tensor = { name, dims: [...dims], dataType: 7, int64Data: [...values] };
    this.target.graph.initializer.push(create(TensorProtoSchema, tensor));
    return name;
  }

  floats(values: readonly number[], dims: readonly bigint[] = [BigInt(values.length)]): string {
    const name = this.fresh();
    const tensor = { name, dims: [...dims], dataType: 1, floatData: values.map(Math.fround) };
    this.target.graph.initializer.push(create(TensorProtoSchema, tensor));
    return name;
  }

  /** A constant of any other element type. */
  packed(dataType: number, bytes: Uint8Array, dims: readonly bigint[]): string {
    const name = this.fresh();
    this.target.graph.initializer.push(
      create(TensorProtoSchema, { name, dims: [...dims], dataType, rawData: bytes }),
    );
    return name;
  }

  node(
    opType: string,
    input: readonly string[],
    attribute: readonly AttributeProto[] = [],
    outputs = 1,
    domain = "",
  ): string {
    const name = this.fresh();
    const output = Array.from({ length: outputs }, (_, index) => (index === 0 ? name : `${name}_${index}`));
    // Of its own: later steps change attributes in place, and other nodes and cases are given the same ones.
    const own = attribute.map((each) => clone(AttributeProtoSchema, each));
    this.target.graph.node.push(
      create(NodeProtoSchema, { name, opType, domain, input: [...input], output, attribute: own }),
    );
    return name;
  }
}

export const int = (name: string, i: bigint): AttributeProto =>
  create(AttributeProtoSchema, { name, type: AttributeType.INT, i });
export const ints = (name: string, values: readonly bigint[]): AttributeProto =>
  create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: [...values] });
export const text = (name: string, value: string): AttributeProto =>
  create(AttributeProtoSchema, { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) });

/** Plausible and absurd numbers mixed, so that a node gets past the first checks. */
export function sizes(random: Random, count: number): bigint[] {
  return Array.from({ length: count }, () =>
    chance(random, 0.5) ? BigInt(random.below(5)) : pick(random, absurdIntegers),
  );
}

export const reals = (random: Random, count: number): number[] =>
  Array.from({ length: count }, () =>
    chance(random, 0.5) ? 1 + random.below(3) : pick(random, absurdFloats),
  );

export type Builder = (random: Random, add: Appender) => string;
