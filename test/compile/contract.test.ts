import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { compileProgram } from "../../src/compile/compile.js";
import { INTERPRETER_LANES, interpretProgram } from "../../src/compile/interpreter.js";
import type { Kernel } from "../../src/compile/loops.js";
import type { Program } from "../../src/compile/program.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { runGraph } from "../../src/execute/node.js";
import { at } from "../../src/graph/at.js";
import { numericData } from "../../src/graph/tensor.js";
import { standardOperators } from "../../src/ops/inference/registry.js";
import { withoutAvx2, withoutCommand } from "./c/support.js";
import { contractCases, withoutCases } from "./cases/index.js";
import type { ContractCase } from "./contract_case.js";
import { runCasesInC } from "./run_c.js";
import { relaxedModule, runModule, type Values, validates } from "./run_wasm.js";
import "./self_checked.js";

// Node 20 knows relaxed SIMD only behind this flag; later ones know it anyway.
setFlagsFromString("--experimental-wasm-relaxed-simd");

const ABSOLUTE = 1e-5;
const RELATIVE = 1e-4;

function assertAgree(found: Values | undefined, expected: Values): void {
  for (const [name, values] of expected) {
    const own = found?.get(name);
    assert.equal(own?.length, values.length, `length of ${name}`);
    values.forEach((value, at) => {
      const other = own?.[at] ?? 0;
      if (Object.is(value, other) || value === other) return;
      const isNear = Math.abs(value - other) <= ABSOLUTE + RELATIVE * Math.abs(value);
      assert.ok(isNear && Number.isFinite(value), `${name}[${at}]: expected ${value}, found ${other}`);
    });
  }
}

const references = new Map<ContractCase, Values>();

/** What ONNX Runtime computes. */
async function reference(contractCase: ContractCase): Promise<Values> {
  const known = references.get(contractCase);
  if (known !== undefined) return known;
  const outputs = await runGraph(contractCase.graph, contractCase.feeds, { threads: 1 });
  const values = new Map(
    [...outputs].map(([name, tensor]) => [name, Float32Array.from(numericData(tensor))]),
  );
  references.set(contractCase, values);
  return values;
}

function feedsOf({ feeds }: ContractCase): Values {
  return new Map([...feeds].map(([name, tensor]) => [name, Float32Array.from(numericData(tensor))]));
}

const modules = new Map<ContractCase, Uint8Array>();

function moduleOf(contractCase: ContractCase): Uint8Array {
  const { graph, rates } = contractCase;
  const module = modules.get(contractCase) ?? wasmModule(compileProgram(graph, { ...wasmTarget, rates }));
  modules.set(contractCase, module);
  return module;
}

async function assertAllAgree(
  cases: readonly ContractCase[],
  found: (contractCase: ContractCase, index: number) => Values | undefined,
): Promise<void> {
  for (const [index, contractCase] of cases.entries()) {
    try {
      assertAgree(found(contractCase, index), await reference(contractCase));
    } catch (error) {
      throw new Error(contractCase.name, { cause: error });
    }
  }
}

test("every operator that Penni knows is compiled and has a case, or a reason not to", () => {
  const covered = new Set(contractCases.flatMap((contractCase) => contractCase.ops));
  const missing = standardOperators.filter((op) => !covered.has(op) && !withoutCases.has(op));
  assert.deepEqual(missing, []);
  const names = contractCases.map((contractCase) => contractCase.name);
  assert.equal(new Set(names).size, names.length, "names, which seed the random numbers, are unique");
});

for (const contractCase of contractCases) {
  test(`WebAssembly: ${contractCase.name}`, async () => {
    assertAgree(runModule(moduleOf(contractCase), feedsOf(contractCase)), await reference(contractCase));
  });
}

const [simplest] = contractCases;
const canRelax = simplest !== undefined && validates(relaxedModule(moduleOf(simplest)));
const skipRelaxed = canRelax ? false : "needs an engine with relaxed SIMD";

test("relaxed WebAssembly: all cases", { skip: skipRelaxed }, () =>
  assertAllAgree(contractCases, (contractCase) =>
    runModule(relaxedModule(moduleOf(contractCase)), feedsOf(contractCase)),
  ),
);

test("the interpreter, one lane at a time: all cases", () =>
  assertAllAgree(contractCases, (contractCase) => {
    const { graph, rates } = contractCase;
    return interpretProgram(
      compileProgram(graph, { width: INTERPRETER_LANES, rates }),
      feedsOf(contractCase),
    );
  }));

/** Every kernel as machines with more registers run it. */
function inRoomyBodies(program: Program): Program {
  const roomy = ({ roomyBody, ...kernel }: Kernel): Kernel => ({
    ...kernel,
    body: roomyBody ?? kernel.body,
  });
  return { ...program, steps: program.steps.map((step) => ({ ...step, kernel: roomy(step.kernel) })) };
}

test("the interpreter, in the blocks of machines with more registers: all cases that have some", () => {
  const programs = contractCases.flatMap((contractCase) => {
    const { graph, rates } = contractCase;
    const program = compileProgram(graph, { width: INTERPRETER_LANES, rates, isNative: true });
    const isRoomy = program.steps.some(({ kernel }) => kernel.roomyBody !== undefined);
    return isRoomy ? [{ contractCase, program: inRoomyBodies(program) }] : [];
  });
  assert.ok(programs.length > 50, `${programs.length} cases`);
  return assertAllAgree(
    programs.map(({ contractCase }) => contractCase),
    (contractCase, index) => interpretProgram(at(programs, index).program, feedsOf(contractCase)),
  );
});

// clang takes a third of gcc's time here.
const compiler = withoutCommand("clang") === false ? "clang" : "gcc";
const skipC = withoutCommand(compiler) || withoutAvx2();

// What compilers make of the code when they optimize is the matter of c/*.test.ts; here it would take a minute.
const build = { compiler, flags: ["-O0", "-mavx2", "-mfma"] };

test("C: all cases", { skip: skipC }, () => {
  const found = runCasesInC(contractCases, build);
  return assertAllAgree(contractCases, (_, index) => found[index]);
});
