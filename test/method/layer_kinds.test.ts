import assert from "node:assert/strict";
import { test } from "node:test";
import { describeExpectation } from "../../src/cli/expectation_text.js";
import { readModel } from "../../src/files/model_files.js";
import { int, ints } from "../../src/graph/attributes.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../../src/graph/types.js";
import { decompose } from "../../src/method/decompose.js";
import { inspectGraph } from "../../src/method/inspect.js";
import { kindShares } from "../../src/method/layer_kinds.js";
import { importModel } from "../../src/ops/passes/import_model.js";
import { Network } from "../../support/network.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const layersOf = (graph: Graph) => inspectGraph(importModel(fixBatch(graph, 1))).layers;

test("each layer's arithmetic is counted for one kind", () => {
  const net = new Network(1, [6, 8, 8]);
  const shared = net.conv("x", 10, { pad: 1 });
  const depthwise = net.conv(shared, 10, { pad: 1, group: 10 });
  const pointwise = net.conv(depthwise, 4, { kernel: 1 });
  // One output for each group: a basis would be as large as the kernels.
  const few = net.conv(pointwise, 1, { pad: 1 });
  const line = net.op(
    "Conv",
    [net.op("Reshape", [few, net.b.axes([1, 1, 64])]), net.parameter("line", [5, 1, 3])],
    { pads: ints([1, 1]), group: int(1) },
  );
  const graph = net.graph([net.gemm(net.op("Flatten", [line]), 2)]);
  const shares = kindShares(layersOf(fixBatch(graph, 1)));
  const macs = {
    shared: 60 * 9 * 64,
    depthwise: 10 * 9 * 64,
    pointwise: 40 * 64,
    few: 36 * 64,
    line: 15 * 64,
    gemm: 640,
  };
  const total = Object.values(macs).reduce((sum, value) => sum + value, 0);
  const near = (found: number, wanted: number): void => assert.ok(Math.abs(found - wanted / total) < 1e-12);
  assert.deepEqual([shares.kernels.layers, shares.weights.layers, shares.fixed.layers], [1, 3, 2]);
  near(shares.kernels.share, macs.shared);
  near(shares.weights.share, macs.pointwise + macs.few + macs.line);
  near(shares.fixed.share, macs.depthwise + macs.gemm);
});

test("what is decomposed already has kernels that share a basis", () => {
  const before = kindShares(layersOf(tinyCnn()));
  const after = kindShares(layersOf(decompose(importModel(tinyCnn()), { basis: 3 })));
  assert.equal(before.kernels.layers, 3);
  assert.equal(after.kernels.layers, 3);
});

const MOBILE = "models/zoo/mobilenet_v2_w025.onnx";
const skip = withoutShared(MOBILE);

test("MobileNet v2 has one layer with kernels to share, and it is said that this is little", {
  skip,
}, async () => {
  const [text = ""] = describeExpectation(layersOf(await readModel(sharedPath(MOBILE))));
  assert.match(text, /7\.5 % of the MACs: 1 layer has kernels/);
  assert.match(text, /74\.6 % of the MACs: 34 layers have no kernels to share: single weights/);
  assert.match(text, /expect less than usual/);
});

test("a network of 3x3 convolutions is not warned about, one without convolutions is not spoken of", () => {
  const [text = ""] = describeExpectation(layersOf(tinyCnn()));
  assert.doesNotMatch(text, /less than usual/);
  const net = new Network(2, [4, 2, 2]);
  assert.equal(describeExpectation(layersOf(net.graph([net.relu("x")]))).length, 0);
});
