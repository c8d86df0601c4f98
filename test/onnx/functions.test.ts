import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { runGraph } from "../../src/execute/node.js";
import { PenniError } from "../../src/graph/errors.js";
import { float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import {
  AttributeProto_AttributeType as AttributeType,
  type FunctionProtoSchema,
  ModelProtoSchema,
  type NodeProtoSchema,
} from "../../src/onnx/gen/onnx_pb.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { declare } from "./models.js";

type Init<Schema extends Parameters<typeof create>[0]> = Exclude<
  MessageInitShape<Schema>,
  { $typeName: string }
>;
type NodeInit = Init<typeof NodeProtoSchema>;
type FunctionInit = Init<typeof FunctionProtoSchema>;

const node = (op: string, inputs: string, outputs: string, more: NodeInit = {}): NodeInit => ({
  opType: op,
  input: inputs === "" ? [] : inputs.split(" ").map((name) => (name === "_" ? "" : name)),
  output: outputs.split(" "),
  ...more,
});

const call = (op: string, inputs: string, outputs: string, more: NodeInit = {}): NodeInit =>
  node(op, inputs, outputs, { domain: "my", ...more });

const standard = [{ domain: "", version: 17n }];

const body = (
  name: string,
  inputs: string,
  outputs: string,
  nodes: readonly NodeInit[],
  more: FunctionInit = {},
): FunctionInit => ({
  name,
  domain: "my",
  input: inputs.split(" "),
  output: outputs.split(" "),
  node: [...nodes],
  opsetImport: [...standard, { domain: "my", version: 1n }],
  ...more,
});

/** A model with input x [3] and output y. */
function modelWith(
  nodes: readonly NodeInit[],
  functions: readonly FunctionInit[],
  irVersion = 10n,
): Uint8Array {
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion,
      opsetImport: [...standard, { domain: "my", version: 1n }],
      functions: [...functions],
      graph: {
        name: "test",
        node: [...nodes],
        input: [declare("x", 1, [3])],
        output: [declare("y", 1, [3])],
      },
    }),
  );
}

const alpha = (f: number) => ({ name: "alpha", type: AttributeType.FLOAT, f });
const refersTo = (name: string, refAttrName: string) => ({ name, type: AttributeType.FLOAT, refAttrName });

const leaky = (name = "Leaky", more: FunctionInit = {}): FunctionInit =>
  body(
    name,
    "a",
    "b",
    [node("LeakyRelu", "a", "t", { attribute: [refersTo("alpha", "slope")] }), node("Neg", "t", "b")],
    { attribute: ["slope"], ...more },
  );

const slope = (f: number) => [{ name: "slope", type: AttributeType.FLOAT, f }];

/** A subgraph that gives what one node computes. */
const branch = (inner: NodeInit, output: string) => ({
  type: AttributeType.GRAPH,
  g: { name: "branch", node: [inner], output: [declare(output, 1, [3])] },
});

const models: ReadonlyMap<string, Uint8Array> = new Map([
  [
    "attributes by reference, given twice",
    modelWith(
      [
        call("Leaky", "x", "t", { attribute: slope(0.5) }),
        call("Leaky", "t", "y", { attribute: slope(0.25) }),
      ],
      [leaky()],
    ),
  ],
  [
    "attributes with a default, and left out",
    modelWith(
      [call("Leaky", "x", "t"), call("Bare", "t", "y")],
      [
        leaky("Leaky", { attribute: [], attributeProto: slope(0.75) }),
        body("Bare", "a", "b", [node("Elu", "a", "b", { attribute: [refersTo("alpha", "none")] })], {
          attribute: ["none"],
        }),
      ],
    ),
  ],
  [
    "functions in functions",
    modelWith(
      [call("Outer", "x", "y", { name: "n", attribute: slope(0.5) })],
      [
        body(
          "Outer",
          "t",
          "b",
          [
            call("Leaky", "t", "u", {
              attribute: [{ name: "slope", type: AttributeType.FLOAT, refAttrName: "slope" }],
            }),
            call("Leaky", "u", "b", { attribute: slope(2) }),
          ],
          { attribute: ["slope"] },
        ),
        leaky(),
      ],
    ),
  ],
  [
    "names that the graph has too",
    modelWith(
      [
        node("Neg", "x", "t"),
        call("Leaky", "t", "b", { name: "n", attribute: slope(3) }),
        node("Add", "b n/t", "y"),
        node("Abs", "x", "n/t"),
      ],
      [leaky()],
    ),
  ],
  [
    "inputs left out and outputs not wanted",
    modelWith(
      [call("Bound", "x _ x", "t"), call("Bound", "t", "y")],
      [
        body("Bound", "a low other", "b c", [
          node("Clip", "a low", "t"),
          node("Neg", "t", "b"),
          node("Exp", "a", "c"),
        ]),
      ],
    ),
  ],
  [
    "an output that is an input",
    modelWith(
      [call("Pass", "x", "t u"), node("Add", "t u", "y")],
      [body("Pass", "a", "a b", [node("Neg", "a", "b")])],
    ),
  ],
  [
    "a call in a branch, a branch in a body",
    modelWith(
      [
        node("ReduceSum", "x", "sum", { attribute: [{ name: "keepdims", type: AttributeType.INT, i: 0n }] }),
        node("Cast", "sum", "condition", { attribute: [{ name: "to", type: AttributeType.INT, i: 9n }] }),
        node("If", "condition", "y", {
          attribute: [
            {
              name: "then_branch",
              ...branch(call("Chosen", "x condition", "t", { attribute: slope(0.5) }), "t"),
            },
            { name: "else_branch", ...branch(node("Neg", "x", "t"), "t") },
          ],
        }),
      ],
      [
        leaky(),
        body(
          "Chosen",
          "a c",
          "b",
          [
            node("Neg", "a", "t"),
            node("If", "c", "b", {
              attribute: [
                { name: "then_branch", ...branch(call("Leaky", "t", "u", { attribute: slope(4) }), "u") },
                {
                  name: "else_branch",
                  ...branch(node("LeakyRelu", "t", "u", { attribute: [refersTo("alpha", "slope")] }), "u"),
                },
              ],
            }),
          ],
          { attribute: ["slope"] },
        ),
      ],
    ),
  ],
  [
    "overloads",
    modelWith(
      [
        call("Leaky", "x", "t", { attribute: slope(0.5) }),
        call("Leaky", "t", "y", { attribute: slope(0.5), overload: "twice" }),
      ],
      [
        leaky(),
        leaky("Leaky", {
          overload: "twice",
          node: [
            node("LeakyRelu", "a", "t", { attribute: [refersTo("alpha", "slope")] }),
            node("Add", "t t", "b"),
          ],
        }),
      ],
    ),
  ],
  [
    "an older operator set whose forms are the same",
    modelWith(
      [call("Leaky", "x", "y", { attribute: slope(0.5) })],
      [leaky("Leaky", { opsetImport: [{ domain: "", version: 15n }] })],
    ),
  ],
  [
    "an operator set of its own",
    modelWith(
      [call("Quick", "x", "y")],
      [
        body(
          "Quick",
          "a",
          "b",
          [node("QuickGelu", "a", "b", { domain: "com.microsoft", attribute: [alpha(1.5)] })],
          { opsetImport: [...standard, { domain: "com.microsoft", version: 1n }] },
        ),
      ],
    ),
  ],
]);

/** The same without functions, where ONNX Runtime 1.30 does not load the model. */
const written: ReadonlyMap<string, Uint8Array> = new Map([
  [
    "inputs left out and outputs not wanted",
    modelWith(
      [node("Clip", "x", "a"), node("Neg", "a", "t"), node("Clip", "t", "b"), node("Neg", "b", "y")],
      [],
    ),
  ],
  ["an output that is an input", modelWith([node("Neg", "x", "t"), node("Add", "x t", "y")], [])],
]);

const feeds = new Map([["x", float32Tensor([3], [-2, 0.5, 3])]]);

function operators(graph: Graph): readonly string[] {
  return graph.nodes.map(({ op }) => op);
}

for (const [name, bytes] of models) {
  test(`functions are inlined: ${name}`, async () => {
    const expected = await runGraph(written.get(name) ?? bytes, feeds);
    const graph = decodeModel(bytes);
    assert.ok(
      graph.nodes.every(({ domain }) => domain !== "my"),
      operators(graph).join(", "),
    );
    assert.equal(graph.opsets.has("my"), false);
    assert.equal(new Set(graph.nodes.map((each) => each.name)).size, graph.nodes.length);
    assert.deepEqual(await runGraph(graph, feeds), expected);
    assert.deepEqual(decodeModel(encodeModel(graph)), graph);
  });
}

function refusal(bytes: Uint8Array): PenniError {
  try {
    decodeModel(bytes, { file: "f.onnx" });
  } catch (error) {
    assert.ok(error instanceof PenniError, String(error));
    return error;
  }
  return assert.fail("the model is read");
}

test("functions that call each other in a circle are refused", () => {
  const circle = [
    body("A", "a", "b", [call("B", "a", "b")]),
    body("B", "a", "b", [node("Neg", "a", "t"), call("A", "t", "b")]),
  ];
  const error = refusal(modelWith([call("A", "x", "y")], circle));
  assert.equal(error.code, "bad-model");
  assert.match(error.message, /call each other in a circle/);
});

test("functions that double at every level are refused before they fill the memory", () => {
  const levels = Array.from({ length: 60 }, (_, level) =>
    level === 0
      ? body("F0", "a", "b", [node("Neg", "a", "b")])
      : body(`F${level}`, "a", "b", [call(`F${level - 1}`, "a", "t"), call(`F${level - 1}`, "t", "b")]),
  );
  const error = refusal(modelWith([call("F59", "x", "y")], levels));
  assert.equal(error.code, "unsupported");
  assert.match(error.message, /too large a model/);
});

test("a call with more inputs than its function is refused", () => {
  const error = refusal(modelWith([call("Leaky", "x x", "y")], [leaky()]));
  assert.match(error.message, /does not fit/);
});

test("a function in another operator set, whose operators have another form there, is refused by name", () => {
  const older = body("Sum", "a", "b", [node("ReduceSum", "a", "b")], {
    opsetImport: [{ domain: "", version: 11n }],
  });
  const error = refusal(modelWith([call("Sum", "x", "y")], [older]));
  assert.equal(error.code, "unsupported");
  assert.match(error.message, /"ReduceSum" of another operator set/);
});
