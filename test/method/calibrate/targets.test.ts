import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { runGraph } from "../../../src/execute/node.js";
import { int } from "../../../src/graph/attributes.js";
import { fixBatch } from "../../../src/graph/passes/fix_input_shape.js";
import { float32Tensor, scalarTensor } from "../../../src/graph/tensor.js";
import { withRuntimeShapes } from "../../../src/measure/runtime_shapes.js";
import { pairOf } from "../../../src/method/calibrate/targets.js";
import { importForCompression } from "../../../src/method/import_for_compression.js";
import {
  AttributeProto_AttributeType as AttributeType,
  type GraphProtoSchema,
} from "../../../src/onnx/gen/onnx_pb.js";
import { decodeModel } from "../../../src/onnx/read.js";
import { inferGraph } from "../../../src/ops/inference/infer.js";
import { conv, node, randomTensor, smallGraph } from "../../../support/small_models.js";
import { declare, floatBytes, modelBytes } from "../../onnx/models.js";

test("both networks of a pair keep the shapes of what is behind an operator without a rule", async () => {
  const given = smallGraph(
    ["N", 3, 6, 6],
    [
      conv({ name: "c1", input: "x", weight: "w1", kernel: 3 }),
      node("SplitToSequence", ["c1"], "s", { axis: int(1) }),
      node("ConcatFromSequence", ["s"], "u", { axis: int(1) }),
      conv({ name: "y", input: "u", weight: "w2", kernel: 3 }),
    ],
    { w1: randomTensor([8, 3, 3, 3], 1), w2: randomTensor([5, 8, 3, 3], 2) },
  );
  const network = importForCompression((await withRuntimeShapes(given)).graph);
  const { graph, originalName } = pairOf(network, network);
  const pair = fixBatch(graph, 2);
  const { types } = inferGraph(pair);
  for (const name of ["u", originalName("u")]) assert.deepEqual(types.get(name)?.shape, [2, 8, 6, 6], name);
  const outputs = ["y", originalName("y")].map((name) => ({ name, type: undefined }));
  const found = await runGraph({ ...pair, outputs }, new Map([["x", randomTensor([2, 3, 6, 6], 3)]]));
  assert.deepEqual(found.get(originalName("y")), found.get("y"));
});

type GraphInit = Exclude<MessageInitShape<typeof GraphProtoSchema>, { $typeName: string }>;

const graphAttribute = (name: string, g: GraphInit) => ({
  name,
  type: AttributeType.GRAPH,
  g: { name, ...g },
});

/** Branches that read "c" and "w" outside, one in an If of its own; one of them has a "w" of its own in it. */
const branches = [
  graphAttribute("then_branch", {
    node: [
      {
        opType: "If",
        input: ["is"],
        output: ["t"],
        attribute: [
          graphAttribute("then_branch", {
            node: [{ opType: "Mul", input: ["c", "w"], output: ["inner"] }],
            initializer: [{ name: "w", dims: [], dataType: 1, rawData: floatBytes([3]) }],
            output: [{ name: "inner" }],
          }),
          graphAttribute("else_branch", {
            node: [{ opType: "Abs", input: ["c"], output: ["o"] }],
            output: [{ name: "o" }],
          }),
        ],
      },
    ],
    output: [{ name: "t" }],
  }),
  graphAttribute("else_branch", {
    node: [{ opType: "Mul", input: ["c", "w"], output: ["e"] }],
    output: [{ name: "e" }],
  }),
];

for (const isTaken of [true, false]) {
  test(`a branch of the original, ${isTaken}, reads the original's values in a pair`, async () => {
    const network = decodeModel(
      modelBytes({
        node: [
          { opType: "Mul", input: ["x", "w"], output: ["c"] },
          {
            opType: "ReduceSum",
            input: ["x"],
            output: ["sum"],
            attribute: [{ name: "keepdims", type: 2, i: 0n }],
          },
          { opType: isTaken ? "Greater" : "Less", input: ["sum", "zero"], output: ["is"] },
          { opType: "If", input: ["is"], output: ["y"], attribute: branches },
        ],
        input: [declare("x", 1, [2])],
        output: [declare("y", 1, [2])],
        initializer: [
          { name: "w", dims: [], dataType: 1, rawData: floatBytes([2]) },
          { name: "zero", dims: [], dataType: 1, rawData: floatBytes([0]) },
        ],
      }),
    );
    const changed = { ...network, initializers: new Map([...network.initializers, ["w", scalarTensor(10)]]) };
    const { graph, originalName } = pairOf(network, changed);
    const outputs = ["y", originalName("y")].map((name) => ({ name, type: undefined }));
    const feeds = new Map([["x", float32Tensor([2], [1, -0.5])]]);
    const found = await runGraph({ ...graph, outputs }, feeds);
    for (const [name, alone] of [
      [originalName("y"), network],
      ["y", changed],
    ] as const) {
      assert.deepEqual(found.get(name), (await runGraph(alone, feeds)).get("y"), name);
    }
  });
}
