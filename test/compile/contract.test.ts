import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { compileProgram } from "../../src/compile/compile.js";
import { WASM_LANES } from "../../src/compile/wasm/function_body.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { runGraph } from "../../src/execute/node.js";
import { numericData } from "../../src/graph/tensor.js";
import { elementwiseCases } from "./cases/elementwise.js";
import { productCases } from "./cases/products.js";
import { reductionCases } from "./cases/reduce.js";
import { structureCases } from "./cases/structure.js";
import { windowCases } from "./cases/windows.js";
import type { ContractCase } from "./contract_case.js";
import { relaxedModule, runModule, type Values } from "./run_wasm.js";

// Node 20 knows relaxed SIMD only behind this flag; later ones know it anyway.
setFlagsFromString("--experimental-wasm-relaxed-simd");

const cases: readonly ContractCase[] = [
  ...elementwiseCases,
  ...reductionCases,
  ...structureCases,
  ...productCases,
  ...windowCases,
];

const ABSOLUTE = 1e-5;
const RELATIVE = 1e-4;

function assertAgree(found: Values, expected: Values): void {
  for (const [name, values] of expected) {
    const own = found.get(name);
    assert.equal(own?.length, values.length, `length of ${name}`);
    values.forEach((value, at) => {
      const other = own?.[at] ?? 0;
      if (Object.is(value, other) || value === other) return;
      const isNear = Math.abs(value - other) <= ABSOLUTE + RELATIVE * Math.abs(value);
      assert.ok(isNear && Number.isFinite(value), `${name}[${at}]: expected ${value}, found ${other}`);
    });
  }
}

async function reference({ graph, feeds }: ContractCase): Promise<Values> {
  const outputs = await runGraph(graph, feeds, { threads: 1 });
  return new Map([...outputs].map(([name, tensor]) => [name, Float32Array.from(numericData(tensor))]));
}

for (const contractCase of cases) {
  const { name, graph, feeds, rates } = contractCase;
  test(name, async () => {
    const expected = await reference(contractCase);
    const given = new Map(
      [...feeds].map(([input, tensor]) => [input, Float32Array.from(numericData(tensor))]),
    );
    const module = wasmModule(compileProgram(graph, { width: WASM_LANES, rates }));
    assertAgree(runModule(module, given), expected);
    assertAgree(runModule(relaxedModule(module), given), expected);
  });
}
