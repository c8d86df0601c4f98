import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compileProgram } from "../../src/compile/compile.js";
import { packWeights } from "../../src/compile/packing.js";
import type { Program } from "../../src/compile/program.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { runGraph } from "../../src/execute/node.js";
import { float32Data } from "../../src/graph/tensor.js";
import { type WeightsType, weightsTypes } from "../../src/graph/weights_type.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { storeWeights } from "../../src/ops/passes/store_weights.js";
import { storedNetwork } from "../../support/stored_network.js";
import { relaxedModule, runModule, validates } from "./run_wasm.js";
import "./self_checked.js";

interface Memory {
  readonly buffer: ArrayBuffer;
}
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: { readonly memory: Memory } };
};

/** The weights as they are when a module has been instantiated. */
function expanded(module: Uint8Array, { weights }: Program): Uint8Array {
  const { memory } = new WebAssembly.Instance(new WebAssembly.Module(module)).exports;
  return new Uint8Array(memory.buffer, 0, weights.length);
}

/** A program of constants alone. */
function programOf(constants: readonly Constant[]): Program {
  let offset = 0;
  const placed = constants.map((constant) => {
    const at = offset;
    offset += Math.ceil(constant.data.byteLength / 16) * 16;
    return { ...constant, offset: at };
  });
  const weights = new Uint8Array(offset);
  for (const { data, offset: at } of placed)
    weights.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
  const counts = {
    buffer: { kind: "weights", id: 0, size: placed[0]?.data.byteLength ?? 0 },
    offset: 0,
  } as const;
  return {
    name: "constants",
    inputs: [],
    outputs: [],
    preparation: [],
    steps: [],
    weights,
    weightOffsets: new Map(placed.map((constant, id) => [id, constant.offset])),
    metadata: new Map(),
    constants: placed.map(({ data, offset: at, layout }) => ({
      offset: at,
      size: data.byteLength,
      type: data instanceof Float32Array ? "f32" : data instanceof Uint16Array ? "u16" : "i32",
      layout:
        layout?.kind === "steps"
          ? { ...layout, counts }
          : layout?.kind === "runs"
            ? { kind: "runs", counts }
            : layout,
    })),
  };
}

interface Constant {
  readonly data: Float32Array | Uint16Array | Int32Array;
  readonly layout?:
    | { readonly kind: "blocks"; readonly outputs: number; readonly block: number }
    | { readonly kind: "runs" }
    | {
        readonly kind: "steps";
        readonly inputs: number;
        readonly maps: number;
        readonly plane: number;
        readonly taps: readonly number[];
      };
}

test("packed positions come back to the bit, whatever their distances", () => {
  const cases = fc.record({
    outputs: fc.integer({ min: 1, max: 6 }),
    channels: fc.integer({ min: 1, max: 140 }),
    maps: fc.integer({ min: 1, max: 5 }),
    taps: fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 5 }),
    plane: fc.constantFrom(61, 64, 1000, 70_000),
    density: fc.constantFrom(0, 0.002, 0.05, 0.4, 1),
    seed: fc.integer({ min: 1, max: 1e6 }),
  });
  fc.assert(
    fc.property(cases, ({ outputs, channels, maps, taps, plane, density, seed }) => {
      const inputs = channels * maps;
      let state = seed;
      const random = (): number => {
        state = (state * 48271) % 0x7fffffff;
        return state / 0x7fffffff;
      };
      const sorted = taps.toSorted((a, b) => a - b);
      const steps: number[] = [];
      const counts = Array.from({ length: outputs }, () => {
        let [count, last] = [0, 0];
        for (let input = 0; input < inputs; input++) {
          for (const tap of sorted) {
            if (random() >= density) continue;
            const position = input * plane + tap;
            steps.push(position - last);
            last = position;
            count += 1;
          }
        }
        return count;
      });
      const isSmall = steps.every((step) => step <= 0xffff);
      // Much that is packed well, so that it is packed at all.
      const zeros = {
        data: new Float32Array(4096),
        layout: { kind: "blocks", outputs: 1, block: 1 },
      } as const;
      const program = programOf([
        {
          data: counts.every((count) => count <= 0xffff) ? Uint16Array.from(counts) : Int32Array.from(counts),
        },
        {
          data: isSmall ? Uint16Array.from(steps) : Int32Array.from(steps),
          layout: { kind: "steps", inputs, maps, plane, taps },
        },
        {
          data: Float32Array.from(steps, () => 0.25 * Math.round(250 * random() - 125)),
          layout: { kind: "runs" },
        },
        zeros,
      ]);
      assert.ok(packWeights(program) !== undefined);
      assert.deepEqual(expanded(wasmModule(program), program), program.weights);
    }),
    { numRuns: 60 },
  );
});

test("packed numbers come back to the bit: subnormal, largest, negative, in blocks of any width", () => {
  const halves = [0, 2 ** -24, -(2 ** -24), 2 ** -14, 65504, -65504, 1 / 3].map((value) =>
    value === 1 / 3 ? 0.333251953125 : value,
  );
  const numbers = fc.oneof(
    fc.constantFrom(...halves),
    fc.integer({ min: -127, max: 127 }).map((level) => Math.fround(level * Math.fround(0.0123))),
    fc.float({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(-0, Number.NaN, Number.POSITIVE_INFINITY, 1e-40),
  );
  const cases = fc.record({
    outputs: fc.integer({ min: 1, max: 9 }),
    each: fc.integer({ min: 1, max: 20 }),
    block: fc.integer({ min: 1, max: 9 }),
    palette: fc.array(numbers, { minLength: 1, maxLength: 4 }),
    seed: fc.integer({ min: 1, max: 1e6 }),
  });
  fc.assert(
    fc.property(cases, ({ outputs, each, block, palette, seed }) => {
      const data = Float32Array.from(
        { length: outputs * each },
        (_, at) => palette[(at * seed + (at >> 2)) % palette.length] ?? 0,
      );
      const program = programOf([
        { data, layout: { kind: "blocks", outputs, block } },
        { data: new Float32Array(4096) },
      ]);
      assert.deepEqual(expanded(wasmModule(program), program), program.weights);
    }),
    { numRuns: 200 },
  );
});

for (const type of weightsTypes) {
  test(`compiled weights of ${type}: what ONNX Runtime makes of the file, from fewer bytes`, async () => {
    const { net, graph } = storedNetwork(7);
    const { graph: stored, kept } = storeWeights(graph, type);
    assert.deepEqual(kept, []);
    const read = decodeModel(encodeModel(stored, { sparse: true }));
    const feeds = net.feeds(1);
    const expected = await runGraph(stored, feeds);
    const program = compileProgram(read, wasmTarget);
    assert.equal(program.weightsType, type);
    const module = wasmModule(program);
    assert.deepEqual(expanded(module, program), program.weights);
    const values = new Map([...feeds].map(([name, x]) => [name, float32Data(x)]));
    const modules = [module, relaxedModule(module)].filter(validates);
    for (const each of modules) {
      const found = runModule(each, values);
      const [output] = graph.outputs;
      const y = found.get(output?.name ?? "");
      const known = expected.get(output?.name ?? "");
      assert.ok(y !== undefined && known !== undefined);
      const differences = [...float32Data(known)].map((value, at) => Math.abs(value - (y[at] ?? Number.NaN)));
      assert.ok(
        differences.every((difference) => difference <= 1e-4),
        `off by ${Math.max(...differences)}`,
      );
    }
    const share = (packWeights(program)?.bytes.length ?? program.weights.length) / program.weights.length;
    const most: Readonly<Record<WeightsType, number>> = { float32: 1, float16: 0.8, int8: 0.5 };
    assert.ok(share <= most[type], `${share} of the weights' bytes`);
  });
}

test("a float32 model is rounded when it is compiled for int8, and compiles to the same bytes as its int8 file", () => {
  const { graph } = storedNetwork(11);
  const stored = decodeModel(encodeModel(storeWeights(graph, "int8").graph));
  const [asked, kept] = [compileProgram(graph, wasmTarget, "int8"), compileProgram(stored, wasmTarget)];
  assert.deepEqual(asked.weights, kept.weights);
  const float32 = compileProgram(stored, wasmTarget, "float32");
  assert.deepEqual(float32.weights, kept.weights);
  assert.equal(float32.weightsType, "float32");
});
