import assert from "node:assert/strict";
import { test } from "node:test";
import { compileProgram } from "../../src/compile/compile.js";
import { backend } from "../../src/compile/wasm/backend.js";
import { modulePorts, stepExport, wasmModule } from "../../src/compile/wasm/module.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { measureSteps } from "../../src/measure/step_times.js";
import { tinyDetector, tinyUNet } from "../../support/label_free.js";
import { tinyCnn } from "../../support/tiny_cnn.js";
import "./self_checked.js";

declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> };
};

for (const [name, graph] of Object.entries({
  tinyCnn: tinyCnn(),
  tinyUNet: tinyUNet(),
  detector: tinyDetector(),
})) {
  test(`${name}: its steps, one by one, are its run, in the very same memory`, () => {
    const program = compileProgram(graph, wasmTarget);
    const { exports } = new WebAssembly.Instance(
      new WebAssembly.Module(wasmModule(program, { exportsSteps: true })),
      {},
    );
    const call = (key: string): void => (exports[key] as () => void)();
    const { buffer } = exports.memory as { readonly buffer: ArrayBuffer };
    const { inputs, outputs } = modulePorts(program);
    const outcome = (work: () => void, scale: number): readonly (readonly number[])[] => {
      for (const { address, dims } of inputs) {
        const size = dims.reduce((product, dim) => product * dim, 1);
        new Float32Array(buffer, address, size).set(
          Array.from({ length: size }, (_, i) => scale * Math.sin(i)),
        );
      }
      work();
      return outputs.map(({ address, dims }) => [
        ...new Float32Array(
          buffer,
          address,
          dims.reduce((product, dim) => product * dim, 1),
        ),
      ]);
    };
    const whole = outcome(() => call("run"), 1);
    // Something else in between, or the steps would find the results there.
    assert.notDeepEqual(
      outcome(() => call("run"), 2),
      whole,
    );
    const stepped = outcome(() => {
      for (const index of program.steps.keys()) call(stepExport(index));
    }, 1);
    assert.deepEqual(stepped, whole);
  });
}

test("times of steps and what is in none of them add up to the whole", async () => {
  const program = compileProgram(tinyCnn(), wasmTarget);
  const seen: number[] = [];
  const { steps, wholeMs, remainderMs, runs } = await measureSteps(program, backend.execution, {
    onProgress: (done, total) => seen.push(done, total),
  });
  assert.deepEqual(
    steps.map(({ step }) => step),
    program.steps,
  );
  assert.ok(steps.every(({ ms }) => ms >= 0) && wholeMs > 0);
  const sum = steps.reduce((total, { ms }) => total + ms, 0);
  assert.ok(Math.abs(sum + remainderMs - wholeMs) <= 1e-9 * wholeMs);
  assert.deepEqual(seen.slice(-2), [runs, runs]);
});
