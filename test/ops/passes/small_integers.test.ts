import assert from "node:assert/strict";
import { test } from "node:test";
import { compileToWasm } from "../../../src/compile/index.js";
import { runGraph } from "../../../src/execute/node.js";
import { float32Data, float32Tensor } from "../../../src/graph/tensor.js";
import type { Graph } from "../../../src/graph/types.js";
import { importForCompression } from "../../../src/method/import_for_compression.js";
import { inspectGraph } from "../../../src/method/inspect.js";
import { decodeModel } from "../../../src/onnx/read.js";
import { encodeModel } from "../../../src/onnx/write.js";
import { dequantize } from "../../../src/ops/passes/dequantize.js";
import { randomTensor } from "../../../support/small_models.js";
import { runModule } from "../../compile/run_wasm.js";
import { declare, modelBytes } from "../../onnx/models.js";

const [UINT4, INT4, UINT2, INT2] = [21, 22, 25, 26];

interface Weights {
  readonly dataType: number;
  /** One number for all, for each output channel, or for each block of input channels. */
  readonly steps: readonly bigint[];
  readonly attribute: readonly { readonly name: string; readonly type: number; readonly i: bigint }[];
  readonly packing: "raw" | "int32";
  readonly zeroPoints?: boolean;
  /** A node between the integers and their conversion. */
  readonly moved?: boolean;
}

const int = (name: string, i: number) => ({ name, type: 2, i: BigInt(i) });
const bitsOf = (dataType: number): number => (dataType === UINT2 || dataType === INT2 ? 2 : 4);
const numbers = (count: number, seed: number, bits: number): number[] => {
  const middle = 2 ** (bits - 1);
  return Array.from({ length: count }, (_, at) =>
    Math.floor(middle + (middle - 0.1) * Math.sin(seed + at * at)),
  );
};
const pack = (values: readonly number[], bits: number): Uint8Array => {
  const bytes = new Uint8Array(Math.ceil((values.length * bits) / 8));
  values.forEach((value, at) => {
    const [byte, place] = [Math.floor((at * bits) / 8), (at * bits) % 8];
    bytes[byte] = (bytes[byte] ?? 0) | (value << place);
  });
  return bytes;
};

/** Conv with kernels [5, 7, 3, 3] of 4 or 2 bits. */
function network({ dataType, steps, attribute, packing, zeroPoints = false, moved = false }: Weights): Graph {
  const tensor = (name: string, dims: readonly bigint[], seed: number) => {
    const bits = bitsOf(dataType);
    const bytes = pack(numbers(Number(dims.reduce((product, dim) => product * dim, 1n)), seed, bits), bits);
    const data = packing === "raw" ? { rawData: bytes } : { int32Data: [...bytes] };
    return { name, dims: [...dims], dataType, ...data };
  };
  const count = Number(steps.reduce((product, dim) => product * dim, 1n));
  const scale = {
    name: "s",
    dims: [...steps],
    dataType: 1,
    floatData: Array.from({ length: count }, (_, at) => 0.01 + 0.003 * at),
  };
  return decodeModel(
    modelBytes(
      {
        node: [
          ...(moved
            ? [
                {
                  opType: "Transpose",
                  input: ["w"],
                  output: ["t"],
                  attribute: [{ name: "perm", type: 7, ints: [1n, 0n, 2n, 3n] }],
                },
              ]
            : []),
          {
            opType: "DequantizeLinear",
            input: [moved ? "t" : "w", "s", ...(zeroPoints ? ["z"] : [])],
            output: ["f"],
            attribute: [...attribute],
          },
          { opType: "Conv", input: ["x", "f"], output: ["y"] },
        ],
        input: [declare("x", 1, [1, 7, 6, 6])],
        output: [{ name: "y" }],
        initializer: [
          tensor("w", moved ? [7n, 5n, 3n, 3n] : [5n, 7n, 3n, 3n], 1),
          scale,
          ...(zeroPoints ? [tensor("z", steps, 2)] : []),
        ],
      },
      bitsOf(dataType) === 2 ? { opset: 25n, irVersion: 13n } : { opset: 21n, irVersion: 10n },
    ),
  );
}

const cases: Readonly<Record<string, Weights>> = {
  "int4, one scale": { dataType: INT4, steps: [], attribute: [], packing: "raw" },
  "uint4, one scale, as int32_data": {
    dataType: UINT4,
    steps: [],
    attribute: [],
    packing: "int32",
    zeroPoints: true,
  },
  "int4, a scale for each channel": {
    dataType: INT4,
    steps: [5n],
    attribute: [int("axis", 0)],
    packing: "raw",
    zeroPoints: true,
  },
  "uint4, blocks": {
    dataType: UINT4,
    steps: [5n, 1n, 3n, 3n],
    attribute: [int("axis", 1), int("block_size", 7)],
    packing: "raw",
    zeroPoints: true,
  },
  "int4, moved before they are converted": {
    dataType: INT4,
    steps: [5n],
    attribute: [int("axis", 0)],
    packing: "raw",
    moved: true,
  },
  "int2, a scale for each channel": {
    dataType: INT2,
    steps: [5n],
    attribute: [int("axis", 0)],
    packing: "raw",
    zeroPoints: true,
  },
  "uint2, as int32_data": { dataType: UINT2, steps: [], attribute: [], packing: "int32", zeroPoints: true },
  "int4, blocks of which the last is short": {
    dataType: INT4,
    steps: [5n, 3n, 3n, 3n],
    attribute: [int("axis", 1), int("block_size", 3)],
    packing: "raw",
  },
};

for (const [name, weights] of Object.entries(cases)) {
  test(`weights of few bits, ${name}: compiled and de-quantized as ONNX Runtime computes them`, async () => {
    const graph = network(weights);
    const feeds = new Map([["x", randomTensor([1, 7, 6, 6], 3)]]);
    const y = (await runGraph(graph, feeds, { threads: 1 })).get("y");
    assert.ok(y !== undefined);
    const expected = float32Data(y);
    const near = (found: Float32Array | undefined): void => {
      assert.equal(found?.length, expected.length);
      expected.forEach((value, at) => {
        assert.ok(Math.abs(value - (found?.[at] ?? Number.NaN)) < 1e-5, `y[${at}]: ${value}, ${found?.[at]}`);
      });
    };
    near(
      runModule(compileToWasm(graph), new Map([["x", float32Data(randomTensor([1, 7, 6, 6], 3))]])).get("y"),
    );
    const { graph: real, left } = dequantize(graph);
    assert.deepEqual(left, []);
    near(float32Data((await runGraph(real, feeds, { threads: 1 })).get("y") ?? float32Tensor([0], [])));
    const { layers } = inspectGraph(importForCompression(real));
    assert.deepEqual(
      layers.map(({ weightDims }) => weightDims),
      [[5, 7, 3, 3]],
    );
    // What is not touched is written as it came.
    assert.deepEqual(decodeModel(encodeModel(graph)).initializers.get("w"), graph.initializers.get("w"));
  });
}
