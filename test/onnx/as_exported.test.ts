import assert from "node:assert/strict";
import { test } from "node:test";
import { PenniError } from "../../src/graph/errors.js";
import { fixBatch, specializeInputs } from "../../src/graph/passes/fix_input_shape.js";
import type { Dim, Graph, Tensor } from "../../src/graph/types.js";
import { refuseOnlySeveral } from "../../src/measure/only_several.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { node, smallGraph } from "../../support/small_models.js";

/** A rectifier for inputs of a shape, as a file has it. */
function written(shape: readonly Dim[]): Graph {
  const graph = smallGraph([1, 4], [node("Relu", ["x"], "y")], {});
  return { ...graph, inputs: [{ name: "x", type: { elementType: "float32", shape } }] };
}

const shapeOf = ({ inputs }: Graph): readonly Dim[] | undefined => inputs[0]?.type?.shape;

test("a dimension that has the batch's name does not follow the batch", () => {
  for (const symbol of ["?", "None", "n"]) {
    const graph = decodeModel(encodeModel(written([symbol, 3, symbol, symbol])));
    assert.deepEqual(shapeOf(fixBatch(graph, 1)), [1, 3, undefined, undefined]);
    const fixed = specializeInputs(graph, new Map([["x", [1, 3, 16, 20]]]));
    assert.deepEqual(shapeOf(fixBatch(fixed, 2)), [2, 3, 16, 20]);
  }
});

test("names that say something stay: sides of one name, and a matrix of as many rows as columns", () => {
  for (const shape of [
    ["n", 3, "side", "side"],
    ["n", "n"],
    ["n", "time", 7],
  ]) {
    assert.deepEqual(shapeOf(decodeModel(encodeModel(written(shape)))), shape);
  }
});

test("a model without outputs is refused when it is read", () => {
  const bytes = encodeModel({ ...written([1, 4]), outputs: [] });
  assert.throws(
    () => decodeModel(bytes),
    (error) =>
      error instanceof PenniError && error.code === "bad-model" && /has no output/.test(error.message),
  );
});

/** A Reshape of [2, 4] whose sizes are given, before a product with 4 rows. */
function reshaped(sizes: readonly number[], batch: Dim = 2): Graph {
  const bytes = new Uint8Array(BigInt64Array.from(sizes.map(BigInt)).buffer);
  const weight: Tensor = { type: "float32", dims: [4, 3], bytes: new Uint8Array(48) };
  const nodes = [node("Reshape", ["x", "sizes"], "r"), node("MatMul", ["r", "w"], "y")];
  const graph = smallGraph([1, 4], nodes, {});
  return {
    ...graph,
    inputs: [{ name: "x", type: { elementType: "float32", shape: [batch, 2, 2] } }],
    outputs: [{ name: "y", type: undefined }],
    initializers: new Map<string, Tensor>([
      ["sizes", { type: "int64", dims: [sizes.length], bytes }],
      ["w", weight],
    ]),
  };
}

test("what is written for several images, and takes no single one, is one sentence with the node", () => {
  for (const sizes of [
    [2, 4],
    [2, -1],
  ]) {
    assert.throws(
      () => refuseOnlySeveral(reshaped(sizes)),
      (error) =>
        error instanceof PenniError &&
        error.code === "unsupported" &&
        error.details.node !== undefined &&
        /written for 2 along the first dimension of input "x"/.test(error.message) &&
        /dynamic batch axis/.test(error.message),
    );
  }
  for (const sizes of [
    [-1, 4],
    [0, 4],
    [0, -1],
  ])
    refuseOnlySeveral(reshaped(sizes));
  refuseOnlySeveral(reshaped([3, 4], "N"));
  // Its own fault is not the batch's.
  refuseOnlySeveral(reshaped([3, 5]));
});
