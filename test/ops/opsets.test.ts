import assert from "node:assert/strict";
import { test } from "node:test";
import { runGraph } from "../../src/execute/node.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { ruleOf } from "../../src/ops/core/definition.js";
import { mul, reduceSum } from "../../src/ops/core/emit.js";
import { TypedBuilder } from "../../src/ops/inference/builder.js";
import { inferGraph, tensorType } from "../../src/ops/inference/infer.js";
import { findOp } from "../../src/ops/inference/registry.js";
import { verifyTypes } from "../../src/ops/inference/verify.js";
import { expandComposites } from "../../src/ops/passes/expand_composites.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { upgradeOpset } from "../../src/ops/passes/upgrade_opset.js";
import { buildGradients } from "../../src/train/gradients.js";
import { filled, graphOf, nodeOf } from "../../support/random_graph.js";
import { assertNear } from "../train/support.js";
import { type OpsetForm, opsetForms } from "./opset_forms.js";

const OLDEST = 9;
const NEWEST = 26;
/** Versions in which gradients are compared: those at which emitted operators changed, and the last. */
const GRADIENT_OPSETS: readonly number[] = [13, 17, 18, NEWEST];

function modelOf({ op, x, constants = [], attributes, outputs = 1 }: OpsetForm, opset: number): Graph {
  const names = constants.map((tensor, index) => (tensor === undefined ? "" : `c${index}`));
  const results = Array.from({ length: outputs }, (_, index) => `y${index}`);
  const inputs = op === "Constant" ? [] : ["x", ...names];
  return graphOf({
    opsets: new Map([["", opset]]),
    inputs: [{ name: "x", type: tensorType(x) }],
    outputs: results.map((name) => ({ name, type: undefined })),
    nodes: [nodeOf(op, inputs, results, attributes)],
    initializers: new Map(
      constants.flatMap((tensor, index) => (tensor === undefined ? [] : [[`c${index}`, tensor]])),
    ),
  });
}

const exact = { optimization: "disabled", threads: 1 } as const;

/** Upgraded and simplified, the outputs stay the same to the bit, and their types are the inferred ones. */
async function checkForward(form: OpsetForm, opset: number): Promise<void> {
  const model = modelOf(form, opset);
  const feeds = new Map([["x", form.x]]);
  const expected = await runGraph(model, feeds, exact);
  const upgraded = upgradeOpset(model);
  verifyTypes(upgraded);
  const changed = new Set([upgraded, simplify(upgraded, { verify: true })]);
  changed.delete(model);
  for (const graph of changed)
    assert.deepEqual(await runGraph(graph, feeds, exact), expected, `opset ${opset}`);
  if (findOp({ op: form.op, domain: "" }) === undefined) return;
  const { types } = inferGraph(upgraded);
  for (const [name, { type, dims }] of expected) {
    const found = types.get(name);
    assert.equal(found?.elementType, type, `opset ${opset}`);
    assert.equal(found?.shape?.length, dims.length, `opset ${opset}`);
    // Sizes that depend on a policy are left open.
    found.shape.forEach((dim, axis) => {
      if (dim !== undefined) assert.equal(dim, dims[axis], `opset ${opset}, axis ${axis}`);
    });
  }
}

/** The gradient of a weighted sum of the first output. */
async function gradientOf(form: OpsetForm, opset: number): Promise<Tensor | undefined> {
  const model = upgradeOpset(modelOf(form, opset));
  const b = new TypedBuilder(opset);
  b.declare("x", tensorType(form.x));
  for (const [name, tensor] of model.initializers) b.setInitializer(name, tensor);
  for (const node of model.nodes) b.append(node);
  const dims = b.dims("y0");
  const weights = b.floats("weights", dims, float32Data(filled(...dims)));
  const weighted = mul(b, "y0", weights);
  const loss =
    dims.length === 0
      ? weighted
      : reduceSum(
          b,
          weighted,
          dims.map((_, axis) => axis),
          false,
        );
  const gradient = buildGradients(b, [...b.nodes], loss, ["x"]).get("x");
  if (gradient === undefined) return undefined;
  const step = expandComposites({
    ...model,
    nodes: b.nodes,
    initializers: b.initializers,
    outputs: [{ name: gradient, type: undefined }],
  });
  return (await runGraph(step, new Map([["x", form.x]]), { threads: 1 })).get(gradient);
}

/** Whether the gradient with respect to x exists at all. */
const isDifferentiable = ({ op, x, outputs, what }: OpsetForm): boolean =>
  x.type === "float32" &&
  (outputs ?? 1) === 1 &&
  !["no axes", "wrap", "allowzero"].includes(what ?? "") &&
  !["Range", "Constant", "Cast", "Sign"].includes(op) &&
  ruleOf(findOp({ op, domain: "" })?.gradient) !== undefined;

for (const form of opsetForms) {
  const { op, what, from = OLDEST, to = NEWEST } = form;
  const title = [op, what].filter((part) => part !== undefined).join(", ");
  const opsets = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  test(`opsets ${from} to ${to}: ${title}`, async () => {
    for (const opset of opsets) await checkForward(form, opset);
    if (!isDifferentiable(form)) return;
    const versions = GRADIENT_OPSETS.filter((opset) => opset >= from && opset <= to);
    const [first, ...rest] = await Promise.all(versions.map((opset) => gradientOf(form, opset)));
    if (first === undefined) return;
    for (const other of rest) {
      assert.ok(other !== undefined, "a gradient in every version");
      assertNear(float32Data(other), float32Data(first), 1e-5, "gradient");
    }
  });
}
