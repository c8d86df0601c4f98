import assert from "node:assert/strict";
import { test } from "node:test";
import { benchmarkNetworks, type NetworkName } from "../../bench/networks.js";
import { runGraph } from "../../src/execute/node.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { countGraph } from "../../src/measure/count.js";
import { verifyTypes } from "../../src/ops/verify.js";
import { randomTensor } from "../support/small_models.js";

/** Elements of `model.parameters()` of the same networks in PyTorch (bench/pytorch/networks.py). */
const parameters: Readonly<Record<NetworkName, number>> = {
  resnet20: 269_722,
  resnet56: 853_018,
  resnet18: 11_173_962,
  vgg16: 14_728_266,
};

for (const [name, { build }] of Object.entries(benchmarkNetworks)) {
  test(`${name} of the benchmark has PyTorch's number of parameters and runs`, async () => {
    const network = build();
    verifyTypes(network);
    assert.equal(countGraph(fixBatch(network, 1)).elements, parameters[name as NetworkName]);
    const images = new Map([["images", randomTensor([2, 3, 32, 32], 1)]]);
    const logits = (await runGraph(network, images)).get("logits");
    assert.deepEqual(logits?.dims, [2, 10]);
  });
}
