import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { float } from "../../src/graph/attributes.js";
import { PenniError } from "../../src/graph/errors.js";
import { keptElements } from "../../src/graph/mapping.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { removeDeadNodes } from "../../src/graph/passes/remove_dead_nodes.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { trainableParameters } from "../../src/method/parameters.js";
import { analyseChannels } from "../../src/method/shrink/analysis.js";
import type { Shrunk } from "../../src/method/shrink.js";
import { shrinkForTraining } from "../../src/method/shrink_for_training.js";
import { assertSameOutputs, type Network } from "../../support/network.js";
import { type Instruction, instruction, networkOf } from "../../support/random_network.js";
import {
  initializer,
  runTrainingStep,
  type StepResult,
  type StepSettings,
  type Values,
  withValues,
} from "../../support/training_step.js";

const BATCH = 3;
/** Of the largest element: sums in another order, and constants that 1 / sqrt(epsilon) has multiplied by 316. */
const TOLERANCE = 1e-3;

/** A classifier whose BatchNormalization remembers the statistics of the last batch alone. */
function classifierOf(
  seed: number,
  program: readonly Instruction[],
  head: Instruction,
): { net: Network; network: Graph } {
  const { net, graph } = networkOf(seed, program, [{ ...head, size: 5 }]);
  const nodes = graph.nodes.map((node) =>
    node.op === "BatchNormalization"
      ? { ...node, attributes: new Map([...node.attributes, ["momentum", float(0)]]) }
      : node,
  );
  return { net, network: removeDeadNodes(fixBatch({ ...graph, nodes }, BATCH)) };
}

/** What is kept of values of the unshrunk network. */
function carried({ mapping }: Shrunk, values: Values): Values {
  return new Map(
    [...mapping].flatMap(([name, origin]) => {
      const data = values.get(origin.source);
      return data === undefined ? [] : [[name, keptElements(origin, data)] as const];
    }),
  );
}

/** Every initializer that claims to consist of old elements does, unless a constant was folded into it. */
function assertConsistsOfKept(network: Graph, shrunk: Shrunk): void {
  for (const [name, origin] of shrunk.mapping) {
    const source = initializer(network, origin.source);
    if (source.type !== "float32" || origin.folded) continue;
    const found = float32Data(initializer(shrunk.graph, name));
    assert.deepEqual(found, keptElements(origin, float32Data(source)), name);
  }
}

/**
 * Indices along the first axis, by parameter, of what may be trained differently: parameters of channels that are
 * constant in training, and bases of layers into whose bias a constant was folded.
 */
function exceptions({ graph, mapping }: Shrunk): ReadonlyMap<string, ReadonlySet<number>> {
  const { flows, decompositions } = analyseChannels(graph, "batch");
  const rows = new Map<string, ReadonlySet<number>>();
  for (const [conv, { basis }] of decompositions) {
    const bias = mapping.get(conv.inputs[2] ?? "");
    if (conv.inputs.length > 2 && bias?.folded !== false)
      rows.set(basis.name, new Set(Array(basis.tensor.dims[0]).keys()));
  }
  for (const [node, { constants }] of flows) {
    const lanes = new Set(constants[0]?.flatMap((value, lane) => (value === undefined ? [] : [lane])));
    for (const name of [decompositions.get(node)?.coefs.name ?? "", ...node.inputs]) rows.set(name, lanes);
  }
  return rows;
}

/** Elements in which two arrays differ. */
function differences(want: Float32Array, got: Float32Array): number[] {
  assert.equal(got.length, want.length);
  const scale = want.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  return [...want.keys()].filter(
    (at) => !(Math.abs((want[at] ?? 0) - (got[at] ?? Number.NaN)) <= TOLERANCE * scale),
  );
}

/** How much a step changed every parameter. */
function changes(before: Graph, after: Values): Values {
  return new Map(
    [...after].map(([name, values]) => {
      const old = float32Data(initializer(before, name));
      return [name, values.map((value, at) => value - (old[at] ?? 0))];
    }),
  );
}

/**
 * Checks two sets of values by name; returns the number of elements that differ, all of which must be among the
 * exceptions.
 */
function compare(shrunk: Shrunk, want: Values, got: Values, what: string): number {
  const allowed = exceptions(shrunk);
  let different = 0;
  for (const [name, values] of got) {
    const expected = want.get(name);
    assert.ok(expected !== undefined, `${what} of ${name}`);
    const [rows = 1] = initializer(shrunk.graph, name).dims;
    for (const at of differences(expected, values)) {
      const row = Math.floor((at * rows) / values.length);
      assert.ok(
        allowed.get(name)?.has(row) === true,
        `${what} of ${name}[${at}]: ${values[at]}, expected ${expected[at]}`,
      );
      different += 1;
    }
  }
  return different;
}

async function stepOrUnsupported(
  ...args: Parameters<typeof runTrainingStep>
): Promise<StepResult | undefined> {
  try {
    return await runTrainingStep(...args);
  } catch (error) {
    if (error instanceof PenniError && error.code === "unsupported") return undefined;
    throw error;
  }
}

test("random networks train on after shrinking as they would have trained unshrunk", async () => {
  let compared = 0;
  let elements = 0;
  let different = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.array(instruction, { minLength: 1, maxLength: 12 }),
      instruction,
      async (seed, program, head) => {
        const { net, network } = classifierOf(seed, program, head);
        const shrunk = shrinkForTraining(network, { batchNormalization: "batch" });
        if (shrunk === undefined) return;
        assertConsistsOfKept(network, shrunk);
        const rule = { l1: "none", masked: false, rate: 1 } as const;
        const settings: StepSettings = {
          trained: new Map([...trainableParameters(network).keys()].map((name) => [name, rule])),
          optimizer: { momentum: 0.9, weightDecay: 0 },
          learningRate: 0.1,
          l1Strength: 0,
          batchNormalization: "batch",
        };
        const images = net.feeds(BATCH).get("x");
        assert.ok(images !== undefined);
        const batch = { images, labels: [0, 1, 2] };
        const velocities = new Map(
          [...settings.trained.keys()].map((name) => [
            name,
            net.uniform(float32Data(initializer(network, name)).length),
          ]),
        );
        const want = await stepOrUnsupported(network, settings, batch, { velocities });
        if (want === undefined) return;
        const got = await runTrainingStep(shrunk.graph, settings, batch, {
          velocities: carried(shrunk, velocities),
        });

        assert.ok(
          Math.abs(got.loss - want.loss) <= TOLERANCE * Math.max(1, want.loss),
          `loss ${want.loss} became ${got.loss}`,
        );
        different += compare(shrunk, carried(shrunk, want.velocities), got.velocities, "velocity");
        const [wantChange, gotChange] = [
          changes(network, want.parameters),
          changes(shrunk.graph, got.parameters),
        ];
        compare(shrunk, carried(shrunk, wantChange), gotChange, "change");
        const statistics = carried(shrunk, want.statistics);
        for (const [name, values] of got.statistics)
          assert.deepEqual(differences(statistics.get(name) ?? new Float32Array(), values), [], name);
        await assertSameOutputs(
          withValues(network, want.statistics),
          withValues(shrunk.graph, statistics),
          net.feeds(BATCH),
          TOLERANCE,
        );
        compared += 1;
        for (const values of got.velocities.values()) elements += values.length;
      },
    ),
    { numRuns: 40, seed: 3, endOnFailure: true },
  );
  // The test is about something, and the exception stays one.
  assert.ok(compared > 30, `${compared} networks compared`);
  assert.ok(different < 0.01 * elements, `${different} of ${elements} elements were changed differently`);
});
