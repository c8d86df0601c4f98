import assert from "node:assert/strict";
import { test } from "node:test";
import { weightPlaces } from "../../../src/compile/backend.js";
import { cTarget } from "../../../src/compile/c/target.js";
import { packedForC } from "../../../src/compile/c/unpack.js";
import { compileProgram } from "../../../src/compile/compile.js";
import { runGraph } from "../../../src/execute/node.js";
import { storeWeights } from "../../../src/ops/passes/store_weights.js";
import { assertNearOutputs } from "../../../support/network.js";
import { storedNetwork } from "../../../support/stored_network.js";
import { type Build, runInC, SANITIZERS, skipOf } from "./support.js";
import "../self_checked.js";

const sanitized: Build = { compiler: "gcc", flags: ["-O0", "-msse2", ...SANITIZERS] };

for (const type of ["int8", "float16"] as const) {
  for (const weights of weightPlaces) {
    test(`${type} weights in C, ${weights}`, { skip: skipOf(sanitized) }, async () => {
      const { net, graph } = storedNetwork(5);
      const stored = storeWeights(graph, type).graph;
      const program = compileProgram(stored, cTarget);
      assert.ok(packedForC(program) !== undefined);
      const feeds = net.feeds(1);
      assertNearOutputs(await runGraph(stored, feeds), runInC(program, feeds, { ...sanitized, weights }));
    });
  }
}

test("float32 weights stay constants in C, and so do int8 ones that are to be float32", () => {
  const { graph } = storedNetwork(5);
  const stored = storeWeights(graph, "int8").graph;
  assert.equal(packedForC(compileProgram(graph, cTarget)), undefined);
  assert.equal(packedForC(compileProgram(stored, cTarget, "float32")), undefined);
});
