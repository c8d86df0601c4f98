import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { compileProgram } from "../../src/compile/compile.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { runGraph } from "../../src/execute/node.js";
import { elementCount, float32Tensor, numericData } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { formWriters, replaceLayers } from "../../src/layers/forms.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { decompose } from "../../src/method/decompose.js";
import { decodeModel } from "../../src/onnx/read.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { randomSource } from "../../support/opcase.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { zoo } from "../../support/zoo/families.js";
import { pruned } from "../../support/zoo/stages.js";
import { relaxedModule, runModule, type Values } from "./run_wasm.js";
import "./self_checked.js";

setFlagsFromString("--experimental-wasm-relaxed-simd");

/** Of logits and maps, relative to the largest: sums in another order through whole networks. */
const TOLERANCE = 1e-3;

function assertClose(found: Values, expected: Values): void {
  for (const [name, values] of expected) {
    const scale = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-6);
    const own = found.get(name);
    assert.equal(own?.length, values.length, name);
    const error = values.reduce(
      (most, value, at) => Math.max(most, Math.abs(value - (own?.[at] ?? Number.NaN))),
      0,
    );
    assert.ok(error <= TOLERANCE * scale, `${name} is off by ${error} of ${scale}`);
  }
}

const floats = (tensors: ReadonlyMap<string, Tensor>): Values =>
  new Map([...tensors].map(([name, tensor]) => [name, Float32Array.from(numericData(tensor))]));

async function checkNetwork(graph: Graph, feeds: ReadonlyMap<string, Tensor>): Promise<void> {
  const expected = floats(await runGraph(graph, feeds));
  const module = wasmModule(compileProgram(graph, wasmTarget));
  assertClose(runModule(module, floats(feeds)), expected);
  assertClose(runModule(relaxedModule(module), floats(feeds)), expected);
}

for (const [name, { build }] of Object.entries(zoo)) {
  test(`${name}: WebAssembly agrees with ONNX Runtime`, async () => {
    const { graph, net } = build();
    await checkNetwork(graph, net.feeds(1));
  });
}

const KEPT = 3;

/** A decomposed and pruned ResNet in each form that its layers can be exported in. */
for (const form of ["merged", "dense", "factored"] as const) {
  test(`a compressed network with ${form} layers: WebAssembly agrees with ONNX Runtime`, async () => {
    const { graph, net } = zoo.ResNet?.build() ?? assert.fail("no ResNet");
    const small = pruned(decompose(simplify(graph), { basis: KEPT }), 7);
    const layers = findDecompositions(small).map(
      (layer) => [layer.conv, formWriters[form](small, layer)] as const,
    );
    assert.ok(layers.length > 0);
    await checkNetwork(replaceLayers(small, new Map(layers)), net.feeds(1));
  });
}

/** Trained networks, on random images. */
const models = [
  "resnet20.onnx",
  "resnet56.onnx",
  "zoo/densenet_tiny.onnx",
  "zoo/mobilenet_v2_w025.onnx",
  "zoo/shufflenet_v2_x0_5.onnx",
  "zoo/squeezenet1_1.onnx",
].map((name) => `models/${name}`);

for (const name of models) {
  test(`${name}: WebAssembly agrees with ONNX Runtime`, { skip: withoutShared(name) }, async () => {
    const graph = decodeModel(readFileSync(sharedPath(name)));
    const next = randomSource(11);
    const feeds = graph.inputs.map((input) => {
      const dims = input.type?.shape?.map((dim) => (typeof dim === "number" ? dim : 1)) ?? [];
      const data = Float32Array.from({ length: elementCount(dims) }, () => 4 * next() - 2);
      return [input.name, float32Tensor(dims, data)] as const;
    });
    await checkNetwork(graph, new Map(feeds));
  });
}

/** What PyTorch computed for the networks beside the files, for a batch. */
test("the networks that came with PyTorch's outputs agree with those", {
  skip: withoutShared("models/zoo"),
}, () => {
  for (const name of ["densenet_tiny", "mobilenet_v2_w025", "shufflenet_v2_x0_5", "squeezenet1_1"]) {
    const read = (suffix: string): Buffer => readFileSync(sharedPath(`models/zoo/${name}.${suffix}`));
    const program = compileProgram(decodeModel(read("onnx")), wasmTarget);
    const [port] = program.inputs;
    const [output] = program.outputs;
    assert.ok(port !== undefined && output !== undefined);
    const floatsOf = (bytes: Buffer): Float32Array =>
      new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    const [inputs, expected] = [floatsOf(read("input.f32")), floatsOf(read("output.f32"))];
    const image = inputs.subarray(0, elementCount(port.dims));
    const found = runModule(wasmModule(program), new Map([[port.name, image]]));
    assertClose(found, new Map([[output.name, expected.subarray(0, elementCount(output.dims))]]));
  }
});
