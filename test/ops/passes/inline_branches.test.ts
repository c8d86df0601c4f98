import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { compileToWasm } from "../../../src/compile/index.js";
import { runGraph } from "../../../src/execute/node.js";
import { fixInputShape } from "../../../src/graph/passes/fix_input_shape.js";
import { float32Tensor } from "../../../src/graph/tensor.js";
import type { Graph } from "../../../src/graph/types.js";
import { withRuntimeShapes } from "../../../src/measure/runtime_shapes.js";
import {
  AttributeProto_AttributeType as AttributeType,
  type GraphProtoSchema,
  type NodeProtoSchema,
} from "../../../src/onnx/gen/onnx_pb.js";
import { decodeModel } from "../../../src/onnx/read.js";
import { importModel } from "../../../src/ops/passes/import_model.js";
import { inlineBranches } from "../../../src/ops/passes/inline_branches.js";
import { runModule } from "../../compile/run_wasm.js";
import { declare, floatBytes, modelBytes } from "../../onnx/models.js";

type NodeInit = Exclude<MessageInitShape<typeof NodeProtoSchema>, { $typeName: string }>;
type GraphInit = Exclude<MessageInitShape<typeof GraphProtoSchema>, { $typeName: string }>;

const node = (op: string, inputs: string, outputs: string, more: NodeInit = {}): NodeInit => ({
  opType: op,
  input: inputs === "" ? [] : inputs.split(" "),
  output: outputs.split(" "),
  ...more,
});

const [FLOAT, INT64, BOOL] = [1, 7, 9];
const int = (name: string, i: bigint) => ({ name, type: AttributeType.INT, i });
const ints = (name: string, values: bigint[]) => ({ name, type: AttributeType.INTS, ints: values });
const longs = (name: string, ...values: bigint[]) => ({
  name,
  dims: [BigInt(values.length)],
  dataType: INT64,
  int64Data: values,
});

const branch = (name: string, nodes: NodeInit[], outputs: string, more: GraphInit = {}) => ({
  name,
  type: AttributeType.GRAPH,
  g: { name, node: nodes, output: outputs.split(" ").map((output) => ({ name: output })), ...more },
});

const choose = (
  condition: string,
  outputs: string,
  yes: ReturnType<typeof branch>,
  no: ReturnType<typeof branch>,
  more: NodeInit = {},
): NodeInit => node("If", condition, outputs, { attribute: [yes, no], ...more });

const yes = (nodes: NodeInit[], outputs: string, more: GraphInit = {}) =>
  branch("then_branch", nodes, outputs, more);
const no = (nodes: NodeInit[], outputs: string, more: GraphInit = {}) =>
  branch("else_branch", nodes, outputs, more);

/** condition = (size of axis 1 of x = 1), as PyTorch's exporter writes it for `squeeze`. */
const hasOneChannel: readonly NodeInit[] = [
  node("Shape", "x", "shape"),
  node("Gather", "shape axis", "channels"),
  node("Equal", "channels one", "condition"),
];

const constants = [
  { name: "axis", dims: [], dataType: INT64, int64Data: [1n] },
  { name: "one", dims: [], dataType: INT64, int64Data: [1n] },
  longs("axes", 1n),
  { name: "true", dims: [], dataType: BOOL, int32Data: [1] },
  { name: "false", dims: [], dataType: BOOL, int32Data: [0] },
];

function model(nodes: readonly NodeInit[], opset = 13n, channels = 1): Uint8Array {
  return modelBytes(
    {
      node: [...nodes],
      input: [declare("x", FLOAT, [2, channels, 3])],
      output: [{ name: "y" }],
      initializer: constants,
    },
    { opset },
  );
}

const squeezing = [
  ...hasOneChannel,
  choose("condition", "s", yes([node("Squeeze", "x axes", "t")], "t"), no([node("Neg", "x", "t")], "t")),
  node("Abs", "s", "y"),
];

const nested = choose(
  "condition",
  "y",
  yes(
    [
      node("Neg", "x", "t"),
      choose(
        "false",
        "u",
        yes([node("Exp", "t", "v")], "v"),
        no([node("Add", "t more", "v")], "v", {
          initializer: [{ name: "more", dims: [1n], dataType: FLOAT, rawData: floatBytes([10]) }],
        }),
      ),
      node("Mul", "u u", "w"),
    ],
    "w",
  ),
  no([node("Identity", "x", "w")], "w"),
);

const models: ReadonlyMap<string, readonly [Uint8Array, string]> = new Map([
  ["a shape decides for the first", [model(squeezing), "Squeeze Abs"]],
  ["a shape decides for the second", [model(squeezing, 13n, 4), "Neg Abs"]],
  [
    "a constant decides, two branches with the same names",
    [
      model([
        choose("true", "a", yes([node("Neg", "x", "t")], "t"), no([node("Abs", "x", "t")], "t")),
        choose("false", "b", yes([node("Neg", "a", "t")], "t"), no([node("Exp", "a", "t")], "t")),
        node("Add", "a b", "y"),
      ]),
      "Neg Exp Add",
    ],
  ],
  ["branches inside branches", [model([...hasOneChannel, nested]), "Neg Add Mul"]],
  [
    "a branch that gives a value from outside, and one twice",
    [
      model([
        node("Neg", "x", "n"),
        choose(
          "true",
          "a b c",
          yes([node("Identity", "n", "i"), node("Exp", "x", "t")], "i t t"),
          no([node("Abs", "x", "t")], "t t t"),
        ),
        node("Sum", "a b c", "y"),
      ]),
      "Neg Exp Sum",
    ],
  ],
  [
    "an operator in its form of an earlier operator set",
    [
      model(
        [
          ...hasOneChannel,
          choose(
            "condition",
            "y",
            yes([node("Squeeze", "x", "t", { attribute: [ints("axes", [1n])] })], "t"),
            no([node("Squeeze", "x", "t", { attribute: [ints("axes", [1n])] })], "t"),
          ),
        ],
        11n,
      ),
      "Squeeze",
    ],
  ],
  [
    "a branch with a loop inside, which reads what the branch defines",
    [
      model([
        choose(
          "true",
          "y",
          yes(
            [
              node("Neg", "x", "t"),
              node("ReduceSum", "t", "s", { attribute: [int("keepdims", 0n)] }),
              node("Cast", "s", "c", { attribute: [int("to", 9n)] }),
              choose("c", "u", yes([node("Exp", "t", "v")], "v"), no([node("Abs", "t", "v")], "v")),
            ],
            "u",
          ),
          no([node("Identity", "x", "u")], "u"),
        ),
      ]),
      "Neg ReduceSum Cast If",
    ],
  ],
]);

/** The same without branches, where ONNX Runtime 1.30 does not load the model. */
const written: ReadonlyMap<string, Uint8Array> = new Map([
  ["a shape decides for the second", model([node("Neg", "x", "n"), node("Abs", "n", "y")], 13n, 4)],
  [
    "a branch that gives a value from outside, and one twice",
    model([node("Neg", "x", "n"), node("Exp", "x", "t"), node("Sum", "n t t", "y")]),
  ],
]);

async function checkSame(given: Uint8Array, imported: Graph, message: string): Promise<void> {
  const shape = imported.inputs[0]?.type?.shape?.map(Number) ?? [];
  const count = shape.reduce((product, size) => product * size, 1);
  const x = float32Tensor(
    shape,
    Array.from({ length: count }, (_, at) => Math.sin(at + 1)),
  );
  const feeds = new Map([["x", x]]);
  assert.deepEqual(await runGraph(imported, feeds), await runGraph(given, feeds), message);
}

for (const [name, [bytes, left]] of models) {
  test(`a known branch is written in the place of If: ${name}`, async () => {
    const imported = importModel(decodeModel(bytes), { verify: true });
    assert.equal(imported.nodes.map(({ op }) => op).join(" "), left);
    await checkSame(written.get(name) ?? bytes, imported, name);
  });
}

test("a condition that depends on the input stays, and so does a name with another meaning outside", () => {
  const inputDependent = model([
    node("ReduceSum", "x", "s", { attribute: [int("keepdims", 0n)] }),
    node("Cast", "s", "c", { attribute: [int("to", 9n)] }),
    choose("c", "y", yes([node("Exp", "x", "v")], "v"), no([node("Abs", "x", "v")], "v")),
  ]);
  assert.ok(importModel(decodeModel(inputDependent)).nodes.some(({ op }) => op === "If"));
});

test("an open dimension decides once it is fixed", () => {
  const open = decodeModel(model(squeezing));
  const graph: Graph = {
    ...open,
    inputs: [{ name: "x", type: { elementType: "float32", shape: ["N", "C", 3] } }],
  };
  assert.ok(importModel(graph).nodes.some(({ op }) => op === "If"));
  const fixed = importModel(fixInputShape(graph, new Map([["x", [2, 5, 3]]])));
  assert.deepEqual(
    fixed.nodes.map(({ op }) => op),
    ["Neg", "Abs"],
  );
});

test("a network with a known branch is compiled", () => {
  const graph = decodeModel(model(squeezing, 13n, 4));
  const x = Float32Array.from({ length: 24 }, (_, at) => at - 12);
  const y = runModule(compileToWasm(graph), new Map([["x", x]])).get("y");
  assert.deepEqual(y, x.map(Math.abs));
});

/** As many Ifs in a row, each decided by the shape that the one before gives: twice the channels, or their sum, by turns. */
function decidedInTurn(count: number, inOrder = (nodes: NodeInit[]) => nodes): Uint8Array {
  const steps = Array.from({ length: count }, (_, at) => {
    const [from, to] = [at === 0 ? "x" : `v${at}`, at === count - 1 ? "y" : `v${at + 1}`];
    const twice = node("Concat", `${from} ${from}`, "t", { attribute: [int("axis", 1n)] });
    const sum = node("ReduceSum", `${from} axes`, "t");
    return [
      node("Shape", from, `shape${at}`),
      node("Gather", `shape${at} axis`, `channels${at}`),
      node("Equal", `channels${at} one`, `condition${at}`),
      choose(
        `condition${at}`,
        to,
        yes(inOrder([twice, node("Neg", "t", "u")]), "u"),
        no(inOrder([sum, node("Tanh", "t", "u")]), "u"),
      ),
    ];
  });
  return model(steps.flat());
}

const opsOf = ({ nodes }: Graph): readonly string[] => nodes.map(({ op }) => op);

test("each of many conditions is known once the branch before it is written", async () => {
  const bytes = decidedInTurn(250);
  const inlined = inlineBranches(decodeModel(bytes));
  assert.ok(!opsOf(inlined).includes("If"));
  const count = (op: string): number => opsOf(inlined).filter((each) => each === op).length;
  assert.deepEqual(["Concat", "Neg", "ReduceSum", "Tanh"].map(count), [125, 125, 125, 125]);
  await checkSame(bytes, importModel(decodeModel(bytes), { verify: true }), "250 in a row");
});

test("so it is where branches list their nodes in another order than they compute", () => {
  const unordered = inlineBranches(decodeModel(decidedInTurn(250, (nodes) => nodes.toReversed())));
  assert.deepEqual(opsOf(unordered), opsOf(inlineBranches(decodeModel(decidedInTurn(250)))));
});

test("a condition that is not known leaves those known before and behind it as they are decided", () => {
  const inlined = inlineBranches(
    decodeModel(
      model([
        ...hasOneChannel,
        choose("condition", "a", yes([node("Neg", "x", "t")], "t"), no([node("Exp", "x", "t")], "t")),
        node("ReduceSum", "a", "s", { attribute: [int("keepdims", 0n)] }),
        node("Cast", "s", "c", { attribute: [int("to", 9n)] }),
        choose("c", "b", yes([node("Exp", "a", "v")], "v"), no([node("Abs", "a", "v")], "v")),
        choose("false", "y", yes([node("Exp", "b", "v")], "v"), no([node("Sin", "b", "v")], "v")),
      ]),
    ),
  );
  assert.equal(opsOf(inlined).join(" "), "Shape Gather Equal Neg Identity ReduceSum Cast If Sin Identity");
});

test("no run is needed to learn the shapes behind branches that are known", async () => {
  const graph = decodeModel(decidedInTurn(5));
  assert.equal((await withRuntimeShapes(graph)).graph, graph);
});
