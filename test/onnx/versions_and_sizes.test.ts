import assert from "node:assert/strict";
import { test } from "node:test";
import { runGraph } from "../../src/execute/node.js";
import { float32Tensor } from "../../src/graph/tensor.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { declare, modelBytes } from "./models.js";

const FLOAT = 1;

const negation = (dims: readonly number[], irVersion = 8n): Uint8Array =>
  modelBytes(
    {
      node: [
        { opType: "Neg", input: ["x"], output: ["t"] },
        { opType: "Exp", input: ["t"], output: ["y"] },
      ],
      input: [declare("x", FLOAT, dims)],
      output: [declare("y", FLOAT, dims)],
      valueInfo: [declare("t", FLOAT, dims)],
    },
    { irVersion },
  );

test("file formats that ONNX Runtime loads are read, later ones are refused with what to do", async () => {
  const x = new Map([["x", float32Tensor([2], [1, 2])]]);
  for (const version of [4n, 10n, 13n]) await runGraph(decodeModel(negation([2], version)), x);
  for (const version of [14n, 99n, 2n ** 40n]) {
    assert.throws(() => decodeModel(negation([2], version)), {
      name: "PenniError",
      code: "bad-file",
      message: new RegExp(`IR version 13 or earlier, found ${version}.*ir_version`),
    });
  }
});

test("a size of 0 in an input is an open size, everywhere and in what is written", async () => {
  const graph = decodeModel(negation([0, 3, 0]));
  const shapes = [...graph.inputs, ...graph.outputs, ...graph.valueInfo.values()].map(
    ({ type }) => type?.shape,
  );
  assert.deepEqual(
    shapes,
    shapes.map(() => [undefined, 3, undefined]),
  );
  const written = encodeModel(graph);
  assert.deepEqual(decodeModel(written).inputs[0]?.type?.shape, [undefined, 3, undefined]);
  const y = (await runGraph(written, new Map([["x", float32Tensor([1, 3, 1], [0, 0, 0])]]))).get("y");
  assert.deepEqual(y?.dims, [1, 3, 1]);
});
