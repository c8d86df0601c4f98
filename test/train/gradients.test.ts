import assert from "node:assert/strict";
import { test } from "node:test";
import { floats } from "../../src/graph/attributes.js";
import { PenniError } from "../../src/graph/errors.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Tensor } from "../../src/graph/types.js";
import { add, mul, reduceSum } from "../../src/ops/core/emit.js";
import type { TypedBuilder } from "../../src/ops/inference/builder.js";
import { buildGradients } from "../../src/train/gradients.js";
import { node } from "../../support/small_models.js";
import { assertNear, builderOver, compute, randomIn } from "./support.js";

/** Tolerance of the comparisons with gradients worked out by hand: float32 rounding. */
const TOLERANCE = 1e-5;

function total(b: TypedBuilder, x: string): string {
  return reduceSum(
    b,
    x,
    b.dims(x).map((_, axis) => axis),
    false,
  );
}

test("gradients of a value with several readers add up: d(Σ ax + x + x·x) = a + 1 + 2x", async () => {
  const feeds = new Map<string, Tensor>([
    ["x", randomIn([6], 1)],
    ["a", randomIn([6], 2)],
  ]);
  const b = builderOver(feeds);
  const loss = total(b, add(b, add(b, mul(b, "x", "a"), "x"), mul(b, "x", "x")));
  const gradient = buildGradients(b, [...b.nodes], loss, ["x"]).get("x") ?? "";
  const [found] = await compute(b, feeds, [gradient]);
  const [x, a] = [...feeds.values()].map((tensor) => float32Data(tensor));
  assertNear(
    found ?? [],
    Array.from(x ?? [], (value, index) => (a?.[index] ?? 0) + 1 + 2 * value),
    TOLERANCE,
  );
});

for (const dims of [[], [1], [4], [3, 1], [1, 4], [1, 3, 1], [2, 1, 4]] as const) {
  test(`the gradient of a broadcast [${dims.join(", ")}] is summed back to its shape`, async () => {
    const y = randomIn([2, 3, 4], 1);
    const feeds = new Map<string, Tensor>([
      ["y", y],
      ["s", randomIn(dims, 2)],
    ]);
    const b = builderOver(feeds);
    const loss = total(b, mul(b, "y", "s"));
    const gradient = buildGradients(b, [...b.nodes], loss, ["s"]).get("s") ?? "";
    assert.deepEqual(b.dims(gradient), dims);
    const [found] = await compute(b, feeds, [gradient]);
    // d(Σ y·s) / ds = Σ y over the elements of y that meet this one.
    const full = [...[1, 1, 1].slice(dims.length), ...dims];
    const expected = new Array<number>(full.reduce((product, dim) => product * dim, 1)).fill(0);
    float32Data(y).forEach((value, index) => {
      const place = [Math.floor(index / 12), Math.floor(index / 4) % 3, index % 4];
      const at = place.reduce((sum, p, axis) => sum * (full[axis] ?? 1) + (full[axis] === 1 ? 0 : p), 0);
      expected[at] = (expected[at] ?? 0) + value;
    });
    assertNear(found ?? [], expected, TOLERANCE);
  });
}

/** w meets "x" behind or before an Upsample, which no operator set that is trained has and which has no gradient. */
function withUpsample(where: "on the path" | "before w" | "beside the loss") {
  const feeds = new Map<string, Tensor>([
    ["x", randomIn([1, 4, 2, 2], 1)],
    ["w", randomIn([1, 4, 1, 1], 2)],
  ]);
  const b = builderOver(feeds);
  const upsample = (input: string): string => {
    const output = `upsample(${input})`;
    const scales = new Map([["scales", floats([1, 1, 1, 1])]]);
    b.append({ ...node("Upsample", [input], output), name: "the Upsample", attributes: scales });
    return output;
  };
  const product = mul(b, where === "before w" ? upsample("x") : "x", "w");
  const beside = where === "before w" ? product : upsample(product);
  const loss = total(b, where === "on the path" ? beside : product);
  return { b, feeds, build: () => buildGradients(b, [...b.nodes], loss, ["w"]) };
}

test("an operator without a gradient between parameter and loss is an error that names node and operator", () => {
  assert.throws(withUpsample("on the path").build, (error: unknown) => {
    assert.ok(error instanceof PenniError);
    assert.equal(error.code, "unsupported");
    assert.match(error.message, /node "the Upsample" \(Upsample\).*has no gradient/);
    return true;
  });
});

for (const where of ["before w", "beside the loss"] as const) {
  test(`an operator without a gradient ${where} is not touched`, () => {
    assert.deepEqual([...withUpsample(where).build().keys()], ["w"]);
  });
}

test("a parameter that does not reach the loss has no gradient", () => {
  const feeds = new Map<string, Tensor>([
    ["x", randomIn([3], 1)],
    ["unused", randomIn([3], 2)],
  ]);
  const b = builderOver(feeds);
  mul(b, "unused", "x");
  const loss = total(b, mul(b, "x", "x"));
  assert.deepEqual([...buildGradients(b, [...b.nodes], loss, ["x", "unused"]).keys()], ["x"]);
});
