import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { compileProgram } from "../../src/compile/compile.js";
import { compileToWasm } from "../../src/compile/index.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { int } from "../../src/graph/attributes.js";
import type { ElementType, Graph } from "../../src/graph/types.js";
import { load } from "../../src/runtime/index.js";
import { node, smallGraph, smallNetwork } from "../../support/small_models.js";
import { largestDifference, randomData, referenceOutput, twoInputsAndOutputs } from "./support.js";

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

test("a run leaves nothing behind, and results are the caller's", async () => {
  const model = await load(small);
  const [a, b] = [randomData(128, 1), randomData(128, 2)];
  const first = model.run(a);
  const copy = first.slice();
  model.run(b);
  assert.deepEqual(first, copy);
  assert.deepEqual(model.run(a), copy);
});

test("ports are described; several inputs and outputs go by name", async () => {
  const model = await load<{ sum: Float32Array; product: Float32Array }>(
    compileToWasm(twoInputsAndOutputs()),
  );
  assert.deepEqual(model.inputs, [
    { name: "a", dims: [1, 4], type: "float32" },
    { name: "b", dims: [1, 4], type: "float32" },
  ]);
  assert.deepEqual(
    model.outputs.map(({ name }) => name),
    ["sum", "product"],
  );
  const a = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const { sum, product } = model.run({ a, b: a });
  assert.deepEqual([...sum], [2, 4, 6, 8, 10, 12, 14, 16]);
  assert.deepEqual([...product], [1, 4, 9, 16, 25, 36, 49, 64]);
});

test("one input may go by name, too", async () => {
  const model = await load(small);
  const x = randomData(128, 4);
  assert.deepEqual(model.run({ x }), model.run(x));
});

/** y = x + x of four elements, whose ports say that they have other types. */
async function doubled(input: ElementType, output: ElementType) {
  const graph = smallGraph([1, 4], [node("Add", ["x", "x"], "y")], {});
  const program = compileProgram(graph, wasmTarget);
  const module = wasmModule({
    ...program,
    inputs: program.inputs.map((port) => ({ ...port, elementType: input })),
    outputs: program.outputs.map((port) => ({ ...port, elementType: output })),
  });
  return load<Float32Array | Int32Array | Uint8Array>(module);
}

test("integers and truth values: any typed array in, Int32Array and Uint8Array out", async () => {
  const integers = await doubled("int64", "int64");
  const expected = Int32Array.of(2, -4, 6, 8);
  for (const input of [
    Int32Array.of(1, -2, 3, 4),
    BigInt64Array.of(1n, -2n, 3n, 4n),
    Float32Array.of(1, -2, 3, 4),
    Int8Array.of(1, -2, 3, 4),
  ]) {
    assert.deepEqual(integers.run(input), expected);
  }
  assert.deepEqual(
    (await doubled("uint8", "bool")).run(Uint8Array.of(0, 0, 1, 0)),
    Uint8Array.of(0, 0, 2, 0),
  );
  assert.deepEqual((await doubled("float16", "float16")).run(new Float32Array(4)), new Float32Array(4));
});

test("indices of a maximum are integers, whatever the file says of its output", async () => {
  const graph = smallGraph(["N", 4], [node("ArgMax", ["x"], "y", { axis: int(1) })], {});
  const model = await load<Int32Array>(compileToWasm(graph));
  assert.equal(model.outputs[0]?.type, "int64");
  assert.deepEqual(model.run(Float32Array.of(1, 4, 2, 3, 9, 8, 7, 6)), Int32Array.of(1, 0));
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

const wrongInputs: readonly (readonly [string, unknown, RegExp])[] = [
  [
    "too short",
    new Float32Array(127),
    /^input "x": expected 128 elements \(1x2x8x8\) or a multiple, found 127$/,
  ],
  ["too long", new Float32Array(129), /found 129$/],
  ["empty", new Float32Array(0), /found 0$/],
  ["doubles", new Float64Array(128), /^input "x": expected Float32Array, found Float64Array$/],
  ["bytes", new Uint8Array(128), /found Uint8Array$/],
  ["a list", Array.from({ length: 128 }, () => 0), /expected Float32Array, found Array$/],
  ["a buffer", new ArrayBuffer(512), /found ArrayBuffer$/],
  ["nothing", undefined, /found Undefined$/],
  ["null", null, /found Null$/],
  ["a number", 3, /found Number$/],
  ["another name", { y: new Float32Array(128) }, /^run: expected the inputs "x", found "y"$/],
  ["no name", {}, /^input "x": expected Float32Array, found Undefined$/],
  ["an inherited name", Object.create({ x: new Float32Array(128) }), /found Undefined$/],
  ["something that only looks like an array", { x: { length: 128 } }, /found Object$/],
];

for (const [what, input, message] of wrongInputs) {
  test(`refused as an input: ${what}`, async () => {
    const model = await load(small);
    assert.throws(() => model.run(input as Float32Array), { message });
    assert.equal(model.run(new Float32Array(128)).length, 5, "the model still runs");
  });
}

test("refused with several inputs: one array, different numbers of images, one missing", async () => {
  const model = await load<Record<string, Float32Array>>(compileToWasm(twoInputsAndOutputs()));
  const [four, eight] = [new Float32Array(4), new Float32Array(8)];
  assert.throws(() => model.run(four), {
    name: "TypeError",
    message: 'run: expected an object with the inputs "a", "b", found Float32Array',
  });
  assert.throws(() => model.run({ a: four, b: eight }), {
    name: "RangeError",
    message: 'input "b": expected data for 1 runs as in "a", found 2',
  });
  assert.throws(() => model.run({ a: four }), {
    message: 'input "b": expected Float32Array, found Undefined',
  });
});

test("a name like a property of every object is a name", async () => {
  const graph: Graph = smallGraph([1, 4], [node("Add", ["__proto__", "__proto__"], "y")], {});
  const inputs = graph.inputs.map((input) => ({ ...input, name: "__proto__" }));
  const model = await load(compileToWasm({ ...graph, inputs }));
  assert.deepEqual(model.run(Float32Array.of(1, 2, 3, 4)), Float32Array.of(2, 4, 6, 8));
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
