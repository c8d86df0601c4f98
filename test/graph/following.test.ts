import assert from "node:assert/strict";
import { test } from "node:test";
import { dependentsOf } from "../../src/graph/following.js";
import { linkGraph } from "../../src/graph/links.js";
import { outputParts } from "../../src/measure/output_parts.js";
import { labelLoss, plainRule } from "../../src/method/defaults.js";
import { AttributeProto_AttributeType as AttributeType } from "../../src/onnx/gen/onnx_pb.js";
import { decodeModel } from "../../src/onnx/read.js";
import { buildTrainingStep } from "../../src/train/step.js";
import { declare, floatBytes, modelBytes } from "../onnx/models.js";

/** One of the branches of an If: it multiplies "a", which is outside, by a weight outside. */
const branch = (name: string, weight: string) => ({
  name,
  type: AttributeType.GRAPH,
  g: {
    name,
    node: [{ opType: "Mul", input: ["a", weight], output: [`${name}/product`] }],
    output: [{ name: `${name}/product` }],
  },
});

/** Logits beside what an If makes of the image. */
const network = decodeModel(
  modelBytes({
    node: [
      { opType: "Identity", input: ["x"], output: ["a"] },
      {
        opType: "If",
        input: ["is"],
        output: ["chosen"],
        attribute: [branch("then_branch", "v"), branch("else_branch", "w")],
      },
      {
        opType: "Concat",
        input: ["a", "chosen"],
        output: ["y"],
        attribute: [{ name: "axis", type: 2, i: 1n }],
      },
    ],
    input: [declare("x", 1, [2, 3, 1, 1])],
    output: [declare("y", 1, [2, 6, 1, 1])],
    valueInfo: [declare("chosen", 1, [2, 3, 1, 1])],
    initializer: [
      { name: "v", dims: [], dataType: 1, rawData: floatBytes([2]) },
      { name: "w", dims: [], dataType: 1, rawData: floatBytes([3]) },
      { name: "is", dims: [], dataType: 9, rawData: new Uint8Array([1]) },
    ],
  }),
);

test("what a subgraph makes of captured values depends on them", () => {
  const { nodes, values } = dependentsOf(network.nodes, ["w"]);
  assert.deepEqual([...values], ["w", "chosen", "y"]);
  assert.deepEqual(
    [...nodes].map(({ op }) => op),
    ["If", "Concat"],
  );
  assert.ok(
    linkGraph(network)
      .readers.get("a")
      ?.some(({ op }) => op === "If"),
  );
});

test("a part of an output that a branch makes of the image is no constant", () => {
  const parts = outputParts(network)
    .get("y")
    ?.map(({ value }) => value);
  assert.deepEqual(parts, ["a", "chosen"]);
});

test("weights that only a branch reads are not trained as if they moved nothing", () => {
  assert.throws(
    () =>
      buildTrainingStep(network, new Set(["w"]), {
        trained: new Map([["w", plainRule]]),
        batchNormalization: "batch",
        loss: labelLoss(0),
        optimizer: { momentum: 0.9, weightDecay: 0 },
      }),
    /If/,
  );
});
