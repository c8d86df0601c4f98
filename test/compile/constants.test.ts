import assert from "node:assert/strict";
import { test } from "node:test";
import { compileProgram } from "../../src/compile/compile.js";
import type { Program } from "../../src/compile/program.js";
import type { Target } from "../../src/compile/target.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { int, ints } from "../../src/graph/attributes.js";
import { int64Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { formWriters, replaceLayers } from "../../src/layers/forms.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { importModel } from "../../src/ops/passes/import_model.js";
import { storeWeights } from "../../src/ops/passes/store_weights.js";
import { Network } from "../../support/network.js";
import { type CaseInput, constant, networkCase, outputOf, random, weight } from "./contract_case.js";
import "./self_checked.js";

const vector = (...values: readonly number[]): CaseInput => constant(int64Tensor([values.length], values));

const kernelNames = ({ steps }: Program): readonly string[] => steps.map((step) => step.kernel.name);

test("weights behind arithmetic are computed when the model is compiled, whatever their size", () => {
  const { graph } = networkCase([
    { op: "Mul", inputs: [weight([300, 200]), weight([300, 1])] },
    { op: "Exp", inputs: [outputOf(0)] },
    { op: "MatMul", inputs: [random([1, 300]), outputOf(1)] },
  ]);
  const program = compileProgram(graph, wasmTarget);
  assert.deepEqual(
    program.steps.map((step) => step.op),
    ["MatMul"],
  );
  assert.equal(program.weights.length, 4 * 300 * 200);
});

test("arithmetic on constants that a file makes much of is left to the run", () => {
  const size = 2 ** 20;
  const { graph } = networkCase([
    { op: "Expand", inputs: [weight([1]), vector(size)] },
    ...Array.from({ length: 200 }, (_, at) => ({ op: "Relu", inputs: [outputOf(at)] })),
    { op: "Mul", inputs: [outputOf(200), random([1, size])] },
  ]);
  // Kernels are named after all the operators that they compute.
  const kernels = compileProgram(graph, wasmTarget).steps.map(({ kernel }) => kernel.name);
  const relus = kernels.join().match(/relu/g)?.length ?? 0;
  assert.ok(relus > 100 && relus < 200, `${relus} of 200 left`);
});

test("whole numbers, which are converted one by one, have less of that budget", () => {
  const doublings = 21;
  const { graph } = networkCase([
    ...Array.from({ length: doublings }, (_, at) => ({
      op: "Concat",
      inputs: at === 0 ? [vector(1), vector(2)] : [outputOf(at - 1), outputOf(at - 1)],
      attributes: { axis: int(0) },
    })),
    { op: "Cast", inputs: [outputOf(doublings - 1)], attributes: { to: int(1) } },
    { op: "Mul", inputs: [outputOf(doublings), random([1])] },
  ]);
  const left = compileProgram(graph, wasmTarget).steps.filter(({ op }) => op === "Concat").length;
  assert.ok(left > 0 && left < doublings, `${left} of ${doublings} left`);
});

test("a depthwise convolution whose kernels repeat keeps one copy of them", () => {
  const channels = 128;
  const { graph } = networkCase([
    { op: "Tile", inputs: [weight([1, 1, 3, 3]), vector(channels, 1, 1, 1)] },
    {
      op: "Conv",
      inputs: [random([1, channels, 9, 9]), outputOf(0)],
      attributes: { group: int(channels), pads: ints([1, 1, 1, 1]) },
    },
  ]);
  const program = compileProgram(graph, wasmTarget);
  assert.ok(
    kernelNames(program).some((name) => name.startsWith("basis_conv")),
    `${kernelNames(program)}`,
  );
  assert.ok(program.weights.length < 4 * channels * 9, `${program.weights.length} bytes`);
});

test("a layer that was exported as two convolutions is compiled as one that was not", () => {
  const net = new Network(3, [64, 9, 9]);
  const decomposed = net.graph([net.conv("x", 48, { pad: 1, basis: 3 })]);
  const [layer] = findDecompositions(decomposed);
  assert.ok(layer !== undefined);
  const factored = replaceLayers(
    decomposed,
    new Map([[layer.conv, formWriters.factored(decomposed, layer)]]),
  );
  const program = compileProgram(factored, wasmTarget);
  const whole = 4 * (48 * 64 * 3 + 3 * 9);
  assert.ok(
    program.weights.length < 1.3 * whole,
    `${program.weights.length} bytes, ${whole} of coefficients`,
  );
  assert.equal(program.steps.filter((step) => step.op !== "Conv").length, 0);
});

test("a layer with a basis is computed by Winograd's filtering where that is faster, with coefficients in 8 bits much faster", () => {
  const decomposed = (basis: number): Graph => {
    const net = new Network(4, [32, 16, 16]);
    return net.graph([net.conv("x", 32, { pad: 1, basis })]);
  };
  const methods = (graph: Graph, target: Target = wasmTarget): readonly string[] =>
    ["winograd_input", "basis_conv"].filter((method) =>
      kernelNames(compileProgram(graph, target)).some((name) => name.startsWith(method)),
    );
  const inBytes = (graph: Graph): Graph => importModel(storeWeights(graph, "int8").graph);
  const [large, medium] = [decomposed(6), decomposed(3)];
  assert.deepEqual(methods(large), ["winograd_input"]);
  assert.deepEqual(methods(decomposed(2)), ["basis_conv"]);
  assert.deepEqual(methods(inBytes(large)), ["winograd_input"]);
  assert.deepEqual(methods(medium), ["winograd_input"]);
  assert.deepEqual(methods(inBytes(medium)), ["basis_conv"]);
  // Where nothing is prepared, dense kernels would be stored.
  assert.deepEqual(methods(inBytes(large), { ...wasmTarget, prepares: [] }), ["basis_conv"]);
});
