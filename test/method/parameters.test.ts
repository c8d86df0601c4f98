import assert from "node:assert/strict";
import { test } from "node:test";
import { trainableParameters } from "../../src/method/parameters.js";
import { Network } from "../../support/network.js";

test("weights are trained; what is added elsewhere than behind a layer is a constant of the network", () => {
  const net = new Network(1, [3, 4, 4]);
  const mean = net.parameter("mean", [1, 3, 1, 1]);
  const map = net.conv(net.op("Add", ["x", mean]), 4);
  const biased = net.op("Add", [map, net.parameter("own_bias", [1, 4, 1, 1])]);
  const normalized = net.op("LayerNormalization", [
    net.op("ConvTranspose", [biased, net.parameter("up", [4, 2, 2, 2]), net.parameter("up_bias", [2])]),
    net.parameter("scale", [3]),
    net.parameter("shift", [3]),
  ]);
  const anchors = net.parameter("anchors", [2, 3, 3]);
  const moved = net.op("Add", [net.op("Mul", [normalized, net.b.scalar(0.1)]), anchors]);
  const graph = net.graph([net.op("Add", [moved, net.b.scalar(1)])]);
  assert.deepEqual([...trainableParameters(graph).keys()].sort(), [
    "own_bias",
    "scale",
    "shift",
    "up",
    "up_bias",
    "weight",
  ]);
});
