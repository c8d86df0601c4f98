import assert from "node:assert/strict";
import { test } from "node:test";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { withRuntimeShapes } from "../../src/measure/runtime_shapes.js";
import { modelRemarks } from "../../src/method/remarks.js";
import { inferGraph } from "../../src/ops/inference/infer.js";
import {
  around,
  batchOfX,
  choose,
  counting,
  int,
  long,
  loop,
  type NodeInit,
  node,
  ofData,
  scan,
} from "./loop_models.js";

const short: Readonly<Record<string, readonly NodeInit[]>> = {
  "a constant": [loop("five", "n", "l")],
  "the batch": [...batchOfX, loop("batch", "n", "l")],
  "counted by its condition": [loop("-", "n", "l", undefined, [node("Less", "turn five", "goOn")])],
  "counted by its condition, at most 2^62": [
    loop("endless", "n", "l", undefined, [node("Less", "turn five", "goOn")]),
  ],
  "counted by its condition, and more than data could end": [
    ...ofData("turns", 7n),
    loop("turns", "n", "l", undefined, [node("Less", "turn five", "goOn")]),
  ],
  "counted by a number that it carries along": [
    counting("n", "l", [node("Sub", "number five", "next"), node("Greater", "next fall", "goOn")]),
  ],
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
  "not given, and counted away from where it ends": [
    loop("-", "n", "l", undefined, [node("Neg", "turn", "less"), node("Less", "less five", "goOn")]),
  ],
  "not given, and carried along without an end": [
    counting("n", "l", [node("Mul", "number five", "next"), node("Less", "next five", "goOn")]),
  ],
  "not given, and ended by what it carries along of the data": [
    counting("n", "l", [
      node("ReduceSum", "v", "sum", { attribute: [int("keepdims", 0n)] }),
      node("Cast", "sum", "whole", { attribute: [int("to", 7n)] }),
      node("Add", "number whole", "next"),
      node("Less", "next five", "goOn"),
    ]),
  ],
  "not given, and ended by a number that float32 rounds": [
    loop("-", "n", "l", undefined, [
      node("Cast", "turn", "real", { attribute: [int("to", 1n)] }),
      node("Add", "real large", "sum"),
      node("Add", "sum oneReal", "next"),
      node("Less", "next larger", "goOn"),
    ]),
  ],
  "not given, and ended by a number that float64 rounds": [
    loop("-", "n", "l", undefined, [node("Add", "wide one", "sum"), node("Greater", "sum wide", "goOn")]),
  ],
  "not given, and a constant called as what it carries along": [
    counting("n", "l", [node("Add", "number five", "next"), node("Less", "next number", "goOn")]),
    node("Identity", "five", "number"),
  ],
  "not given, and counted to 2^40": [loop("-", "n", "l", undefined, [node("Less", "turn half", "goOn")])],
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
