import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { runGraph } from "../../src/execute/node.js";
import { PenniError } from "../../src/graph/errors.js";
import { numericData } from "../../src/graph/tensor.js";
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type ModelProto,
  ModelProtoSchema,
} from "../../src/onnx/gen/onnx_pb.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { bits, declare, floatBytes, modelBytes, type TensorInit } from "./models.js";

const FLOAT = 1;
const INT64 = 7;
const unknown = (no: number, text: string) => {
  const bytes = new TextEncoder().encode(text);
  return { no, wireType: 2, data: Uint8Array.from([bytes.length, ...bytes]) };
};

/** A model that turns one constant into float32 numbers. */
function castModel(tensor: TensorInit, count: number): Uint8Array {
  return modelBytes({
    initializer: [{ name: "c", dims: [BigInt(count)], ...tensor }],
    node: [
      {
        opType: "Cast",
        input: ["c"],
        output: ["y"],
        attribute: [{ name: "to", type: AttributeType.INT, i: 1n }],
      },
    ],
    output: [declare("y", FLOAT, [count])],
  });
}

const typedForms: Readonly<Record<string, { tensor: TensorInit; values: readonly number[] }>> = {
  float32: { tensor: { dataType: 1, floatData: [1.5, -2] }, values: [1.5, -2] },
  uint8: { tensor: { dataType: 2, int32Data: [0, 255] }, values: [0, 255] },
  int8: { tensor: { dataType: 3, int32Data: [-128, 127] }, values: [-128, 127] },
  uint16: { tensor: { dataType: 4, int32Data: [0, 65535] }, values: [0, 65535] },
  int16: { tensor: { dataType: 5, int32Data: [-32768, 5] }, values: [-32768, 5] },
  int32: { tensor: { dataType: 6, int32Data: [-7, 1 << 20] }, values: [-7, 1 << 20] },
  int64: { tensor: { dataType: 7, int64Data: [-(1n << 40n), 3n] }, values: [-(2 ** 40), 3] },
  bool: { tensor: { dataType: 9, int32Data: [1, 0] }, values: [1, 0] },
  float16: { tensor: { dataType: 10, int32Data: [0x3e00, 0xc000] }, values: [1.5, -2] },
  float64: { tensor: { dataType: 11, doubleData: [0.25, -8] }, values: [0.25, -8] },
  uint32: { tensor: { dataType: 12, uint64Data: [4294967295n, 1n] }, values: [4294967295, 1] },
  uint64: { tensor: { dataType: 13, uint64Data: [1n << 40n, 1n] }, values: [2 ** 40, 1] },
};

for (const [type, { tensor, values }] of Object.entries(typedForms)) {
  test(`${type} constants are read from their typed field`, async () => {
    const original = castModel(tensor, 2);
    const graph = decodeModel(original);
    const constant = graph.initializers.get("c");
    assert.ok(constant !== undefined);
    assert.equal(constant.type, type);
    assert.deepEqual(numericData(constant), values);
    assert.deepEqual(bits(await runGraph(graph, new Map())), bits(await runGraph(original, new Map())));
  });
}

test("bfloat16 keeps its bits and strings and unknown types survive", () => {
  const half = decodeModel(castModel({ dataType: 16, int32Data: [0x3fc0, 0xc000] }, 2));
  assert.deepEqual(half.initializers.get("c")?.bytes, Uint8Array.of(0xc0, 0x3f, 0x00, 0xc0));

  const words = ["a", "é"].map((word) => new TextEncoder().encode(word));
  const text = decodeModel(castModel({ dataType: 8, stringData: words }, 2));
  assert.deepEqual(decodeModel(encodeModel(text)).initializers.get("c")?.strings, words);

  const int4 = castModel({ dataType: 22, int32Data: [0x21] }, 2);
  const graph = decodeModel(int4);
  assert.equal(graph.initializers.get("c")?.type, "other");
  const written = fromBinary(ModelProtoSchema, encodeModel(graph)).graph?.initializer;
  assert.deepEqual(written, fromBinary(ModelProtoSchema, int4).graph?.initializer);
});

test("raw data is a window into the file, also when that is a Buffer", () => {
  const file = Buffer.from(castModel({ dataType: 1, rawData: floatBytes([1, 2]) }, 2));
  const bytes = decodeModel(file).initializers.get("c")?.bytes;
  assert.equal(bytes?.buffer, file.buffer);
  assert.equal(Object.getPrototypeOf(bytes), Uint8Array.prototype);
});

for (const [form, indices] of Object.entries({
  linear: { dims: [2n], dataType: INT64, int64Data: [1n, 5n] },
  coordinate: { dims: [2n, 2n], dataType: INT64, int64Data: [0n, 1n, 1n, 2n] },
})) {
  test(`sparse initializers with ${form} indices are read as onnxruntime reads them`, async () => {
    const original = modelBytes({
      sparseInitializer: [
        {
          dims: [2n, 3n],
          values: { name: "c", dims: [2n], dataType: FLOAT, floatData: [4, -5] },
          indices,
        },
      ],
      node: [{ opType: "Neg", input: ["c"], output: ["y"] }],
      output: [declare("y", FLOAT, [2, 3])],
    });
    const graph = decodeModel(original);
    const constant = graph.initializers.get("c");
    assert.ok(constant !== undefined);
    assert.deepEqual(numericData(constant), [0, 4, 0, 0, 0, -5]);
    assert.deepEqual(bits(await runGraph(graph, new Map())), bits(await runGraph(original, new Map())));
  });
}

test("initializers that are also inputs are constants only", async () => {
  const original = modelBytes(
    {
      input: [declare("x", FLOAT, [2]), declare("c", FLOAT, [2])],
      initializer: [{ name: "c", dims: [2n], dataType: FLOAT, floatData: [1, 2] }],
      node: [{ opType: "Add", input: ["x", "c"], output: ["y"] }],
      output: [declare("y", FLOAT, [2])],
    },
    { irVersion: 3n },
  );
  const graph = decodeModel(original);
  assert.deepEqual(
    graph.inputs.map(({ name }) => name),
    ["x"],
  );
  const written = fromBinary(ModelProtoSchema, encodeModel(graph));
  assert.equal(written.irVersion, 4n);
  const feeds = new Map([["x", { type: "float32" as const, dims: [2], bytes: floatBytes([3, 4]) }]]);
  assert.deepEqual(bits(await runGraph(graph, feeds)), bits(await runGraph(original, feeds)));
});

test("attributes without a type are recognised by what they hold", () => {
  const [node] = decodeModel(
    modelBytes({
      input: [declare("x", FLOAT, [2])],
      node: [
        {
          opType: "Custom",
          domain: "own",
          input: ["x"],
          output: ["y"],
          attribute: [
            { name: "f", f: 0 },
            { name: "i", i: 1n << 62n },
            { name: "s", s: new TextEncoder().encode("text") },
            { name: "fs", floats: [0.5] },
            { name: "is", ints: [-1n] },
            { name: "ss", strings: [new TextEncoder().encode("a")] },
            { name: "t", t: { dataType: FLOAT, floatData: [1] } },
            { name: "binary", type: AttributeType.STRING, s: Uint8Array.of(0xff, 0xfe) },
          ],
        },
      ],
      output: [declare("y", FLOAT, [2])],
    }),
  ).nodes;
  assert.deepEqual(
    [...(node?.attributes ?? [])].map(([name, { kind }]) => [name, kind]),
    [
      ["f", "float"],
      ["i", "int"],
      ["s", "string"],
      ["fs", "floats"],
      ["is", "ints"],
      ["ss", "strings"],
      ["t", "tensor"],
      ["binary", "opaque"],
    ],
  );
  assert.deepEqual(node?.attributes.get("i"), { kind: "int", value: 1n << 62n });
});

/** y = if c then x + w else (if c then x else v): reads x, w, v and c from outside. */
function conditional(): Uint8Array {
  const branch = (name: string, node: { opType: string; input: string[] }[]) => ({
    name,
    node: node.map((one) => ({ ...one, output: [`${name}_out`] })),
    output: [declare(`${name}_out`, FLOAT, [2])],
  });
  const subgraph = (name: string, g: object) => ({ name, type: AttributeType.GRAPH, g });
  const inner = {
    opType: "If",
    input: ["c"],
    output: ["else_out"],
    attribute: [
      subgraph("then_branch", branch("a", [{ opType: "Identity", input: ["x"] }])),
      subgraph("else_branch", branch("b", [{ opType: "Identity", input: ["v"] }])),
    ],
  };
  return modelBytes({
    input: [declare("c", 9, []), declare("x", FLOAT, [2])],
    initializer: ["w", "v"].map((name) => ({ name, dims: [2n], dataType: FLOAT, floatData: [1, 2] })),
    node: [
      {
        opType: "If",
        input: ["c"],
        output: ["y"],
        attribute: [
          subgraph("then_branch", branch("then", [{ opType: "Add", input: ["x", "w"] }])),
          subgraph("else_branch", {
            name: "else",
            node: [inner],
            output: [declare("else_out", FLOAT, [2])],
          }),
        ],
      },
    ],
    output: [declare("y", FLOAT, [2])],
  });
}

test("subgraphs are kept and their captures known, nested ones included", async () => {
  const graph = decodeModel(conditional());
  const captures = [...(graph.nodes[0]?.attributes.values() ?? [])].map((attribute) =>
    attribute.kind === "opaque" ? [...attribute.captures].sort() : [],
  );
  assert.deepEqual(captures, [
    ["w", "x"],
    ["c", "v", "x"],
  ]);
  for (const condition of [0, 1]) {
    const feeds = new Map([
      ["c", { type: "bool" as const, dims: [], bytes: Uint8Array.of(condition) }],
      ["x", { type: "float32" as const, dims: [2], bytes: floatBytes([5, 6]) }],
    ]);
    assert.deepEqual(bits(await runGraph(graph, feeds)), bits(await runGraph(conditional(), feeds)));
  }
});

/** A model with something that Penni does not know at every level. */
function annotatedModel(): ModelProto {
  const model = fromBinary(
    ModelProtoSchema,
    modelBytes({
      docString: "graph text",
      input: [declare("x", FLOAT, [2])],
      initializer: [{ name: "c", dims: [2n], dataType: FLOAT, rawData: floatBytes([1, 2]), docString: "c" }],
      node: [
        {
          opType: "Add",
          name: "sum",
          docString: "node text",
          input: ["x", "c"],
          output: ["s"],
          attribute: [{ name: "alpha", type: AttributeType.FLOAT, f: 0.5, docString: "attribute text" }],
        },
        {
          opType: "Mystery",
          name: "mystery",
          domain: "com.example",
          input: ["s"],
          output: ["y"],
          attribute: [
            {
              name: "both",
              type: AttributeType.TENSORS,
              tensors: [{ dataType: 1, floatData: [1], dims: [1n] }],
            },
          ],
        },
      ],
      output: [{ name: "y" }],
      valueInfo: [{ ...declare("s", FLOAT, [2]), docString: "value text" }],
    }),
  );
  Object.assign(model, { producerName: "other", producerVersion: "1.2", domain: "org", modelVersion: 7n });
  model.docString = "model text";
  model.opsetImport.push(...fromBinary(ModelProtoSchema, modelBytes({}, { opset: 3n })).opsetImport);
  Object.assign(model.opsetImport[1] ?? {}, { domain: "com.example" });
  model.$unknown = [unknown(20, "training")];
  const { graph } = model;
  assert.ok(graph !== undefined);
  graph.$unknown = [unknown(14, "quantization")];
  for (const part of [graph.node[0], graph.node[0]?.attribute[0], graph.initializer[0], graph.valueInfo[0]]) {
    assert.ok(part !== undefined);
    part.$unknown = [unknown(99, part.$typeName)];
  }
  const custom = create(AttributeProtoSchema, { name: "sparse" });
  custom.$unknown = [unknown(22, "sparse tensor")];
  graph.node[1]?.attribute.push(custom);
  return model;
}

test("what Penni does not know is written back", () => {
  const model = annotatedModel();
  const written = fromBinary(ModelProtoSchema, encodeModel(decodeModel(toBinary(ModelProtoSchema, model))));
  assert.deepEqual(written, fromBinary(ModelProtoSchema, toBinary(ModelProtoSchema, model)));
});

test("a changed type replaces the declared one and nothing else", () => {
  const graph = decodeModel(toBinary(ModelProtoSchema, annotatedModel()));
  const valueInfo = new Map(
    [...graph.valueInfo].map(([name, info]) => [
      name,
      { ...info, type: { elementType: "float32" as const, shape: ["n"] } },
    ]),
  );
  const [written] = fromBinary(ModelProtoSchema, encodeModel({ ...graph, valueInfo })).graph?.valueInfo ?? [];
  assert.equal(written?.docString, "value text");
  assert.deepEqual(decodeModel(encodeModel({ ...graph, valueInfo })).valueInfo.get("s")?.type?.shape, ["n"]);
});

test("the standard domain has one spelling and nodes come in topological order", () => {
  const model = fromBinary(
    ModelProtoSchema,
    modelBytes({
      input: [declare("x", FLOAT, [2])],
      node: [
        { opType: "Relu", domain: "ai.onnx", input: ["b"], output: ["y"] },
        { opType: "Neg", input: ["a"], output: ["b"] },
        { opType: "Abs", input: ["x"], output: ["a"] },
      ],
      output: [declare("y", FLOAT, [2])],
    }),
  );
  Object.assign(model.opsetImport[0] ?? {}, { domain: "ai.onnx" });
  const graph = decodeModel(toBinary(ModelProtoSchema, model));
  assert.deepEqual([...graph.opsets], [["", 13]]);
  assert.deepEqual(
    graph.nodes.map(({ op, domain }) => `${domain}${op}`),
    ["Abs", "Neg", "Relu"],
  );
});

const relu = { opType: "Relu", input: ["x"], output: ["y"] };
const x = declare("x", FLOAT, [2]);
const y = declare("y", FLOAT, [2]);
const constant = (tensor: TensorInit) => ({ initializer: [{ name: "c", dataType: FLOAT, ...tensor }] });
const sparse = (indices: bigint[], dims: bigint[], values: TensorInit = {}) => ({
  sparseInitializer: [
    {
      dims,
      values: { name: "c", dims: [2n], dataType: FLOAT, floatData: [1, 2], ...values },
      indices: { dims: [2n], dataType: INT64, int64Data: indices },
    },
  ],
});

const contradictions: Readonly<Record<string, { graph: Parameters<typeof modelBytes>[0]; message: RegExp }>> =
  {
    "a negative dimension": { graph: constant({ dims: [-1n] }), message: /impossible dimensions/ },
    "a huge dimension": { graph: constant({ dims: [1n << 62n] }), message: /impossible dimensions/ },
    "a huge product": { graph: constant({ dims: [1n << 40n, 1n << 40n] }), message: /impossible dimensions/ },
    "too few bytes": {
      graph: constant({ dims: [1n << 33n], rawData: floatBytes([1]) }),
      message: /expected 34359738368 bytes for float32 \[8589934592\], found 4/,
    },
    "too few elements": {
      graph: constant({ dims: [3n], floatData: [1] }),
      message: /wrong number of elements/,
    },
    "no element type": { graph: constant({ dims: [0n], dataType: 0 }), message: /no element type/ },
    "external data that nobody can read": {
      graph: constant({ dims: [1n], dataLocation: 1, externalData: [{ key: "location", value: "w.bin" }] }),
      message: /stored in another file, "w.bin"/,
    },
    "a huge sparse tensor": { graph: sparse([0n, 1n], [1n << 40n]), message: /too large when not sparse/ },
    "a sparse index out of range": {
      graph: sparse([0n, 9n], [4n]),
      message: /out of range or not ascending/,
    },
    "a negative sparse index": { graph: sparse([-1n, 1n], [4n]), message: /out of range or not ascending/ },
    "a repeated sparse index": { graph: sparse([1n, 1n], [4n]), message: /out of range or not ascending/ },
    "sparse strings": {
      graph: sparse([0n, 1n], [4n], {
        dataType: 8,
        floatData: [],
        stringData: [new Uint8Array(1), new Uint8Array(1)],
      }),
      message: /no fixed size/,
    },
    "an initializer twice": {
      graph: { initializer: [1, 2].map(() => ({ name: "c", dims: [0n], dataType: FLOAT })) },
      message: /initializer "c" is defined twice/,
    },
    "a value twice": {
      graph: { input: [x], node: [relu, relu], output: [y] },
      message: /value "y" is defined twice/,
    },
    "an attribute twice": {
      graph: {
        input: [x],
        node: [
          {
            ...relu,
            attribute: [
              { name: "a", i: 1n },
              { name: "a", i: 2n },
            ],
          },
        ],
        output: [y],
      },
      message: /attribute "a" is given twice/,
    },
    "an input from nowhere": {
      graph: { node: [relu], output: [y] },
      message: /nothing computes the input "x"/,
    },
    "an output from nowhere": { graph: { output: [y] }, message: /nothing computes the output "y"/ },
    "a circle": {
      graph: { node: [relu, { opType: "Neg", input: ["y"], output: ["x"] }], output: [y] },
      message: /circle/,
    },
    "a node without operator": {
      graph: { input: [x], node: [{ ...relu, opType: "" }] },
      message: /no operator/,
    },
  };

for (const [what, { graph, message }] of Object.entries(contradictions)) {
  test(`refused: ${what}`, () => {
    assert.throws(
      () => decodeModel(modelBytes(graph), { file: "broken.onnx" }),
      (error) =>
        error instanceof PenniError &&
        error.code === "bad-model" &&
        error.details.file === "broken.onnx" &&
        message.test(error.message),
    );
  });
}
