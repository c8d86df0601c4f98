import assert from "node:assert/strict";
import { test } from "node:test";
import { compileProgram } from "../../src/compile/compile.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { int } from "../../src/graph/attributes.js";
import { PenniError } from "../../src/graph/errors.js";
import { removeDeadNodes } from "../../src/graph/passes/remove_dead_nodes.js";
import { int64Tensor, scalarTensor } from "../../src/graph/tensor.js";
import type { Graph, Node } from "../../src/graph/types.js";
import { importForCompression } from "../../src/method/import_for_compression.js";
import { modelRemarks } from "../../src/method/remarks.js";
import { conv, node, randomTensor, smallGraph } from "../../support/small_models.js";
import "./self_checked.js";

/** Layers whose maps become 64 boxes and scores, a value g beside them, and an end that gives y. */
function detector(end: readonly Node[]): Graph {
  const graph = smallGraph(
    [1, 3, 8, 8],
    [
      conv({ name: "c", input: "x", weight: "w", kernel: 3 }),
      node("Relu", ["c"], "r"),
      node("GlobalAveragePool", ["r"], "g"),
      node("Reshape", ["r", "shape"], "boxes"),
      node("Reshape", ["c", "flat"], "maps"),
      node("Sigmoid", ["maps"], "scores"),
      ...end,
    ],
    {
      w: randomTensor([4, 3, 3, 3], 1),
      shape: int64Tensor([3], [1, 64, 4]),
      flat: int64Tensor([3], [1, 4, 64]),
      most: int64Tensor([], [5]),
      two: int64Tensor([], [2]),
      zero: scalarTensor(0),
    },
  );
  return { ...graph, outputs: ["y", "g"].map((name) => ({ name, type: undefined })) };
}

const ends: Readonly<
  Record<string, { readonly end: readonly Node[]; readonly border: readonly string[]; readonly why: boolean }>
> = {
  NonMaxSuppression: {
    end: [
      node("NonMaxSuppression", ["boxes", "scores", "most"], "chosen"),
      node("Gather", ["chosen", "two"], "indices", { axis: int(1) }),
      node("Gather", ["boxes", "indices"], "y", { axis: int(1) }),
    ],
    border: ["boxes", "g", "scores"],
    why: true,
  },
  NonZero: {
    end: [
      node("Greater", ["scores", "zero"], "large"),
      node("NonZero", ["large"], "places"),
      node("Transpose", ["places"], "y"),
    ],
    border: ["g", "large"],
    why: true,
  },
  Unheard: { end: [node("Unheard", ["scores"], "y")], border: ["g", "scores"], why: false },
};

for (const [op, { end, border, why }] of Object.entries(ends)) {
  test(`${op} is not compiled: where the network can end is said, and that compiles`, () => {
    const graph = detector(end);
    const error = ((): unknown => {
      try {
        return compileProgram(graph, wasmTarget);
      } catch (thrown) {
        return thrown;
      }
    })();
    assert.ok(error instanceof PenniError && error.code === "unsupported");
    assert.equal(error.details.op, op);
    assert.equal(/depends on the data/.test(error.message), why);
    const names = [...(error.details.advice ?? "").matchAll(/"([^"]+)"/g)].map(([, name]) => name ?? "");
    assert.deepEqual(names.toSorted(), border);
    const outputs = names.map((name) => ({ name, type: undefined }));
    const { outputs: ports } = compileProgram(removeDeadNodes({ ...graph, outputs }), wasmTarget);
    assert.deepEqual(
      ports.map(({ name }) => name),
      names,
    );
  });
}

test("a decomposed layer behind such an operator: its weight is not among where the network can end", () => {
  const graph = detector([
    node("Unheard", ["r"], "u"),
    node("MatMul", ["coefficients", "basis"], "product"),
    node("Reshape", ["product", "dims"], "v"),
    conv({ name: "y", input: "u", weight: "v", kernel: 3 }),
  ]);
  const factors = { coefficients: randomTensor([20, 2], 2), basis: randomTensor([2, 9], 3) };
  const dims = int64Tensor([4], [5, 4, 3, 3]);
  const initializers = new Map([...graph.initializers, ...Object.entries(factors), ["dims", dims] as const]);
  assert.throws(() => compileProgram({ ...graph, initializers }, wasmTarget), {
    message: /make "g", "r" its outputs/,
  });
});

test("what is sized by the data is named among the remarks, and the other outputs are judged", () => {
  for (const op of ["NonMaxSuppression", "NonZero"]) {
    const graph = detector(ends[op]?.end ?? []);
    const remarks = modelRemarks(graph, importForCompression(graph));
    assert.deepEqual(
      remarks.map(({ kind, nodes }) => [kind, nodes.map((each) => each.op)]),
      [["data-dependent-size", [op]]],
    );
  }
  const graph = detector(ends.NonMaxSuppression?.end ?? []);
  const alone = { ...graph, outputs: graph.outputs.slice(0, 1) };
  const [, remark, ...more] = modelRemarks(alone, importForCompression(alone));
  assert.deepEqual(more, []);
  assert.match(remark?.problem ?? "", /how large its result is depends on the data/);
  assert.match(remark?.advice ?? "", /make "boxes", "scores" its outputs/);
});
