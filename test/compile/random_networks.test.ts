import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compileProgram } from "../../src/compile/compile.js";
import type { Program } from "../../src/compile/program.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { runGraph } from "../../src/execute/node.js";
import { PenniError } from "../../src/graph/errors.js";
import { elementCount, float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { assertNearOutputs } from "../../support/network.js";
import { buildCase, type ShrinkCase, shrinkCase } from "../../support/random_shrink_case.js";
import { runModule } from "./run_wasm.js";
import "./self_checked.js";

/** Of every input the first image. */
function oneImage(feeds: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> {
  return new Map(
    [...feeds].map(([name, tensor]) => {
      const dims = tensor.dims.with(0, 1);
      return [name, float32Tensor(dims, float32Data(tensor).slice(0, elementCount(dims)))];
    }),
  );
}

async function expectedOutputs(
  graph: Graph,
  feeds: ReadonlyMap<string, Tensor>,
): Promise<ReadonlyMap<string, Tensor> | undefined> {
  try {
    return await runGraph(graph, feeds, { optimization: "disabled", threads: 1 });
  } catch {
    // The runtime refuses the network.
    return undefined;
  }
}

function compiled(graph: Graph): Program | undefined {
  try {
    return compileProgram(graph, wasmTarget);
  } catch (error) {
    if (error instanceof PenniError && error.code === "unsupported") return undefined;
    throw error;
  }
}

async function check(given: ShrinkCase): Promise<"compared" | "not compared"> {
  const built = buildCase(given);
  const feeds = given.fixedBatch ? built.feeds : oneImage(built.feeds);
  const expected = await expectedOutputs(built.graph, feeds);
  const program = compiled(built.graph);
  const finite = [...(expected?.values() ?? [])].every((tensor) =>
    float32Data(tensor).every(Number.isFinite),
  );
  if (expected === undefined || program === undefined || !finite) return "not compared";
  const inputs = new Map([...feeds].map(([name, tensor]) => [name, float32Data(tensor)]));
  const found = runModule(wasmModule(program), inputs);
  const tensors = program.outputs.map(
    ({ name, dims }) => [name, float32Tensor(dims, found.get(name) ?? [])] as const,
  );
  assertNearOutputs(expected, new Map(tensors));
  return "compared";
}

test("random networks of everything that real ones contain: WebAssembly agrees with ONNX Runtime", async () => {
  const results: string[] = [];
  const property = fc.asyncProperty(shrinkCase, async (given) => {
    results.push(await check(given));
  });
  await fc.assert(property, { numRuns: Number(process.env.RUNS ?? 60), seed: 4 });
  const compared = results.filter((result) => result === "compared").length;
  assert.ok(compared > 0.7 * results.length, `${compared} of ${results.length} networks compared`);
});
