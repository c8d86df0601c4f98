import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { runGraph } from "../../src/execute/node.js";
import { readModel } from "../../src/files/model_files.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  type NodeProtoSchema,
} from "../../src/onnx/gen/onnx_pb.js";
import { declare, floatBytes } from "./models.js";

type NodeInit = Exclude<MessageInitShape<typeof NodeProtoSchema>, { $typeName: string }>;

const directory = mkdtempSync(path.join(tmpdir(), "penni-functions-"));
after(() => rmSync(directory, { recursive: true, force: true }));

/** Three numbers from the file beside the model, the first of which is number `at`. */
const external = (name: string, at: number) => ({
  name,
  dims: [3n],
  dataType: 1,
  dataLocation: 1,
  externalData: [
    { key: "location", value: "weights.bin" },
    { key: "offset", value: `${4 * at}` },
    { key: "length", value: "12" },
  ],
});

const node = (opType: string, input: readonly string[], output: string, more: NodeInit = {}): NodeInit => ({
  opType,
  input: [...input],
  output: [output],
  ...more,
});

const constant = (at: number): NodeInit =>
  node("Constant", [], "k", {
    attribute: [{ name: "value", type: AttributeType.TENSOR, t: external("k", at) }],
  });

const branch = (name: string, op: string, at: number) => ({
  name,
  type: AttributeType.GRAPH,
  g: {
    name,
    node: [node(op, ["a", "k"], "r")],
    initializer: [external("k", at)],
    output: [declare("r", 1, [3])],
  },
});

const bodies: Readonly<Record<string, readonly NodeInit[]>> = {
  "what it is given": [node("Mul", ["a", "b"], "f")],
  "a constant of its own": [constant(3), node("Mul", ["a", "k"], "p"), node("Add", ["p", "b"], "f")],
  "constants of its branches": [
    node("ReduceSum", ["a"], "s", { attribute: [{ name: "keepdims", type: AttributeType.INT, i: 0n }] }),
    node("Cast", ["s"], "c", { attribute: [{ name: "to", type: AttributeType.INT, i: 9n }] }),
    node("If", ["c"], "i", { attribute: [branch("then_branch", "Add", 6), branch("else_branch", "Mul", 3)] }),
    node("Mul", ["i", "b"], "f"),
  ],
};

for (const [what, nodes] of Object.entries(bodies)) {
  test(`a model-local function whose numbers lie in another file: ${what}`, async () => {
    const file = path.join(directory, "model.onnx");
    writeFileSync(path.join(directory, "weights.bin"), floatBytes([1, 2, 3, 10, 20, 30, 0.5, 0.25, 0.125]));
    const standard = [{ domain: "", version: 17n }];
    writeFileSync(
      file,
      toBinary(
        ModelProtoSchema,
        create(ModelProtoSchema, {
          irVersion: 8n,
          opsetImport: [...standard, { domain: "my", version: 1n }],
          graph: {
            name: "g",
            node: [
              node("F", ["x", "w"], "h", { domain: "my" }),
              node("F", ["h", "w"], "y", { domain: "my" }),
            ],
            input: [declare("x", 1, [3])],
            output: [declare("y", 1, [3])],
            initializer: [external("w", 0)],
          },
          functions: [
            {
              name: "F",
              domain: "my",
              input: ["a", "b"],
              output: ["f"],
              node: [...nodes],
              opsetImport: standard,
            },
          ],
        }),
      ),
    );
    const values = Float32Array.from([1, -2, 0.5]);
    const found = (await runGraph(await readModel(file), new Map([["x", float32Tensor([3], values)]]))).get(
      "y",
    );
    assert.ok(found !== undefined);
    const session = await InferenceSession.create(file, { logSeverityLevel: 4 });
    const { y } = await session.run({ x: new OrtTensor("float32", values, [3]) });
    assert.ok(y?.data instanceof Float32Array);
    assert.deepEqual([...float32Data(found)], [...y.data]);
  });
}
