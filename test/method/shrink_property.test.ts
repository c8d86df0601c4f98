import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Graph } from "../../src/graph/types.js";
import { layerChannels, shrink } from "../../src/method/shrink.js";
import { assertSameOutputs } from "../../support/network.js";
import { instruction, networkOf } from "../../support/random_network.js";
import { type CaseResult, checkCase, shrinkCase } from "../../support/random_shrink_case.js";

test("random networks give the same outputs after shrinking", async () => {
  let shrunk = 0;
  let layersBefore = 0;
  let layersAfter = 0;
  const size = (graph: Graph): number =>
    layerChannels(graph).reduce((sum, layer) => sum + layer.inputs * layer.outputs, 0);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.array(instruction, { minLength: 1, maxLength: 14 }),
      fc.array(instruction, { minLength: 1, maxLength: 3 }),
      async (seed, program, heads) => {
        const { net, graph } = networkOf(seed, program, heads);
        const small = shrink(graph);
        await assertSameOutputs(graph, small, net.feeds());
        assert.equal(shrink(small), small, "shrinking twice finds nothing more");
        if (small !== graph) shrunk += 1;
        layersBefore += size(graph);
        layersAfter += size(small);
      },
    ),
    { numRuns: 100, seed: 1 },
  );
  // The networks are made so that there is much to remove: the test is not about nothing.
  assert.ok(shrunk > 50, `${shrunk} networks became smaller`);
  assert.ok(layersAfter < 0.7 * layersBefore, `${layersAfter} of ${layersBefore} kernels are left`);
});

test("random networks of everything that real ones contain, walls included, give the same outputs", async () => {
  // Thousands more: npm run bench:shrink-property.
  const results: CaseResult[] = [];
  const property = fc.asyncProperty(shrinkCase, async (given) => {
    results.push(await checkCase(given));
  });
  await fc.assert(property, { numRuns: 250, seed: 2 });
  const compared = results.filter(({ kind }) => kind === "compared");
  const kernels = (when: "before" | "after"): number =>
    compared.reduce((sum, result) => sum + result.kernels[when], 0);
  assert.ok(compared.length > 225, `${compared.length} networks compared`);
  assert.ok(
    kernels("after") < 0.7 * kernels("before"),
    `${kernels("after")} of ${kernels("before")} kernels are left`,
  );
});
