import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { cTarget } from "../../../src/compile/c/target.js";
import { compileProgram } from "../../../src/compile/compile.js";
import { INTERPRETER_LANES } from "../../../src/compile/interpreter.js";
import type { Program } from "../../../src/compile/program.js";
import type { Target } from "../../../src/compile/target.js";
import { verifyAddresses } from "../../../src/compile/verify/addresses.js";
import { complainOf } from "../../../src/compile/verify/problem.js";
import { verifyProgram } from "../../../src/compile/verify/program.js";
import { Tables } from "../../../src/compile/verify/tables.js";
import { wasmTarget } from "../../../src/compile/wasm/target.js";
import { PenniError } from "../../../src/graph/errors.js";
import type { Graph } from "../../../src/graph/types.js";
import { buildCase, shrinkCase } from "../../../support/random_shrink_case.js";
import { contractCases } from "../cases/index.js";
import type { ContractCase } from "../contract_case.js";
import { assertFound, statementsOf, withBuffer, withKernel, withoutStatement, withStep } from "./damage.js";
import "../self_checked.js";

// What holds of `verifyProgram` for the kernels of all operators, and for random networks.

type Vectors = Omit<Target, "rates">;
const { rates: _, ...cVectors } = cTarget;
const targets: readonly Vectors[] = [{ width: INTERPRETER_LANES }, { width: wasmTarget.width }, cVectors];

const programs = new Map<string, Program>();

function programOf({ name, graph, rates }: ContractCase, vectors: Vectors): Program {
  const key = `${name}, ${vectors.width} lanes`;
  const program = programs.get(key) ?? compileProgram(graph, { ...vectors, rates });
  programs.set(key, program);
  return program;
}

/** Calls `check` with the program of each case; an error names the case. */
function forAllCases(check: (program: Program, width: number) => void): void {
  for (const contractCase of contractCases) {
    for (const vectors of targets) {
      const { width } = vectors;
      try {
        check(programOf(contractCase, vectors), width);
      } catch (error) {
        throw new Error(`${contractCase.name}, ${width} lanes`, { cause: error });
      }
    }
  }
}

test("every case of every operator is accepted", () => forAllCases(verifyProgram));

test("where patience does not last, what is not known is not held against a program", () => {
  let left = 0;
  forAllCases((program, width) => {
    const tables = new Tables(program);
    for (const step of program.steps) {
      const patience = { rounds: 1 };
      verifyAddresses(step, { tables, lanes: width, patience, complain: complainOf(step) });
      if (patience.rounds < 0) left += 1;
    }
  });
  assert.ok(left > 10, `${left} steps that carry integers from round to round`);
});

function compiled(graph: Graph, target: Target): Program | undefined {
  try {
    return compileProgram(graph, target);
  } catch (error) {
    if (error instanceof PenniError && error.code === "unsupported") return undefined;
    throw error;
  }
}

test("no random network is refused", () => {
  let accepted = 0;
  const property = fc.property(shrinkCase, (given) => {
    const { graph } = buildCase(given);
    for (const target of [wasmTarget, cTarget]) {
      const program = compiled(graph, target);
      if (program === undefined) continue;
      verifyProgram(program, target.width);
      accepted += 1;
    }
  });
  const numRuns = Number(process.env.RUNS ?? 60);
  fc.assert(property, { numRuns, seed: 17 });
  assert.ok(accepted > 1.4 * numRuns, `${accepted} programs of ${numRuns} networks`);
});

// The following damage one thing of every case: whatever the operator, it must be found.

test("an output that is one element shorter than what is written is found", () => {
  let damaged = 0;
  forAllCases((program, width) => {
    for (const { buffer } of program.outputs) {
      if (buffer.size === 0) continue;
      const shorter = { ...buffer, size: buffer.size - 1 };
      const outputs = program.outputs.map((port) =>
        port.buffer.id === buffer.id ? { ...port, buffer: shorter, dims: [shorter.size] } : port,
      );
      assertFound({ ...withBuffer(program, buffer, shorter), outputs }, width, /writes outside of/);
      damaged += 1;
    }
  });
  assert.ok(damaged > 1000, `${damaged} outputs`);
});

test("an output that is written from the element before it on is found", () => {
  forAllCases((program, width) => {
    for (const { buffer } of program.outputs) {
      if (buffer.size === 0) continue;
      const steps = program.steps.map((step) => ({
        ...step,
        arguments: step.arguments.map((location) =>
          location.buffer.id === buffer.id ? { ...location, offset: location.offset - 1 } : location,
        ),
      }));
      assertFound({ ...program, steps }, width, /(?:writes|reads) outside of .* found element -1/);
    }
  });
});

test("a kernel that hides that it writes is found", () => {
  forAllCases((program, width) => {
    for (const [index, step] of program.steps.entries()) {
      const parameters = step.kernel.parameters.map((pointer) => ({ ...pointer, written: false }));
      const kernel = { ...step.kernel, parameters };
      if (statementsOf(kernel.body).every(({ kind }) => kind !== "store")) continue;
      assertFound(
        withStep(program, index, () => ({ ...step, kernel })),
        width,
        /which it says it only reads/,
      );
    }
  });
});

test("a variable that is not set any more is found", () => {
  let damaged = 0;
  forAllCases((program, width) => {
    const [step] = program.steps;
    if (step === undefined) return;
    for (const statement of statementsOf(step.kernel.body)) {
      if (statement.kind !== "setIndex" && statement.kind !== "setValue") continue;
      const { variable } = statement;
      const rest = withoutStatement(step.kernel, statement);
      const isRead = JSON.stringify(rest.body).includes(`{"kind":"variable","name":"${variable}"}`);
      const isSetElsewhere = statementsOf(rest.body).some(
        (other) => (other.kind === "setIndex" || other.kind === "setValue") && other.variable === variable,
      );
      if (!isRead || isSetElsewhere) continue;
      const broken = withKernel(program, (kernel) => (kernel === step.kernel ? rest : undefined));
      assertFound(broken, width, new RegExp(`reads "${variable}" before it is set`));
      damaged += 1;
    }
  });
  assert.ok(damaged > 1000, `${damaged} variables`);
});

test("all tests of the compiler check what they compile", () => {
  const folder = new URL("../../../../test/compile/", import.meta.url);
  const files = readdirSync(folder, { recursive: true })
    .map(String)
    .filter((file) => file.endsWith(".test.ts"));
  assert.ok(files.length > 15);
  const unchecked = files.filter(
    (file) => !readFileSync(new URL(file, folder), "utf8").includes("self_checked.js"),
  );
  assert.deepEqual(unchecked, []);
});
