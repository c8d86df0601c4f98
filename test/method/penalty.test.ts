import assert from "node:assert/strict";
import { test } from "node:test";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../../src/graph/types.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { countGraph } from "../../src/measure/count.js";
import { decompose } from "../../src/method/decompose.js";
import { trainingPhases } from "../../src/method/phases.js";
import { shrink } from "../../src/method/shrink.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { type TrainOptions, train } from "../../src/run/train.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const network = decompose(simplify(tinyCnn()), { basis: 3 });

test("colours of the images are no channels that a penalty may remove", () => {
  const phases = trainingPhases(network, {
    mode: "joint",
    sparse: { l1: "channels", masked: true },
    scaleBasisRate: false,
  });
  const [first, ...others] = findDecompositions(network);
  assert.ok(first !== undefined && others.length > 0);
  const rules = phases[0]?.trained ?? {};
  assert.deepEqual(rules[first.coefs], { l1: "proximal", masked: true, rate: 1 });
  for (const { coefs } of others) assert.deepEqual(rules[coefs], { l1: "channels", masked: true, rate: 1 });
});

const executed = (graph: Graph): number => countGraph(fixBatch(graph, 1)).executedMacs;

test("a penalty on channels leaves channels that nobody reads, where one on coefficients leaves zeros", async () => {
  const options: TrainOptions = {
    data: "synthetic:300",
    epochs: 4,
    schedule: { kind: "cosine", initial: 0.05 },
    l1: 0.02,
    batch: 16,
    threads: 1,
  };
  const [byCoefficients, byChannels] = [
    await train(network, options),
    await train(network, { ...options, penalty: "channels" }),
  ].map((trained) => executed(shrink(trained)) / executed(network));
  assert.ok(
    (byChannels ?? 1) < 0.8 && (byChannels ?? 1) < (byCoefficients ?? 0),
    `${byChannels}, ${byCoefficients}`,
  );
});
