import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { cTarget } from "../../src/compile/c/target.js";
import { compileProgram } from "../../src/compile/compile.js";
import { runGraph } from "../../src/execute/node.js";
import { numericData } from "../../src/graph/tensor.js";
import { load, type OutputData } from "../../src/runtime/index.js";
import { changedExecution, withoutCompiler, writeAddon } from "../../support/addon.js";
import { contractCases } from "../compile/cases/index.js";
import { inCase, joinedPrograms } from "../compile/run_c.js";
import "../compile/self_checked.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-node-operators-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const ABSOLUTE = 1e-5;
const RELATIVE = 1e-4;

// What compilers make of the code when they optimize is the matter of ../compile/c; here it would take minutes.
const execution = changedExecution((options) => options.map((option) => (option === "-O3" ? "-O0" : option)));

test("every operator, with every instruction set that this machine has", {
  skip: withoutCompiler,
}, async () => {
  const programs = contractCases.map(({ graph, rates }) => compileProgram(graph, { ...cTarget, rates }));
  const file = await writeAddon(folder, "operators", joinedPrograms(programs), { execution });
  const feeds: Record<string, Float32Array> = {};
  const expected = new Map<string, readonly number[]>();
  for (const [at, contractCase] of contractCases.entries()) {
    for (const [name, tensor] of contractCase.feeds)
      feeds[inCase(at, name)] = Float32Array.from(numericData(tensor));
    const outputs = await runGraph(contractCase.graph, contractCase.feeds, { threads: 1 });
    for (const [name, tensor] of outputs) expected.set(inCase(at, name), Array.from(numericData(tensor)));
  }
  let runs = 0;
  for (const isa of ["avx512", "avx2", "baseline"]) {
    const model = await load<Record<string, OutputData>>(file, { isa }).catch(() => undefined);
    if (model === undefined) continue;
    runs += 1;
    const inputs = Object.fromEntries(
      model.inputs.map(({ name, type }) => {
        const values = feeds[name] ?? new Float32Array();
        return [name, /int|bool/.test(type) ? Int32Array.from(values) : values];
      }),
    );
    const found = await model.runAsync(inputs);
    for (const [name, values] of expected) {
      const own = found[name] ?? new Float32Array();
      assert.equal(own.length, values.length, `${isa}: length of ${name}`);
      values.forEach((value, index) => {
        const other = own[index] ?? Number.NaN;
        if (Object.is(value, other) || value === other) return;
        const isNear = Math.abs(value - other) <= ABSOLUTE + RELATIVE * Math.abs(value);
        assert.ok(
          isNear && Number.isFinite(value),
          `${isa}: ${name}[${index}]: expected ${value}, found ${other}`,
        );
      });
    }
  }
  assert.ok(runs > 0);
});
