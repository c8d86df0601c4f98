import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { float32Tensor } from "../../src/graph/tensor.js";
import type { Graph, Tensor, ValueInfo } from "../../src/graph/types.js";
import {
  type GraphProtoSchema,
  ModelProtoSchema,
  type TensorProtoSchema,
} from "../../src/onnx/gen/onnx_pb.js";

/** Uniform numbers in [-1, 1), the same for the same seed (mulberry32). */
export function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

/** Random feeds for float32 inputs; symbolic dimensions become 2. */
export function randomFeeds(graph: Graph, seed: number): ReadonlyMap<string, Tensor> {
  const random = randomSource(seed);
  return new Map(
    graph.inputs.map((input) => {
      const dims = (input.type?.shape ?? []).map((dim) => (typeof dim === "number" ? dim : 2));
      const count = dims.reduce((product, dim) => product * dim, 1);
      return [input.name, float32Tensor(dims, Array.from({ length: count }, random))];
    }),
  );
}

/** Outputs as comparable data: name, type, dims and every byte. */
export function bits(outputs: ReadonlyMap<string, Tensor>): unknown {
  return [...outputs].map(([name, { type, dims, bytes }]) => [
    name,
    type,
    [...dims],
    Buffer.from(bytes).toString("hex"),
  ]);
}

type GraphInit = Exclude<MessageInitShape<typeof GraphProtoSchema>, { $typeName: string }>;
export type TensorInit = Exclude<MessageInitShape<typeof TensorProtoSchema>, { $typeName: string }>;

/** Bytes of a model with this graph, as another program would write them. */
export function modelBytes(
  graph: GraphInit,
  options: { irVersion?: bigint; opset?: bigint } = {},
): Uint8Array {
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: options.irVersion ?? 8n,
      opsetImport: [{ domain: "", version: options.opset ?? 13n }],
      graph: { name: "test", ...graph },
    }),
  );
}

/** A value declaration of the wire format. */
export function declare(name: string, elemType: number, dims: readonly number[]) {
  const dim = dims.map((size) => ({ value: { case: "dimValue" as const, value: BigInt(size) } }));
  return { name, type: { value: { case: "tensorType" as const, value: { elemType, shape: { dim } } } } };
}

/** Little-endian raw data of float32 numbers. */
export function floatBytes(values: readonly number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

/** y = x W with W of shape [rows, columns]. */
export function matMulGraph(rows: number, columns: number, weights: Float32Array): Graph {
  const info = (name: string, size: number): ValueInfo => ({
    name,
    type: { elementType: "float32", shape: ["N", size] },
  });
  return {
    name: "product",
    opsets: new Map([["", 13]]),
    inputs: [info("x", rows)],
    outputs: [info("y", columns)],
    nodes: [
      {
        name: "product",
        op: "MatMul",
        domain: "",
        inputs: ["x", "W"],
        outputs: ["y"],
        attributes: new Map(),
      },
    ],
    initializers: new Map([["W", float32Tensor([rows, columns], weights)]]),
    valueInfo: new Map(),
    metadata: new Map(),
  };
}
