import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Graph } from "../../src/graph/types.js";
import { layerChannels, shrink } from "../../src/method/shrink.js";
import { assertSameOutputs } from "../support/network.js";
import { instruction, networkOf } from "../support/random_network.js";

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
    { numRuns: 200, seed: 1 },
  );
  // The networks are made so that there is much to remove: the test is not about nothing.
  assert.ok(shrunk > 100, `${shrunk} networks became smaller`);
  assert.ok(layersAfter < 0.7 * layersBefore, `${layersAfter} of ${layersBefore} kernels are left`);
});
