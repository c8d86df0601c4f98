import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cTarget } from "../../src/compile/c/target.js";
import { compileProgram } from "../../src/compile/compile.js";
import { INTERPRETER_LANES, interpretProgram } from "../../src/compile/interpreter.js";
import { backend as nodeBackend } from "../../src/compile/node/backend.js";
import type { Program } from "../../src/compile/program.js";
import { summarizeProgram } from "../../src/compile/summary.js";
import type { Target } from "../../src/compile/target.js";
import { modulePorts, wasmModule } from "../../src/compile/wasm/module.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { runGraph } from "../../src/execute/node.js";
import { ints } from "../../src/graph/attributes.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { weightsTypes } from "../../src/graph/weights_type.js";
import { storeWeights } from "../../src/ops/passes/store_weights.js";
import { load } from "../../src/runtime/index.js";
import { Network } from "../../support/network.js";
import { forcedRates } from "./contract_case.js";
import { runModule } from "./run_wasm.js";
import "./self_checked.js";

// What is made of weights when a result is loaded: kernels out of coefficients and bases, and their transforms.

/** The same target with nothing to prepare in. */
const withoutMemory = (target: Target): Target => ({ ...target, prepares: [] });

const namesOf = (steps: Program["steps"]): readonly string[] => steps.map(({ kernel }) => kernel.name);

/** Layers of 3x3 kernels, all decomposed, with so many of their coefficients. */
function decomposedNetwork(channels: number, basis: number, deadInputs: readonly number[] = []) {
  const net = new Network(9, [3, 16, 16], 17, [1, 3, 16, 16]);
  let y = net.relu(net.conv("x", channels, { pad: 1, bias: true }));
  for (let layer = 0; layer < 4; layer++)
    y = net.relu(net.conv(y, channels, { pad: 1, basis, deadInputs, bias: true }));
  return { net, graph: net.graph([net.op("GlobalAveragePool", [y])]) };
}

async function assertRight(graph: Graph, feeds: ReadonlyMap<string, Tensor>, target: Target): Promise<void> {
  const values = new Map([...feeds].map(([name, x]) => [name, float32Data(x)]));
  const found = runModule(wasmModule(compileProgram(graph, target)), values);
  for (const [name, tensor] of await runGraph(graph, feeds, { threads: 1 })) {
    const own = found.get(name);
    float32Data(tensor).forEach((value, at) => {
      const difference = Math.abs(value - (own?.[at] ?? Number.NaN));
      assert.ok(
        difference <= 1e-5 + 1e-4 * Math.abs(value),
        `${name}[${at}]: ${value}, off by ${difference}`,
      );
    });
  }
}

test("a module of coefficients and bases is hardly larger than one that computes with them, whatever it computes with", async () => {
  const { net, graph } = decomposedNetwork(64, 4, [1, 2, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37]);
  const feeds = net.feeds(1);
  for (const type of weightsTypes) {
    const stored = storeWeights(graph, type).graph;
    const compiled = (target: Target): readonly [weights: number, module: number] => {
      const made = compileProgram(stored, target);
      return [made.weights.length, wasmModule(made).length];
    };
    const [coefficients, factored] = compiled({ ...wasmTarget, rates: forcedRates.factored });
    const tiled = { ...wasmTarget, rates: forcedRates.tiles };
    const [, merged] = compiled(withoutMemory(tiled));
    const [weights, own] = compiled(tiled);
    assert.ok(weights < coefficients + 1000, `${type}: ${weights} bytes of weights, else ${coefficients}`);
    // Code of Winograd's filtering, for layers of two sizes, twice.
    assert.ok(own < factored + 40_000, `${type}: ${own} bytes, ${factored} with coefficients and bases`);
    if (type === "float32") assert.ok(own < 0.75 * merged, `${own} bytes, ${merged} with dense kernels`);
    const program = compileProgram(stored, tiled);
    const merging = namesOf(program.preparation).filter((name) => name === "merge_factors");
    assert.equal(merging.length, 4, type);
    assert.ok(
      !namesOf(program.steps).some((name) => /^(?:basis|sparse|merge|deal|winograd_weights)/.test(name)),
    );
    await assertRight(stored, feeds, tiled);
  }
});

test("layers with 8 bits are computed as fast as any: with what is made of them, without their size", () => {
  const { graph } = decomposedNetwork(32, 5);
  const stored = storeWeights(graph, "int8").graph;
  const kinds = (target: Target): string => namesOf(compileProgram(stored, target).steps).join(" ");
  assert.match(kinds({ ...wasmTarget, rates: forcedRates.tiles }), /winograd_input/);
  assert.match(kinds(withoutMemory({ ...wasmTarget, rates: forcedRates.dense })), /dense_conv/);
  assert.doesNotMatch(kinds(withoutMemory({ ...wasmTarget, rates: forcedRates.factored })), /winograd_input/);
});

test("dense kernels are stored as they are, and transformed once", async () => {
  const net = new Network(4, [8, 12, 12], 17, [1, 8, 12, 12]);
  const graph = net.graph([net.conv(net.relu(net.conv("x", 32, { pad: 1 })), 24, { pad: 1, bias: true })]);
  const target = { ...wasmTarget, rates: forcedRates.tiles };
  const [own, before] = [compileProgram(graph, target), compileProgram(graph, withoutMemory(target))];
  // Beside the kernels, the sizes that who prepares them is told.
  assert.ok(own.weights.length < before.weights.length + 200);
  assert.deepEqual(namesOf(own.preparation), [
    "deal_taps_once",
    "winograd_weights_once",
    "deal_taps_once",
    "winograd_weights_once",
  ]);
  assert.ok(!namesOf(own.steps).some((name) => name === "winograd_weights"));
  const { preparedBytes, arenaBytes, layers } = summarizeProgram(own);
  const points = 36 * 4 * (8 * 32 + 32 * 24);
  assert.ok(preparedBytes > points && preparedBytes < 1.3 * points, `${preparedBytes} bytes`);
  assert.ok(arenaBytes < summarizeProgram(before).arenaBytes);
  assert.deepEqual(
    layers.map(({ preparation }) => preparation.length),
    [2, 2],
  );
  await assertRight(graph, net.feeds(1), target);
});

test("kernels that would take too much memory four times are transformed in runs", () => {
  const net = new Network(4, [192, 8, 8], 17, [1, 192, 8, 8]);
  const graph = net.graph([net.conv("x", 192, { pad: 1 })]);
  const { preparation, steps } = compileProgram(graph, { ...wasmTarget, rates: forcedRates.tiles });
  assert.deepEqual(preparation, []);
  assert.ok(namesOf(steps).includes("winograd_weights"));
});

test("what two layers share is made once", () => {
  const net = new Network(4, [16, 8, 8], 17, [1, 16, 8, 8]);
  const product = net.op("MatMul", [net.parameter("coefs", [16, 16, 3]), net.parameter("basis", [3, 9])]);
  const weight = net.op("Reshape", [product, net.b.axes([16, 16, 3, 3])]);
  const conv = (x: string): string => net.op("Conv", [x, weight], { pads: ints([1, 1, 1, 1]) });
  const graph = net.graph([conv(net.relu(conv("x")))]);
  const { preparation } = compileProgram(graph, { ...wasmTarget, rates: forcedRates.tiles });
  assert.deepEqual(namesOf(preparation), ["merge_factors", "winograd_weights_once"]);
});

test("memory is asked for where there is some: not by C whose weights are constants", () => {
  const { graph } = decomposedNetwork(32, 5);
  const rates = forcedRates.tiles;
  const prepares = (target: Target, type: (typeof weightsTypes)[number]): boolean =>
    compileProgram(graph, { ...target, rates }, type).preparation.length > 0;
  for (const type of weightsTypes) {
    assert.equal(prepares(cTarget, type), type !== "float32");
    assert.ok(prepares(wasmTarget, type) && prepares(nodeBackend.target, type));
  }
});

const cases = fc.record({
  outputs: fc.integer({ min: 1, max: 40 }),
  inputs: fc.integer({ min: 1, max: 40 }),
  basis: fc.integer({ min: 1, max: 9 }),
  kernel: fc.constantFrom(2, 3, 3, 5),
  stride: fc.constantFrom(1, 1, 2),
  group: fc.constantFrom(1, 1, 2, 3),
  deadInputs: fc.uniqueArray(fc.integer({ min: 0, max: 39 }), { maxLength: 40 }),
  deadBasis: fc.uniqueArray(fc.integer({ min: 0, max: 8 }), { maxLength: 4 }),
  deadOutputs: fc.uniqueArray(fc.integer({ min: 0, max: 39 }), { maxLength: 20 }),
  type: fc.constantFrom(...weightsTypes),
  way: fc.constantFrom("dense", "tiles"),
  seed: fc.integer({ min: 1, max: 1e6 }),
} as const);

test("kernels made when the result is loaded compute what those made by the compiler do", () => {
  let made = 0;
  fc.assert(
    fc.property(cases, ({ outputs, inputs, group, type, way, seed, ...options }) => {
      const net = new Network(seed, [inputs * group, 9, 7], 17, [1, inputs * group, 9, 7]);
      const y = net.conv("x", outputs * group, { ...options, pad: 1, group, bias: true });
      const { graph } = storeWeights(net.graph([y]), type);
      const feeds = new Map([...net.feeds(1)].map(([name, x]) => [name, float32Data(x)]));
      const target = { width: INTERPRETER_LANES, rates: forcedRates[way] };
      const program = compileProgram(graph, { ...target, prepares: weightsTypes });
      made += namesOf(program.preparation).includes("merge_factors") ? 1 : 0;
      const [found, expected] = [program, compileProgram(graph, target)].map((each) => [
        ...interpretProgram(each, feeds).values(),
      ]);
      expected?.[0]?.forEach((value, at) => {
        const difference = Math.abs(value - (found?.[0]?.[at] ?? Number.NaN));
        assert.ok(difference <= 1e-5 + 1e-5 * Math.abs(value), `[${at}]: ${value}, off by ${difference}`);
      });
    }),
    { numRuns: 60, seed: 5 },
  );
  assert.ok(made > 20, `${made} layers were multiplied out`);
});

interface Memory {
  readonly buffer: ArrayBuffer;
}
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
  ) => { readonly exports: { readonly memory: Memory; readonly run: () => void } };
};

test("a bare module, whose weights come afterwards, prepares them itself", async () => {
  const { net, graph } = decomposedNetwork(16, 3);
  const program = compileProgram(graph, { ...wasmTarget, rates: forcedRates.tiles });
  assert.ok(program.preparation.length > 0);
  const [[, image] = []] = net.feeds(1);
  assert.ok(image !== undefined);
  const input = float32Data(image);
  const model = await load(wasmModule(program));
  const bare = new WebAssembly.Module(wasmModule(program, { isBare: true }));
  const { memory, run } = new WebAssembly.Instance(bare).exports;
  const { inputs, outputs } = modulePorts(program);
  new Uint8Array(memory.buffer).set(program.weights);
  new Float32Array(memory.buffer).set(input, (inputs[0]?.address ?? 0) / 4);
  run();
  const found = new Float32Array(memory.buffer, outputs[0]?.address ?? 0, 16);
  model.run(input).forEach((value, at) => {
    assert.ok(Math.abs(value - (found[at] ?? Number.NaN)) <= 1e-5 + 1e-5 * Math.abs(value));
  });
});
