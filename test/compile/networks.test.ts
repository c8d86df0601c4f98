import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { compileProgram } from "../../src/compile/compile.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { runGraph } from "../../src/execute/node.js";
import { numericData } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { zoo } from "../support/zoo/families.js";
import { relaxedModule, runModule, type Values } from "./run_wasm.js";

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
