import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { int } from "../../src/graph/attributes.js";
import type { ElementType, Graph } from "../../src/graph/types.js";
import { load, type Model } from "../../src/runtime/index.js";
import { node, smallGraph, smallNetwork } from "../../support/small_models.js";
import { implementations } from "./implementations.js";
import { largestDifference, randomData, referenceOutput, twoInputsAndOutputs } from "./support.js";

// What holds of every model that `load` gives, whatever it was compiled to.

/** Absolute; sums of up to 48 products of numbers below 1. */
const TOLERANCE = 1e-5;

function detached(length: number): Float32Array {
  const data = new Float32Array(length);
  structuredClone(data, { transfer: [data.buffer] });
  return data;
}

const wrongInputs: readonly (readonly [string, unknown, RegExp])[] = [
  [
    "too short",
    new Float32Array(127),
    /^input "x": expected 128 elements \(1x2x8x8\) or a multiple, found 127$/,
  ],
  ["too long", new Float32Array(129), /found 129$/],
  ["detached", detached(128), /found 0$/],
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

/** Made when it is first asked for. */
function once<Made>(make: () => Promise<Made>): () => Promise<Made> {
  let made: Promise<Made> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

for (const { name, skip, source } of implementations) {
  describe(name, { skip }, () => {
    const small = once(() => source(smallNetwork()));
    const two = once(() => source(twoInputsAndOutputs()));
    const check = (what: string, work: () => Promise<void>): void => void test(what, work);

    /** y = x + x of four elements, whose ports say that they have other types. */
    async function doubled(
      input: ElementType,
      output: ElementType,
    ): Promise<Model<Float32Array | Int32Array | Uint8Array>> {
      const graph = smallGraph([1, 4], [node("Add", ["x", "x"], "y")], {});
      const made = await source(graph, (program) => ({
        ...program,
        inputs: program.inputs.map((port) => ({ ...port, elementType: input })),
        outputs: program.outputs.map((port) => ({ ...port, elementType: output })),
      }));
      return load<Float32Array | Int32Array | Uint8Array>(made);
    }

    for (const images of [1, 3]) {
      check(`outputs are ONNX Runtime's: ${images}`, async () => {
        const model = await load(await small());
        const data = randomData(images * 128, images);
        const expected = await referenceOutput(smallNetwork(), [images, 2, 8, 8], data);
        for (const output of [model.run(data), await model.runAsync(data)]) {
          assert.ok(output instanceof Float32Array);
          assert.ok(largestDifference(output, expected) < TOLERANCE);
        }
      });
    }

    check("a run leaves nothing behind, and results are the caller's", async () => {
      const model = await load(await small());
      const [a, b] = [randomData(128, 1), randomData(128, 2)];
      const first = model.run(a);
      const copy = first.slice();
      model.run(b);
      assert.deepEqual(first, copy);
      assert.deepEqual(model.run(a), copy);
    });

    check("ports are described; several inputs and outputs go by name", async () => {
      const model = await load<{ sum: Float32Array; product: Float32Array }>(await two());
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

    check("one input may go by name, too", async () => {
      const model = await load(await small());
      const x = randomData(128, 4);
      assert.deepEqual(model.run({ x }), model.run(x));
    });

    check("integers and truth values: any typed array in, Int32Array and Uint8Array out", async () => {
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

    check("indices of a maximum are integers, whatever the file says of its output", async () => {
      const graph = smallGraph(["N", 4], [node("ArgMax", ["x"], "y", { axis: int(1) })], {});
      const model = await load<Int32Array>(await source(graph));
      assert.equal(model.outputs[0]?.type, "int64");
      assert.deepEqual(model.run(Float32Array.of(1, 4, 2, 3, 9, 8, 7, 6)), Int32Array.of(1, 0));
    });

    for (const [what, input, message] of wrongInputs) {
      check(`refused as an input: ${what}`, async () => {
        const model = await load(await small());
        assert.throws(() => model.run(input as Float32Array), { message });
        assert.equal(model.run(new Float32Array(128)).length, 5, "the model still runs");
      });
    }

    check("refused with several inputs: one array, different numbers of images, one missing", async () => {
      const model = await load<Record<string, Float32Array>>(await two());
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

    check("a name like a property of every object is a name", async () => {
      const graph: Graph = smallGraph([1, 4], [node("Add", ["__proto__", "__proto__"], "y")], {});
      const inputs = graph.inputs.map((input) => ({ ...input, name: "__proto__" }));
      const model = await load(await source({ ...graph, inputs }));
      assert.deepEqual(model.run(Float32Array.of(1, 2, 3, 4)), Float32Array.of(2, 4, 6, 8));
    });

    check("runAsync refuses what run refuses, in the same words, as a rejection", async () => {
      const model = await load(await small());
      for (const [, input, message] of wrongInputs)
        await assert.rejects(model.runAsync(input as Float32Array), { message });
      const several = await load<Record<string, Float32Array>>(await two());
      await assert.rejects(several.runAsync(new Float32Array(4)), { name: "TypeError" });
      await assert.rejects(several.runAsync({ a: new Float32Array(4), b: new Float32Array(8) }), {
        name: "RangeError",
        message: 'input "b": expected data for 1 runs as in "a", found 2',
      });
    });

    check(
      "runAsync gives what run gives, of calls that overlap too; inputs may change meanwhile",
      async () => {
        const model = await load(await small());
        const inputs = Array.from({ length: 12 }, (_, index) => randomData(128 * (1 + (index % 3)), index));
        const expected = inputs.map((input) => model.run(input));
        const found = inputs.map((input) => {
          const promise = model.runAsync(input);
          input.fill(Number.NaN);
          return promise;
        });
        assert.deepEqual(await Promise.all(found), expected);
        const several = await load<Record<string, Float32Array>>(await two());
        const a = Float32Array.of(1, 2, 3, 4);
        assert.deepEqual(await several.runAsync({ a, b: a }), several.run({ a, b: a }));
        const whole = await doubled("int64", "bool");
        assert.deepEqual(await whole.runAsync(BigInt64Array.of(0n, 0n, 1n, 0n)), Uint8Array.of(0, 0, 2, 0));
      },
    );

    check("memory that threads share is read like any other", async () => {
      const model = await load(await small());
      const shared = new Float32Array(new SharedArrayBuffer(1024), 512);
      shared.set(randomData(128, 6));
      const expected = model.run(randomData(128, 6));
      assert.deepEqual(model.run(shared), expected);
      assert.deepEqual(await model.runAsync(shared), expected);
    });

    check("numbers that are none go through, and leave nothing behind", async () => {
      const model = await load(await small());
      const input = randomData(128, 7);
      const expected = model.run(input);
      assert.ok(model.run(new Float32Array(128).fill(Number.NaN)).some(Number.isNaN));
      assert.equal(model.run(new Float32Array(128).fill(Number.POSITIVE_INFINITY)).length, 5);
      assert.deepEqual(model.run(input), expected);
    });

    check("a part of a buffer, anywhere in it", async () => {
      const model = await load(await small());
      const all = randomData(200, 8);
      assert.deepEqual(model.run(all.subarray(13, 141)), model.run(all.slice(13, 141)));
    });
  });
}
