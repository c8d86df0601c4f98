import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PenniError } from "../../src/graph/errors.js";
import type { Graph } from "../../src/graph/types.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";

function graphOf(dims: readonly number[], values: Int8Array): Graph {
  return {
    name: "packed",
    opsets: new Map([["", 17]]),
    inputs: [],
    outputs: [{ name: "y", type: { elementType: "int8", shape: dims } }],
    nodes: [{ name: "n", op: "Identity", domain: "", inputs: ["q"], outputs: ["y"], attributes: new Map() }],
    initializers: new Map([["q", { type: "int8", dims, bytes: new Uint8Array(values.buffer) }]]),
    valueInfo: new Map(),
    metadata: new Map(),
  };
}

const cases = fc.record({
  size: fc.integer({ min: 1, max: 3000 }),
  density: fc.constantFrom(0, 0.001, 0.02, 0.1, 0.5, 0.99, 1),
  most: fc.constantFrom(1, 2, 3, 31, 63, 127),
  seed: fc.integer({ min: 1, max: 1e6 }),
});

function valuesOf({
  size,
  density,
  most,
  seed,
}: {
  size: number;
  density: number;
  most: number;
  seed: number;
}): Int8Array {
  let state = seed;
  const random = (): number => {
    state = (state * 48271) % 0x7fffffff;
    return state / 0x7fffffff;
  };
  return Int8Array.from({ length: size }, () =>
    random() < density ? Math.round((2 * random() - 1) * most) : 0,
  );
}

test("packed int8 comes back to the bit, and is never larger", () => {
  fc.assert(
    fc.property(cases, (given) => {
      const values = valuesOf(given);
      const graph = graphOf([values.length], values);
      const packed = encodeModel(graph, { sparse: true });
      const back = decodeModel(packed).initializers.get("q");
      assert.deepEqual(back?.dims, [values.length]);
      assert.deepEqual(new Int8Array(new Uint8Array(back.bytes).buffer), values);
      assert.ok(packed.length <= encodeModel(graph).length);
    }),
    { numRuns: 150 },
  );
});

test("ONNX Runtime unpacks the same", async () => {
  const { InferenceSession } = await import("onnxruntime-node");
  for (const density of [0.02, 0.5]) {
    for (const most of [1, 31, 127]) {
      const values = valuesOf({ size: 3000, density, most, seed: 5 });
      const file = encodeModel(graphOf([30, 20, 5], values), { sparse: true });
      const session = await InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 });
      const { y } = await session.run({});
      assert.deepEqual(Array.from(y?.data as Int8Array), Array.from(values));
      await session.release();
    }
  }
});

test("a damaged packed file is refused or read, never more", () => {
  const file = encodeModel(graphOf([3000], valuesOf({ size: 3000, density: 0.3, most: 31, seed: 3 })), {
    sparse: true,
  });
  for (let at = 0; at < file.length; at += 7) {
    const damaged = file.slice();
    damaged[at] = (damaged[at] ?? 0) ^ 0x55;
    try {
      decodeModel(damaged);
    } catch (error) {
      assert.ok(error instanceof PenniError, `byte ${at}: ${error}`);
    }
  }
});
