import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { compileToWasm } from "../../src/compile/index.js";
import { load } from "../../src/runtime/index.js";
import { node, smallGraph, smallNetwork } from "../../support/small_models.js";
import { largestDifference, randomData, referenceOutput } from "./support.js";

// Node 20 has relaxed SIMD behind this flag; later versions have it anyway.
setFlagsFromString("--experimental-wasm-relaxed-simd");

/** Absolute; sums of up to 48 products of numbers below 1. */
const TOLERANCE = 1e-5;

const small = compileToWasm(smallNetwork());

for (const relaxed of [false, true]) {
  test(`outputs are ONNX Runtime's, one image or several${relaxed ? ", with relaxed SIMD" : ""}`, async () => {
    const model = await load(small, { relaxed });
    assert.equal(model.relaxed, relaxed);
    for (const images of [1, 3]) {
      const data = randomData(images * 128, images);
      const output = model.run(data);
      assert.ok(output instanceof Float32Array);
      const expected = await referenceOutput(smallNetwork(), [images, 2, 8, 8], data);
      assert.ok(largestDifference(output, expected) < TOLERANCE);
    }
  });
}

test("relaxed SIMD is used where the host has it; its module's sum is rounded once", async () => {
  const model = await load(small);
  assert.equal(model.relaxed, true);
  const data = randomData(64 * 128, 5);
  const plain = await load(small, { relaxed: false });
  const [fused, separate] = [model.run(data), plain.run(data)];
  const difference = largestDifference(fused, separate);
  assert.ok(difference < TOLERANCE);
  assert.ok(difference > 0, "64 images of the two builds are the same to the bit");
});

test("strings cannot be compiled", () => {
  const graph = smallGraph([1, 4], [node("Identity", ["x"], "y")], {});
  const inputs = graph.inputs.map((input) => ({
    ...input,
    type: { elementType: "string" as const, shape: [1, 4] },
  }));
  assert.throws(() => compileToWasm({ ...graph, inputs }), {
    code: "unsupported",
    message: /"x".*found strings/,
  });
});

test("a model that needs more than 4 GiB is refused when compiling", () => {
  const graph = smallGraph([1, 20_000, 30_000], [node("Relu", ["x"], "y")], {});
  assert.throws(() => compileToWasm(graph), {
    code: "unsupported",
    message: /at most 4294967296 bytes, found 48/,
  });
});

test("damaged metadata is refused when compiling, not when loading", () => {
  for (const [key, json] of [
    ["penni.preprocessing", "{"],
    ["penni.preprocessing", '{"mean": 3}'],
    ["penni.classNames", "[1, 2]"],
  ] as const) {
    assert.throws(() => compileToWasm({ ...smallNetwork(), metadata: new Map([[key, json]]) }), {
      name: "PenniError",
      code: "bad-model",
      message: new RegExp(key),
    });
  }
});
