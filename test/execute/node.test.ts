import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Tensor } from "onnxruntime-common";
import { openSession, runGraph } from "../../src/execute/node.js";
import { type ErrorCode, PenniError } from "../../src/graph/errors.js";
import type { ElementType, Tensor as GraphTensor } from "../../src/graph/types.js";
import { encodeModel } from "../../src/onnx/write.js";
import { bits, declare, matMulGraph, modelBytes } from "../onnx/models.js";

const identityTypes = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float64: 11,
} satisfies Partial<Record<ElementType, number>>;

for (const [type, code] of Object.entries(identityTypes)) {
  test(`${type} values go in and out unchanged`, async () => {
    const bytes = modelBytes({
      input: [declare("x", code, [2])],
      node: [{ opType: "Identity", input: ["x"], output: ["y"] }],
      output: [declare("y", code, [2])],
    });
    const size = { float64: 8, int64: 8, float32: 4, int32: 4 }[type] ?? 1;
    const data = Uint8Array.from({ length: 2 * size }, (_, index) => (index % size === 0 ? 1 : 0));
    const x: GraphTensor = { type: type as ElementType, dims: [2], bytes: data };
    const outputs = await runGraph(bytes, new Map([["x", x]]), { threads: 1, optimization: "disabled" });
    assert.deepEqual(bits(outputs), bits(new Map([["y", x]])));
  });
}

function failure(code: ErrorCode, message: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof PenniError, `${error}`);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.match(error.message, /^\P{Cc}+$/u);
    return true;
  };
}

const product = () => matMulGraph(2, 2, Float32Array.of(1, 0, 0, 1));

test("models that the runtime refuses are one clear error", async () => {
  await assert.rejects(openSession(new Uint8Array(100)), failure("bad-model", /cannot load the model/));
  const graph = product();
  const nodes = graph.nodes.map((node) => ({ ...node, op: "Nope" }));
  await assert.rejects(openSession({ ...graph, nodes }), failure("bad-model", /Nope/));
  // Where in the runtime's own code it was found is of no use to anybody else.
  await assert.rejects(
    openSession({ ...graph, opsets: new Map([["", 90]]) }),
    failure("bad-model", /cannot load the model: found ONNX Runtime only [^/]*opset[^/]*$/i),
  );
});

test("feeds that do not fit are one clear error", async () => {
  const session = await openSession(product());
  assert.deepEqual([session.inputNames, session.outputNames], [["x"], ["y"]]);
  const cases = [
    {},
    { z: new Tensor("float32", new Float32Array(2), [1, 2]) },
    { x: new Tensor("float32", new Float32Array(3), [1, 3]) },
    { x: new Tensor("float32", new Float32Array(2), [2]) },
    { x: new Tensor("int32", new Int32Array(2), [1, 2]) },
  ];
  for (const feeds of cases) await assert.rejects(session.run(feeds), failure("bad-data", /do not fit/));
  await session.release();
});

test("outputs can be chosen and preallocated", async () => {
  const session = await openSession(product());
  const x = new Tensor("float32", Float32Array.of(3, 4), [1, 2]);
  const y = new Tensor("float32", new Float32Array(2), [1, 2]);
  await session.run({ x }, { y });
  assert.deepEqual(y.data, Float32Array.of(3, 4));
  const { y: fresh } = await session.run({ x }, ["y"]);
  assert.deepEqual(fresh?.data, Float32Array.of(3, 4));
  await assert.rejects(session.run({ x }, ["other"]), failure("bad-model", /other/));
  await session.release();
});

test("a session can return the tensors it was given, and nothing else", async () => {
  const graph = product();
  for (const model of [graph, encodeModel(graph)]) {
    const session = await openSession(model, { returnsTargets: true });
    assert.deepEqual(session.outputNames, ["y"]);
    const x = new Tensor("float32", Float32Array.of(3, 4), [1, 2]);
    const y = new Tensor("float32", new Float32Array(2), [1, 2]);
    const results = await session.run({ x }, { y });
    assert.deepEqual(Object.entries(results), [["y", y]]);
    assert.deepEqual(y.data, Float32Array.of(3, 4));
    await assert.rejects(session.run({}, { y }), failure("bad-data", /do not fit/));
    await assert.rejects(session.run({ x }, { y: null }), failure("internal", /"y"/));
    const small = new Tensor("float32", new Float32Array(1), [1, 1]);
    await assert.rejects(session.run({ x }, { y: small }), failure("bad-data", /output: y/));
    await session.release();
  }
});

test("a session that returns its targets may write over what it reads", async () => {
  const session = await openSession(matMulGraph(2, 2, Float32Array.of(2, 0, 0, 3)), { returnsTargets: true });
  const x = new Tensor("float32", Float32Array.of(3, 4), [1, 2]);
  const y = new Tensor("float32", new Float32Array(2), [1, 2]);
  await session.run({ x }, { y });
  await session.run({ x: y }, { y: x });
  assert.deepEqual([y.data, x.data], [Float32Array.of(6, 12), Float32Array.of(12, 36)]);
  await session.release();
});

test("half floats cannot be fed", async () => {
  const x: GraphTensor = { type: "float16", dims: [1, 2], bytes: new Uint8Array(4) };
  await assert.rejects(runGraph(product(), new Map([["x", x]])), failure("unsupported", /float16/));
});

test("the runtime prints nothing of its own", () => {
  const script = `
    const { openSession } = await import(process.argv[1]);
    await openSession(new Uint8Array(100)).catch(() => {});
  `;
  const module = fileURLToPath(import.meta.resolve("../../src/execute/node.js"));
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ["--input-type=module", "--eval", script, module],
    { encoding: "utf8" },
  );
  assert.deepEqual([status, stdout, stderr], [0, "", ""]);
});
