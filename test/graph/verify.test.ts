import assert from "node:assert/strict";
import { test } from "node:test";
import type { Graph } from "../../src/graph/types.js";
import { verifyGraph } from "../../src/graph/verify.js";
import { verifyTypes } from "../../src/ops/inference/verify.js";
import { filled, graphOf, nodeOf } from "../../support/random_graph.js";

const image = { name: "x", type: { elementType: "float32" as const, shape: [1, 2] } };
const named = (...names: string[]) => names.map((name) => ({ name, type: undefined }));

const sound: Graph = graphOf({
  inputs: [image],
  outputs: named("y"),
  nodes: [nodeOf("Add", ["x", "w"], ["sum"]), nodeOf("Relu", ["sum"], ["y"])],
  initializers: new Map([["w", filled(1, 2)]]),
});

test("a sound graph passes", () => {
  verifyGraph(sound);
  verifyTypes(sound);
});

const loop = (captures: readonly string[]) => ({
  ...nodeOf("If", ["x"], ["y"]),
  attributes: new Map([["then_branch", { kind: "opaque" as const, value: undefined, captures }]]),
});

const broken: readonly [what: string, change: Partial<Graph>, message: RegExp][] = [
  [
    "a node that overwrites an input",
    { nodes: [nodeOf("Relu", ["w"], ["x"])] },
    /"x\/Relu" \(Relu\).*"x" is defined twice/,
  ],
  [
    "two nodes with one output",
    { nodes: [...sound.nodes, nodeOf("Relu", ["x"], ["y"])] },
    /"y" is defined twice/,
  ],
  [
    "an initializer that is an input",
    { initializers: new Map([["x", filled(1, 2)]]) },
    /"x" is defined twice/,
  ],
  [
    "an input that nothing computes",
    { nodes: [nodeOf("Relu", ["z"], ["y"])] },
    /node "y\/Relu" \(Relu\).*"z"/,
  ],
  ["a captured name that nothing computes", { nodes: [loop(["x", "z"])] }, /\(If\).*"z"/],
  [
    "nodes in the wrong order",
    { nodes: sound.nodes.toReversed() },
    /"sum" before it is computed.*"sum\/Add"/,
  ],
  ["an output that nothing computes", { outputs: named("z") }, /output "z"/],
  ["an output named twice", { outputs: named("y", "y") }, /output "y" is defined twice/],
  ["no operator set", { opsets: new Map([["other", 1]]) }, /operator set.*found other/],
  [
    "an initializer that is too short",
    { initializers: new Map([["w", { ...filled(1, 2), dims: [2, 2] }]]) },
    /"w".*expected 16 bytes.*found 8 bytes/,
  ],
  [
    "an initializer with a negative dimension",
    { initializers: new Map([["w", { ...filled(1, 2), dims: [-1, -2] }]]) },
    /"w".*\[-1, -2\]/,
  ],
];

for (const [what, change, message] of broken) {
  test(`refuses ${what}`, () => {
    assert.throws(() => verifyGraph({ ...sound, ...change }), {
      name: "PenniError",
      code: "bad-model",
      message,
    });
  });
}

test("a captured value may come from anywhere before the node", () => {
  verifyGraph({ ...sound, nodes: [loop(["x", "w"])] });
});

test("refuses a declared type that contradicts the nodes", () => {
  const declare = (shape: readonly number[], elementType: "float32" | "int64" = "float32") =>
    verifyTypes({ ...sound, outputs: [{ name: "y", type: { elementType, shape } }] });
  declare([1, 2]);
  assert.throws(() => declare([1, 3]), /"y".*expected float32 \[1, 3\], found float32 \[1, 2\]/);
  assert.throws(() => declare([1, 2], "int64"), /"y".*expected int64/);
});

test("what lies behind an unknown operator is not judged", () => {
  verifyTypes({ ...sound, nodes: [nodeOf("Mystery", ["x"], ["sum"]), nodeOf("Relu", ["sum"], ["y"])] });
});
