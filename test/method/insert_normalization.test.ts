import assert from "node:assert/strict";
import { test } from "node:test";
import { float32Data } from "../../src/graph/tensor.js";
import { insertNormalization, normalizationSites } from "../../src/method/insert_normalization.js";
import { assertSameOutputs, Network } from "../../support/network.js";

test("inserted normalisations change nothing in inference, whatever the statistics, and even out the filters", async () => {
  const net = new Network(21);
  const hidden = net.relu(net.conv("x", 6, { pad: 1, bias: true, deadOutputs: [2] }));
  const graph = net.graph([net.conv(net.relu(net.conv(hidden, 6, { pad: 1, group: 3 })), 4)]);
  const sites = normalizationSites(graph);
  assert.equal(sites.length, 3);
  const statistics = new Map(
    sites.map((site) => {
      const channels = net.channels(site);
      const mean = Array.from({ length: channels }, (_, channel) => channel - 1.5);
      return [site, { mean, variance: mean.map((value) => value * value + (value > 0 ? 0.1 : 0)) }] as const;
    }),
  );
  const normalized = insertNormalization(graph, statistics);
  assert.equal(normalized.nodes.filter((node) => node.op === "BatchNormalization").length, 3);
  await assertSameOutputs(graph, normalized, net.feeds());

  const [first] = normalized.nodes.filter((node) => node.op === "Conv");
  const weight = normalized.initializers.get(first?.inputs[1] ?? "");
  assert.ok(weight !== undefined);
  const data = float32Data(weight);
  const length = data.length / 6;
  const norms = Array.from({ length: 6 }, (_, k) =>
    Math.hypot(...data.subarray(k * length, (k + 1) * length)),
  );
  norms.forEach((norm, k) => {
    const expected = k === 2 ? 0 : 2;
    assert.ok(Math.abs(norm - expected) < 1e-5, `filter ${k}: ${norm}`);
  });
});

test("a filter whose bias is computed, or read elsewhere too, keeps its norm", async () => {
  const net = new Network(22);
  const computed = net.op("Tanh", [net.parameter("offset", [5])]);
  const weights = [net.parameter("w", [5, 3, 3, 3]), net.parameter("v", [5, 3, 3, 3])];
  const shared = net.parameter("shared", [5]);
  const outputs = [computed, shared].map((bias, index) => net.op("Conv", ["x", weights[index] ?? "", bias]));
  const graph = net.graph([net.op("Add", outputs), net.op("Tanh", [shared])]);
  const mean = [1, 2, 3, 4, 5];
  const statistics = new Map(outputs.map((output) => [output, { mean, variance: mean }] as const));
  const normalized = insertNormalization(graph, statistics);
  assert.equal(normalized.nodes.filter((node) => node.op === "BatchNormalization").length, 2);
  for (const weight of weights) {
    assert.equal(normalized.initializers.get(weight), graph.initializers.get(weight));
  }
  await assertSameOutputs(graph, normalized, net.feeds());
});
