import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { compileToWasm } from "../../src/compile/index.js";
import { imagenetPreprocessing, openDataset } from "../../src/data/index.js";
import { readModel } from "../../src/files/model_files.js";
import { int, ints, text } from "../../src/graph/attributes.js";
import { float32Tensor, int64Tensor, numericTensor } from "../../src/graph/tensor.js";
import type { Graph, Node, Tensor } from "../../src/graph/types.js";
import { verifyGraph } from "../../src/graph/verify.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { evaluate } from "../../src/measure/accuracy.js";
import { countGraph } from "../../src/measure/count.js";
import { spectrum } from "../../src/method/basis.js";
import { decompose, decompositionCandidates } from "../../src/method/decompose.js";
import { inspectGraph } from "../../src/method/inspect.js";
import { analyseChannels } from "../../src/method/shrink/analysis.js";
import { shrink } from "../../src/method/shrink.js";
import { decodeModel } from "../../src/onnx/read.js";
import { inferGraph } from "../../src/ops/inference/infer.js";
import { foldNormalization } from "../../src/ops/passes/fold_normalization.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { conv, node, randomTensor, smallGraph } from "../../support/small_models.js";
import { declare, floatBytes, modelBytes } from "../onnx/models.js";
import { refused } from "./refused.js";

// Faults that the fuzzer found, or that were found while it was written; each failed before it was fixed.

for (const op of ["constructor", "toString", "__proto__", "hasOwnProperty"]) {
  test(`an operator called ${op} is unknown, not a property of every object`, () => {
    const graph = smallGraph([1, 3, 8, 8], [node(op, ["x"], "z"), node("Relu", ["z"], "y")], {});
    assert.equal(simplify(graph).nodes.length, 2);
    assert.deepEqual(
      countGraph(graph).uncounted.map((uncounted) => uncounted.op),
      [op],
    );
    const weighted = smallGraph([1, 4], [node(op, ["x", "w"], "y")], { w: randomTensor([4], 1) });
    assert.equal(inspectGraph(weighted).layers[0]?.reason, undefined);
  });
}

const impossible: Readonly<Record<string, readonly [string, Tensor]>> = {
  "Expand to a negative size": ["Expand", int64Tensor([2], [2 ** 40, -1])],
  "Expand to more elements than can be counted": ["Expand", int64Tensor([3], [2 ** 40, 2 ** 40, 1])],
  "Reshape to a fraction": ["Reshape", float32Tensor([2], [1.5, 2])],
  "Tile by a negative number": ["Tile", int64Tensor([2], [-1, 1])],
  "Tile beyond the exact integers": ["Tile", int64Tensor([2], [2 ** 62, 2])],
};

for (const [name, [op, parameter]] of Object.entries(impossible)) {
  test(`${name} is refused, and nothing is allocated`, () => {
    const graph = smallGraph([1, 1], [node(op, ["one", "p"], "z"), node("Add", ["x", "z"], "y")], {
      one: float32Tensor([1, 1], [1]),
      p: parameter,
    });
    assert.throws(
      () => simplify(graph),
      refused("shape", /impossible|malformed|number of elements|must hold integers/),
    );
  });
}

test("ConstantOfShape with a negative size is refused", () => {
  const graph = smallGraph([1, 1], [node("ConstantOfShape", ["p"], "z"), node("Add", ["x", "z"], "y")], {
    p: int64Tensor([1], [-1]),
  });
  assert.throws(() => simplify(graph), refused("shape", /impossible shape/));
});

test("a value of more axes than any tensor has is refused when the file is read", () => {
  const dims = Array.from({ length: 65 }, () => 1);
  const input = modelBytes({ input: [declare("x", 1, dims)], output: [declare("x", 1, dims)] });
  assert.throws(() => decodeModel(input), refused("bad-model", /impossible shape/));
  const tensor = { name: "w", dims: dims.map(BigInt), dataType: 1, floatData: [1] };
  const initializer = modelBytes({ initializer: [tensor], output: [{ name: "w" }] });
  assert.throws(() => decodeModel(initializer), refused("bad-model", /impossible dimensions/));
});

test("a sparse tensor may not become much larger than its file", () => {
  const bytes = modelBytes({
    sparseInitializer: [
      {
        dims: [2n ** 28n],
        values: { name: "c", dims: [0n], dataType: 1 },
        indices: { dims: [0n], dataType: 7 },
      },
    ],
    output: [{ name: "c" }],
  });
  assert.throws(() => decodeModel(bytes), refused("bad-model", /too large when not sparse/));
});

test("a value of 2^41 channels costs shrinking no memory", () => {
  const graph = smallGraph([1, 2, 8, 8], [node("Tile", ["x", "p"], "z"), node("Relu", ["z"], "y")], {
    p: int64Tensor([4], [1, 2 ** 40, 1, 1]),
  });
  assert.equal(shrink(graph), graph);
});

for (const type of ["uint16", "uint8", "int8", "uint32", "uint64"] as const) {
  test(`a list of positions of type ${type}, which ONNX does not know, is rewritten to one that it knows`, () => {
    const bytes = new Uint8Array({ uint16: 2, uint8: 1, int8: 1, uint32: 4, uint64: 8 }[type]);
    bytes[0] = 2;
    const slice = (starts: string, input: string, output: string) =>
      node("Slice", [input, starts, "ends", "axes"], output);
    const initializers = {
      w: randomTensor([6, 2, 3, 3], 1),
      narrow: { type, dims: [1], bytes },
      wide: int64Tensor([1], [2]),
      ends: int64Tensor([1], [6]),
      axes: int64Tensor([1], [1]),
    };
    for (const starts of ["narrow", "wide"]) {
      const graph = smallGraph(
        [1, 2, 8, 8],
        [node("Conv", ["x", "w"], "c"), slice(starts, "c", "y")],
        initializers,
      );
      const small = shrink(graph);
      assert.deepEqual(small.initializers.get(small.nodes[0]?.inputs[1] ?? "")?.dims, [4, 2, 3, 3], starts);
    }
  });
}

test("a chain of Concats is followed without a list for each pair of channels", () => {
  const names = ["x", ...Array.from({ length: 150 }, (_, index) => `c${index}`)];
  const joined = names
    .slice(1)
    .map((name, index) => node("Concat", [names[index] ?? "", "x"], name, { axis: int(1) }));
  const graph = smallGraph([1, 64], [...joined, node("Relu", ["c149"], "y")], {});
  for (const { ties } of analyseChannels(graph, "inference").flows.values()) {
    for (const { pairs } of ties) assert.ok(!Array.isArray(pairs));
  }
  assert.equal(shrink(graph), graph);
});

test("the border of a map of 2^31 positions is not looked at", () => {
  const padded = { pads: ints([0, 2 ** 31, 0, 0]), kernel_shape: ints([3, 3]) };
  const graph = smallGraph([1, 2, 8, 8], [node("Conv", ["x", "w"], "c", padded), node("Relu", ["c"], "y")], {
    w: randomTensor([4, 2, 3, 3], 1),
  });
  assert.equal(shrink(graph), graph);
});

test("spreading 2^16 constant channels over blocks takes no time", () => {
  const graph = smallGraph(
    [1, 2, 2, 2],
    [
      node("Tile", ["x", "p"], "t"),
      node("DepthToSpace", ["t"], "z", { blocksize: int(2) }),
      node("Relu", ["z"], "y"),
    ],
    { p: int64Tensor([4], [1, 2 ** 15, 1, 1]) },
  );
  assert.equal(shrink(graph), graph);
});

for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
  test(`a layer whose weights hold ${value} stays as it is, and says so`, () => {
    const weight = float32Tensor([4, 2, 3, 3], new Float32Array(72).fill(value));
    const layer = conv({ name: "y", input: "x", weight: "w", kernel: 3 });
    const graph = smallGraph([1, 2, 8, 8], [layer], { w: weight });
    const [decision] = decompositionCandidates(graph);
    assert.match(decision !== undefined && "reason" in decision ? decision.reason : "", /not finite/);
    assert.deepEqual(decompose(graph, { basis: 5 }).nodes, graph.nodes);
    assert.equal(inspectGraph(graph).layers.length, 1);
    assert.throws(() => spectrum(new Float32Array(18).fill(value), 9), refused("bad-model", /not finite/));
  });
}

test("kernels too large for a basis stay as they are", () => {
  const layer = conv({ name: "y", input: "x", weight: "w", kernel: 65 });
  const graph = smallGraph([1, 2, 65, 65], [layer], { w: randomTensor([2, 2, 65, 65], 1) });
  assert.deepEqual(decompose(graph, { basis: 5 }).nodes, graph.nodes);
});

test("coefficients that do not fit their basis are no decomposition", () => {
  const whole = smallGraph([1, 2, 8, 8], [conv({ name: "y", input: "x", weight: "w", kernel: 3 })], {
    w: randomTensor([4, 2, 3, 3], 1),
  });
  const decomposed = decompose(whole, { basis: 2 });
  assert.equal(findDecompositions(decomposed).length, 1);
  const initializers = new Map(decomposed.initializers).set("w.coefs", float32Tensor([4, 2, 0], []));
  assert.equal(findDecompositions({ ...decomposed, initializers }).length, 0);
  const many = new Map(decomposed.initializers).set("w.coefs", randomTensor([4, 2, 5000], 1));
  assert.equal(findDecompositions({ ...decomposed, initializers: many }).length, 0);
});

test("what a broken file gives a node beside its operator's inputs and outputs is not lost in folding", () => {
  const statistics = Object.fromEntries(
    ["g", "b", "m", "v"].map((name) => [name, float32Tensor([4], [1, 1, 1, 1])]),
  );
  const normalized = (extra: (nodes: readonly Node[]) => readonly Node[]): Graph => {
    const nodes = [
      conv({ name: "c", input: "x", weight: "w", kernel: 3 }),
      node("BatchNormalization", ["c", "g", "b", "m", "v"], "n"),
      node("Mul", ["n", "e"], "y"),
    ];
    const e = float32Tensor([], [2]);
    return smallGraph([1, 2, 8, 8], extra(nodes), { w: randomTensor([4, 2, 3, 3], 1), e, ...statistics });
  };
  const only = (op: string, change: (each: Node) => Node) => (nodes: readonly Node[]) =>
    nodes.map((each) => (each.op === op ? change(each) : each));
  const readers = node("Relu", ["more"], "r");
  const broken = [
    normalized((nodes) => [...only("Conv", (c) => ({ ...c, outputs: ["c", "more"] }))(nodes), readers]),
    normalized(only("Conv", (c) => ({ ...c, inputs: [...c.inputs, "", "e"] }))),
    normalized(only("Conv", (c) => ({ ...c, inputs: [...c.inputs, "b", "e"] }))),
  ];
  assert.equal(foldNormalization(normalized((nodes) => nodes)).nodes.length, 2);
  for (const graph of broken) verifyGraph(foldNormalization(graph));

  const decomposed = decompose(
    normalized((nodes) => nodes),
    { basis: 2 },
  );
  for (const op of ["MatMul", "Reshape"]) {
    const nodes = only(op, (each) => ({ ...each, inputs: [...each.inputs, "e"] }))(decomposed.nodes);
    verifyGraph(foldNormalization({ ...decomposed, nodes }));
    assert.equal(findDecompositions({ ...decomposed, nodes }).length, 0);
  }
});

test("an empty weight is no layer to decompose", () => {
  const layer = conv({ name: "y", input: "x", weight: "w", kernel: 3 });
  const graph = smallGraph([1, 2, 8, 8], [layer], { w: float32Tensor([0, 2, 3, 3], []) });
  assert.deepEqual(decompose(graph, { basis: 5 }).nodes, graph.nodes);
});

for (const batch of [0, 2 ** 40]) {
  test(`a model with a fixed batch of ${batch} images is not evaluated`, async () => {
    const graph = smallGraph([batch, 3, 8, 8], [node("Flatten", ["x"], "y")], {});
    const data = await openDataset("synthetic:40", { imageSize: { width: 8, height: 8 } });
    const evaluation = evaluate(graph, await data.test(), imagenetPreprocessing);
    await assert.rejects(evaluation, refused("bad-data", /batches of this size/));
  });
}

test("a chain of 20,000 reshapes does not exhaust the stack", () => {
  const names = Array.from({ length: 20_000 }, (_, index) => `v${index}`);
  const chain = names.map((name, index) => node("Flatten", [names[index - 1] ?? "x"], name));
  const graph = smallGraph(["N", 2, 8, 8], [...chain, node("Relu", [names.at(-1) ?? ""], "y")], {});
  assert.deepEqual(
    simplify(graph).nodes.map(({ op }) => op),
    ["Reshape", "Relu"],
  );
});

test("numbers that are no integers are not written as integers", () => {
  assert.equal(numericTensor("int64", [1], [Number.NaN]), undefined);
  assert.equal(numericTensor("int32", [1], [Number.POSITIVE_INFINITY]), undefined);
  assert.equal(numericTensor("float32", [1], [Number.NaN])?.bytes.length, 4);
});

test("other spellings of a data file's name do not read it again", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "penni-spellings-"));
  after(() => rmSync(folder, { recursive: true }));
  const data = floatBytes([1, 2]);
  writeFileSync(path.join(folder, "data.bin"), data);
  const spellings = ["data.bin", "./data.bin", "././data.bin", ".//data.bin"];
  const initializer = spellings.map((value, index) => ({
    name: `w${index}`,
    dims: [2n],
    dataType: 1,
    dataLocation: 1,
    externalData: [{ key: "location", value }],
  }));
  const file = path.join(folder, "model.onnx");
  writeFileSync(
    file,
    modelBytes({ initializer, output: spellings.map((_, index) => ({ name: `w${index}` })) }),
  );
  const { initializers } = await readModel(file);
  const buffers = new Set([...initializers.values()].map(({ bytes }) => bytes.buffer));
  assert.equal(buffers.size, 1);
});

test("a small file that would become gigabytes of objects is refused before it is decoded", () => {
  const emptyNodes = new Uint8Array(2 ** 22 + 2);
  for (let at = 0; at < emptyNodes.length; at += 2) emptyNodes[at] = (1 << 3) | 2;
  const length = [0x82, 0x80, 0x80, 0x02];
  const header = [(7 << 3) | 2, ...length];
  const bytes = new Uint8Array(header.length + emptyNodes.length);
  bytes.set(header);
  bytes.set(emptyNodes, header.length);
  assert.throws(() => decodeModel(bytes), refused("bad-file", /too many parts/));
});

test("arithmetic on an empty tensor of a huge dimension allocates nothing", () => {
  const graph = smallGraph(
    [1, 1],
    [
      node("ConstantOfShape", ["s"], "empty"),
      node("Add", ["empty", "empty"], "sum"),
      node("Relu", ["x"], "y"),
    ],
    { s: int64Tensor([2], [2 ** 40, 0]) },
  );
  const { types, values } = inferGraph(graph);
  assert.deepEqual(types.get("sum")?.shape, [2 ** 40, 0]);
  assert.deepEqual(values.get("sum")?.elements, []);
});

test("pooling over millions of taps compiles to a loop", () => {
  const attributes = { kernel_shape: ints([2, 2 ** 20]), auto_pad: text("SAME_UPPER") };
  const graph = smallGraph([1, 1, 4, 4], [node("AveragePool", ["x"], "y", attributes)], {});
  assert.ok(compileToWasm(graph).length < 2 ** 24);
});

test("a stride of millions is refused before code is written for each of its phases", () => {
  const attributes = { kernel_shape: ints([1, 1]), strides: ints([1, 2 ** 24]) };
  const graph = smallGraph([1, 1, 4, 4], [node("MaxPool", ["x"], "y", attributes)], {});
  assert.throws(
    () => compileToWasm(graph),
    refused("unsupported", /the stride is too large .*found 16777216/),
  );
});
