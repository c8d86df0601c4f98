import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../../src/graph/types.js";
import { withRuntimeShapes } from "../../src/measure/runtime_shapes.js";
import { modelRemarks } from "../../src/method/remarks.js";
import {
  AttributeProto_AttributeType as AttributeType,
  type GraphProtoSchema,
  type NodeProtoSchema,
} from "../../src/onnx/gen/onnx_pb.js";
import { decodeModel } from "../../src/onnx/read.js";
import { inferGraph } from "../../src/ops/infer.js";
import { declare, modelBytes } from "../onnx/models.js";

type NodeInit = Exclude<MessageInitShape<typeof NodeProtoSchema>, { $typeName: string }>;
type GraphInit = Exclude<MessageInitShape<typeof GraphProtoSchema>, { $typeName: string }>;

const [FLOAT, INT64, BOOL] = [1, 7, 9];

const node = (op: string, inputs: string, outputs: string, more: NodeInit = {}): NodeInit => ({
  name: outputs,
  opType: op,
  input: inputs.split(" ").map((name) => (name === "-" ? "" : name)),
  output: outputs.split(" "),
  ...more,
});
const int = (name: string, i: bigint) => ({ name, type: AttributeType.INT, i });
const subgraph = (name: string, g: GraphInit) => ({ name, type: AttributeType.GRAPH, g: { name, ...g } });
const long = (name: string, value: bigint) => ({ name, dims: [], dataType: INT64, int64Data: [value] });

const scalar = (name: string, type: number) => declare(name, type, []);

/** Some turns over `from`, each of what `body` makes of "v" ("w"); the condition is always true. */
const loop = (turns: string, from: string, to: string, body = [node("Neg", "v", "w")]): NodeInit =>
  node("Loop", `${turns} true ${from}`, to, {
    attribute: [
      subgraph("body", {
        node: [node("Identity", "go", "goOn"), ...body],
        input: [scalar("turn", INT64), scalar("go", BOOL), { name: "v" }],
        output: [scalar("goOn", BOOL), { name: "w" }],
      }),
    ],
  });

const choose = (
  condition: string,
  to: string,
  nodes: NodeInit[],
  initializer: GraphInit["initializer"] = [],
) =>
  node("If", condition, to, {
    attribute: [
      subgraph("then_branch", { node: nodes, output: [{ name: "b" }], initializer }),
      subgraph("else_branch", { node: [node("Abs", "n", "b")], output: [{ name: "b" }] }),
    ],
  });

const scan = (from: string, to: string): NodeInit =>
  node("Scan", from, to, {
    attribute: [
      int("num_scan_inputs", 1n),
      subgraph("body", { node: [node("Neg", "v", "w")], input: [{ name: "v" }], output: [{ name: "w" }] }),
    ],
  });

/** n, of a shape that only a run tells; what is given, from n to l; y = relu l. */
function around(nodes: readonly NodeInit[]): Graph {
  const graph = decodeModel(
    modelBytes({
      node: [node("LpNormalization", "x", "n"), ...nodes, node("Relu", "l", "y")],
      input: [declare("x", FLOAT, [1, 4, 3])],
      output: [{ name: "n" }, { name: "y" }],
      initializer: [
        long("five", 5n),
        long("half", 2n ** 31n),
        long("endless", 2n ** 62n),
        long("first", 0n),
        { name: "true", dims: [], dataType: BOOL, int32Data: [1] },
        { name: "empty", dims: [2n ** 17n, 0n], dataType: FLOAT, rawData: new Uint8Array() },
      ],
    }),
  );
  return { ...graph, inputs: [{ name: "x", type: { elementType: "float32", shape: ["N", 4, 3] } }] };
}

const batchOfX = [node("Shape", "x", "shape"), node("Gather", "shape first", "batch")];
const ofData = (to: string, type: bigint): readonly NodeInit[] => [
  node("ReduceSum", "x", "sum", { attribute: [int("keepdims", 0n)] }),
  node("Cast", "sum", to, { attribute: [int("to", type)] }),
];

const short: Readonly<Record<string, readonly NodeInit[]>> = {
  "a constant": [loop("five", "n", "l")],
  "the batch": [...batchOfX, loop("batch", "n", "l")],
  "the slices of an input": [scan("x", "s"), node("Add", "s n", "l")],
  "a constant in a branch": [
    ...ofData("condition", 9n),
    choose("condition", "l", [loop("three", "n", "b")], [long("three", 3n)]),
  ],
};

for (const [turns, nodes] of Object.entries(short)) {
  test(`a loop whose turns are ${turns} is run to learn the shape behind it`, async () => {
    const { graph, missing, skipped } = await withRuntimeShapes(around(nodes));
    assert.deepEqual([missing, skipped], [[], []]);
    assert.deepEqual(inferGraph(fixBatch(graph, 7)).types.get("y")?.shape, [7, 4, 3]);
  });
}

const endless: Readonly<Record<string, readonly NodeInit[]>> = {
  "a constant of 2^62": [loop("endless", "n", "l")],
  "2^62 as a product": [node("Mul", "half half", "product"), loop("product", "n", "l")],
  "2^31 for each image": [...batchOfX, node("Mul", "batch half", "turns"), loop("turns", "n", "l")],
  "computed from the data": [...ofData("turns", 7n), loop("turns", "n", "l")],
  "not given": [loop("-", "n", "l")],
  "the size of something that only a run tells": [
    node("Shape", "n", "shape"),
    node("Gather", "shape first", "size"),
    loop("size", "n", "l"),
  ],
  "not given, in a loop that is short": [loop("five", "n", "l", [loop("-", "v", "w")])],
  "not given, in a branch": [...ofData("condition", 9n), choose("condition", "l", [loop("-", "n", "b")])],
  "a constant of a branch, 2^62": [
    ...ofData("condition", 9n),
    choose("condition", "l", [loop("five", "n", "b")], [long("five", 2n ** 62n)]),
  ],
  "not given, in a branch of a branch": [
    ...ofData("condition", 9n),
    choose("condition", "l", [choose("condition", "b", [loop("-", "n", "b")])]),
  ],
  "slices without elements": [scan("empty", "s"), node("ReduceSum", "s", "r"), node("Add", "r n", "l")],
};

for (const [turns, nodes] of Object.entries(endless)) {
  test(`a loop whose turns are ${turns} is not run; what does not need it is`, async () => {
    const given = around(nodes);
    const shaping = await withRuntimeShapes(given);
    assert.deepEqual(shaping.missing, []);
    assert.equal(shaping.skipped.length, 1);
    assert.ok(["Loop", "If", "Scan"].includes(shaping.skipped[0]?.op ?? ""));
    const { types } = inferGraph(fixBatch(shaping.graph, 7));
    assert.deepEqual(types.get("n")?.shape, [7, 4, 3]);
    assert.equal(types.get("y"), undefined);
    const remarks = modelRemarks(given, fixBatch(shaping.graph, 1), shaping);
    assert.deepEqual(
      remarks.filter(({ kind }) => kind === "long-loop").map((remark) => remark.nodes),
      [shaping.skipped.map(({ name, op }) => ({ name, op }))],
    );
  });
}
