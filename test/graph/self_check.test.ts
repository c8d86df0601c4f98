import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, afterEach, beforeEach, test } from "node:test";
import { compileProgram } from "../../src/compile/compile.js";
import type { Lowering } from "../../src/compile/lower/definition.js";
import { lowerings } from "../../src/compile/lower/registry.js";
import { behind } from "../../src/compile/program_builder.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { writeModel } from "../../src/files/model_files.js";
import { PenniError } from "../../src/graph/errors.js";
import { type Pass, runPasses, runUntilStable } from "../../src/graph/passes/pass.js";
import { isSelfChecking, SELF_CHECK } from "../../src/graph/self_check.js";
import type { Graph } from "../../src/graph/types.js";
import { importModel } from "../../src/ops/passes/import_model.js";
import { type Progress, runStages } from "../../src/run/stages/stage.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const before = process.env[SELF_CHECK];
beforeEach(() => {
  process.env[SELF_CHECK] = "1";
});
afterEach(() => {
  if (before === undefined) delete process.env[SELF_CHECK];
  else process.env[SELF_CHECK] = before;
});

const off = (): void => {
  process.env[SELF_CHECK] = "0";
};

/** Leaves a node that reads what is computed after it. */
const careless: Pass = {
  name: "careless",
  apply: (graph) => ({ ...graph, nodes: graph.nodes.toReversed() }),
};

const isInternal =
  (message: RegExp) =>
  (error: unknown): boolean =>
    error instanceof PenniError && error.code === "internal" && message.test(error.message);

test("self-checks are on where PENNI_VERIFY is 1, and nowhere else", () => {
  assert.equal(isSelfChecking(), true);
  for (const value of ["0", "", "true"]) {
    process.env[SELF_CHECK] = value;
    assert.equal(isSelfChecking(), false, value);
  }
  delete process.env[SELF_CHECK];
  assert.equal(isSelfChecking(), false);
});

test("a pass that leaves a malformed graph is named", () => {
  const graph = tinyCnn();
  const named = isInternal(/pass careless left a malformed graph: .*before it is computed/);
  assert.throws(() => runPasses(graph, [careless]), named);
  assert.throws(() => runUntilStable(graph, [careless]), named);
  off();
  assert.equal(runPasses(graph, [careless]).nodes.length, graph.nodes.length);
});

const folder = mkdtempSync(path.join(tmpdir(), "penni-self-check-"));
after(() => rm(folder, { recursive: true }));
const fileOf = (name: string): string => path.join(folder, `${name}.onnx`);

/** Of a run that keeps its networks and nothing else. */
function runContext(): Parameters<typeof runStages>[2] {
  const run = {
    config: { settings: {} },
    complete: async (name: string, make: () => Promise<Graph>) => writeModel(fileOf(name), await make()),
    stagePath: fileOf,
  };
  return { run, listener: {}, passage: { suffix: "" } } as unknown as Parameters<typeof runStages>[2];
}

async function startingWith(graph: Graph): Promise<Progress> {
  await writeModel(fileOf("original"), graph);
  return { file: fileOf("original"), files: new Map() };
}

test("a stage of a run that leaves a malformed graph is named", async () => {
  const stages = [
    { name: "simplify", takes: [], gives: () => [], apply: (graph: Graph) => importModel(graph) },
    { name: "shrink", takes: [], gives: () => [], apply: careless.apply },
  ] as const;
  const named = isInternal(/stage "shrink" left a malformed graph/);
  await assert.rejects(runStages(stages, await startingWith(tinyCnn()), runContext()), named);
  off();
  await runStages(stages, await startingWith(tinyCnn()), runContext());
});

test("what is wrong with the model is not a stage's fault", async () => {
  const given = tinyCnn();
  const [output] = given.outputs;
  assert.ok(output !== undefined);
  const type = { elementType: "int64", shape: [1] } as const;
  const contradictory = { ...given, outputs: [{ ...output, type }] };
  await assert.rejects(
    runStages([], await startingWith(contradictory), runContext()),
    (error) => error instanceof PenniError && error.code === "shape" && /declares/.test(error.message),
  );
});

test("a compiled program that is wrong is refused before it is printed", (t) => {
  const graph = tinyCnn();
  const table: Record<string, Lowering> = lowerings;
  const { GlobalAveragePool: right } = lowerings;
  t.after(() => {
    table.GlobalAveragePool = right;
  });
  table.GlobalAveragePool = {
    lower: (context) => right.lower({ ...context, write: (index) => behind(context.write(index), 1) }),
  };
  const named = isInternal(
    /GlobalAveragePool.*the compiled program is wrong: kernel .* writes outside of "output"/,
  );
  assert.throws(() => compileProgram(graph, wasmTarget), named);
  off();
  assert.ok(compileProgram(graph, wasmTarget).steps.length > 0);
});
