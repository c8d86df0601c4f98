import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../../src/graph/types.js";
import { countGraph } from "../../src/measure/count.js";
import { foreseeCalibration } from "../../src/method/calibrate/foreseen.js";
import { leastFraction } from "../../src/method/calibrate.js";
import { newNetwork } from "../../src/networks/index.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { nineOutputDetector } from "../../support/label_free.js";

const classifier = (name: "resnet20" | "mobilenet_v2"): Graph =>
  newNetwork(name, { classes: 10, image: [3, 32, 32], seed: 5, metadata: new Map() });

const networks: Readonly<Record<string, () => Graph>> = {
  "a residual network": () => classifier("resnet20"),
  "depthwise and 1x1 convolutions": () => classifier("mobilenet_v2"),
  "a detector": nineOutputDetector,
};

describe("what is foreseen of a calibration", () => {
  for (const [what, build] of Object.entries(networks)) {
    test(`spends what it may, on layers that are no dearer than they were: ${what}`, () => {
      const graph = fixBatch(simplify(build()), 1);
      const count = countGraph(graph);
      for (const basis of ["auto", 5] as const) {
        const least = leastFraction(graph, { basis });
        assert.equal(foreseeCalibration(graph, count, { fraction: 0.9 * least, basis }), undefined);
        let last = Number.POSITIVE_INFINITY;
        for (const share of [0.8, 0.4]) {
          const fraction = least + share * (1 - least);
          const layers = foreseeCalibration(graph, count, { fraction, basis });
          assert.ok(layers !== undefined);
          assert.equal(layers.length, count.layers.length);
          const macs = layers.reduce((sum, layer) => sum + layer.count.paperMacs, 0);
          // What is left over is less than one of the values that stand for others.
          assert.ok(macs <= fraction * count.paperMacs * (1 + 1e-3), `${macs / count.paperMacs}`);
          if (basis === "auto")
            assert.ok(macs > 0.9 * fraction * count.paperMacs, `${macs / count.paperMacs}`);
          layers.forEach((layer, index) => {
            const before = count.layers[index];
            assert.ok(before !== undefined && layer.count.node === before.node);
            assert.ok(layer.count.paperMacs <= before.paperMacs * (1 + 1e-3), layer.count.node.name);
          });
          assert.ok(macs < last);
          last = macs;
        }
      }
    });
  }
});
