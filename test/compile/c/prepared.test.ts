import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { weightPlaces } from "../../../src/compile/backend.js";
import { headerFile } from "../../../src/compile/c/header.js";
import { checkName } from "../../../src/compile/c/names.js";
import { cUnit } from "../../../src/compile/c/source.js";
import { cTarget } from "../../../src/compile/c/target.js";
import { compileProgram } from "../../../src/compile/compile.js";
import { runGraph } from "../../../src/execute/node.js";
import { weightsTypes } from "../../../src/graph/weights_type.js";
import { storeWeights } from "../../../src/ops/passes/store_weights.js";
import { assertNearOutputs } from "../../../support/network.js";
import { storedNetwork } from "../../../support/stored_network.js";
import { forcedRates } from "../contract_case.js";
import { type Build, command, inDirectory, runInC, SANITIZERS, skipOf, WARNINGS } from "./support.js";
import "../self_checked.js";

const sanitized: Build = { compiler: "gcc", flags: ["-O0", "-msse2", ...SANITIZERS] };

const target = { ...cTarget, rates: forcedRates.tiles };

for (const weights of weightPlaces) {
  test(`int8 weights that are made ready behind themselves, ${weights}`, {
    skip: skipOf(sanitized),
  }, async () => {
    const { net, graph } = storedNetwork(5);
    const stored = storeWeights(graph, "int8").graph;
    const program = compileProgram(stored, target);
    assert.ok(program.preparation.some(({ kernel }) => kernel.name === "merge_factors"));
    const feeds = net.feeds(1);
    assertNearOutputs(await runGraph(stored, feeds), runInC(program, feeds, { ...sanitized, weights }));
  });

  test(`float32 weights, and memory for what is made of them, ${weights}`, {
    skip: skipOf(sanitized),
  }, async () => {
    const { net, graph } = storedNetwork(6);
    const program = compileProgram(graph, { ...target, prepares: weightsTypes });
    assert.ok(program.preparation.length > 0);
    const feeds = net.feeds(1);
    assertNearOutputs(await runGraph(graph, feeds), runInC(program, feeds, { ...sanitized, weights }));
  });
}

test("what is not made ready cannot be left out by accident, and leads nowhere outside the memory", {
  skip: skipOf(sanitized),
}, () => {
  const { graph } = storedNetwork(6);
  const program = compileProgram(graph, { ...target, prepares: weightsTypes });
  assert.ok(program.preparation.length > 0);
  const main = (run: string): string => `#include "small.h"
#include <stdlib.h>
#include <string.h>
int main(void) {
  float *input = calloc(SMALL_INPUT_ELEMENTS, sizeof(float)), *output = calloc(SMALL_OUTPUT_ELEMENTS, sizeof(float));
  void *scratch = malloc(SMALL_SCRATCH_BYTES), *prepared = malloc(SMALL_PREPARED_BYTES);
  memset(prepared, 0xff, SMALL_PREPARED_BYTES);
  ${run};
  free(input), free(output), free(scratch), free(prepared);
  return 0;
}
`;
  inDirectory(program, {}, (directory) => {
    const built = (run: string): readonly string[] => {
      writeFileSync(path.join(directory, "main.c"), main(run));
      return [...WARNINGS, ...sanitized.flags, "small.c", "main.c", "-o", "run", "-lm"];
    };
    const without = spawnSync("gcc", built("small_run(input, output, scratch)"), { cwd: directory });
    assert.match(without.stderr.toString(), /too few arguments to function .small_run/);
    command(directory, "gcc", built("small_run(input, output, scratch, prepared)"));
    command(directory, path.join(directory, "run"), []);
  });
});

test("the header says what is to be made ready, and an example does it", {
  skip: skipOf({ compiler: "gcc", flags: [] }),
}, () => {
  const { graph } = storedNetwork(6);
  const program = compileProgram(graph, { ...target, prepares: weightsTypes });
  const unit = cUnit(program, checkName("net"), "inside");
  const header = headerFile(unit);
  assert.match(header, /^#define NET_PREPARED_BYTES \d+$/m);
  assert.match(header, /^void net_prepare\(void \*prepared\);$/m);
  assert.match(header, /^ \* prepared: what net_prepare has written, only read\.$/m);
  for (const weights of weightPlaces) {
    inDirectory(program, { example: true, weights }, (directory) => {
      command(directory, "make", ["-s", "CC=gcc", "CFLAGS=-std=c99 -Wall -Wextra -Werror"]);
    });
  }
});
