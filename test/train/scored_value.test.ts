import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runGraph } from "../../src/execute/node.js";
import { int } from "../../src/graph/attributes.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Data, int64Data } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { plainRule } from "../../src/method/defaults.js";
import { trainableParameters } from "../../src/method/parameters.js";
import { buildEvaluation, PREDICTED } from "../../src/train/evaluation.js";
import { Network } from "../../support/network.js";
import { randomTensor } from "../../support/small_models.js";
import { runTrainingStep } from "../../support/training_step.js";

const BATCH = 4;
const CLASSES = 5;
const images = randomTensor([BATCH, 3, 8, 8], 3);
const labels = [4, 0, 2, 1];

/** A linear classifier that ends in some way. */
function classifier(end: (net: Network, logits: string) => string): Graph {
  const net = new Network(5, [3, 8, 8]);
  const features = net.relu(net.conv("x", 6, { pad: 1, bias: true }));
  const pooled = net.op("Flatten", [net.op("GlobalAveragePool", [features])], { axis: int(1) });
  return net.graph([end(net, net.gemm(pooled, CLASSES))]);
}

const reshaped = (net: Network, x: string, dims: readonly number[]): string =>
  net.op("Reshape", [x, net.b.axes(dims)]);

const plain = classifier((_, logits) => logits);

/** What computes the same probabilities, or scores. */
const alike: Readonly<Record<string, Graph>> = {
  softmax: classifier((net, z) => net.op("Softmax", [z], { axis: int(1) })),
  "log softmax": classifier((net, z) => net.op("LogSoftmax", [z], { axis: int(-1) })),
  "scores [N, K, 1, 1]": classifier((net, z) => reshaped(net, z, [-1, CLASSES, 1, 1])),
  "scores [N, 1, K]": classifier((net, z) => reshaped(net, z, [-1, 1, CLASSES])),
  "softmax [N, K, 1, 1]": classifier((net, z) =>
    net.op("Softmax", [reshaped(net, z, [-1, CLASSES, 1, 1])], { axis: int(1) }),
  ),
  "softmax [N, 1, 1, K]": classifier((net, z) =>
    net.op("Softmax", [reshaped(net, z, [-1, 1, 1, CLASSES])], { axis: int(3) }),
  ),
  "softmax, then flattened": classifier((net, z) => {
    const soft = net.op("Softmax", [reshaped(net, z, [-1, CLASSES, 1, 1])], { axis: int(1) });
    return net.op("Flatten", [net.op("Identity", [soft])], { axis: int(1) });
  }),
};

async function lossOf(network: Graph): Promise<number> {
  const fixed = fixBatch(network, BATCH);
  const trained = new Map([...trainableParameters(fixed).keys()].map((name) => [name, plainRule]));
  const settings = {
    trained,
    optimizer: { momentum: 0, weightDecay: 0 },
    learningRate: 0.1,
    l1Strength: 0,
    batchNormalization: "batch",
  } as const;
  const { loss } = await runTrainingStep(fixed, settings, { images, labels }, { velocities: new Map() });
  return loss;
}

async function predictions(network: Graph): Promise<readonly number[]> {
  const graph = buildEvaluation(fixBatch(network, BATCH), new Set());
  const predicted = (await runGraph(graph, new Map([["x", images]]))).get(PREDICTED);
  assert.ok(predicted);
  return [...int64Data(predicted)].map(Number);
}

describe("labels are compared with scores before they are probabilities", () => {
  for (const [name, network] of Object.entries(alike)) {
    test(name, async () => {
      const [loss, expected] = [await lossOf(network), await lossOf(plain)];
      assert.ok(Math.abs(loss - expected) < 1e-6 * expected, `${loss} ${expected}`);
      assert.deepEqual(await predictions(network), await predictions(plain));
    });
  }

  test("a sigmoid has a probability for each class", async () => {
    const logits = (await runGraph(fixBatch(plain, BATCH), new Map([["x", images]]))).get(
      plain.outputs[0]?.name ?? "",
    );
    assert.ok(logits);
    const expected =
      float32Data(logits).reduce((sum, z, index) => {
        const isOwn = index % CLASSES === labels[Math.floor(index / CLASSES)];
        return sum + Math.log1p(Math.exp(isOwn ? -z : z));
      }, 0) / BATCH;
    const own = classifier((net, z) => reshaped(net, net.op("Sigmoid", [z]), [-1, CLASSES, 1]));
    const loss = await lossOf(own);
    assert.ok(Math.abs(loss - expected) < 1e-5 * expected, `${loss} ${expected}`);
    assert.deepEqual(await predictions(own), await predictions(plain));
  });

  test("a softmax over something else than the classes stays in the network", async () => {
    const within = classifier((net, z) => net.op("Softmax", [z], { axis: int(0) }));
    assert.notEqual(await lossOf(within), await lossOf(plain));
  });

  test("maps are no row of scores", async () => {
    const maps = classifier((net, z) =>
      reshaped(net, net.op("Concat", [z, z], { axis: int(1) }), [-1, CLASSES, 2]),
    );
    await assert.rejects(lossOf(maps), { code: "unsupported", message: /not a classifier's/ });
  });
});
