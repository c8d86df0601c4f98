import assert from "node:assert/strict";
import { test } from "node:test";
import { inputOf } from "../../src/graph/at.js";
import {
  float,
  floatAttributeOr,
  int,
  intAttributeOr,
  ints,
  intsAttributeOr,
  requiredInts,
  requiredString,
  stringAttributeOr,
  text,
} from "../../src/graph/attributes.js";
import { type ErrorCode, PenniError } from "../../src/graph/errors.js";
import {
  firstOf,
  inputOrOmitted,
  inputsOf,
  ofInput,
  ofOutput,
  outputOrOmitted,
  outputsOf,
} from "../../src/graph/operands.js";
import { nodeOf } from "../../support/random_graph.js";

const node = nodeOf("Clip", ["x", "", "high"], ["y", ""]);

function assertFails(read: () => unknown, code: ErrorCode, message: RegExp): void {
  assert.throws(read, (error) => {
    assert.ok(error instanceof PenniError && error.code === code, String(error));
    assert.match(error.message, message);
    return true;
  });
}

test("the first elements of a list, of which there may be more, and not fewer", () => {
  assert.deepEqual(firstOf([1, 0, 3], 2), [1, 0]);
  assert.deepEqual(firstOf([], 0), []);
  assertFails(() => firstOf([1], 2), "internal", /too short/);
});

test("names that an operator requires are there, or it is a fault of Penni's or of the file", () => {
  assert.deepEqual(inputsOf(nodeOf("Add", ["a", "b"], ["c"]), 2), ["a", "b"]);
  assert.deepEqual(outputsOf(node, 1), ["y"]);
  assertFails(() => inputsOf(node, 2), "bad-model", /input 1, which the operator requires/);
  assertFails(() => outputsOf(node, 2), "bad-model", /output 1, which the operator requires/);
  assert.deepEqual(inputsOf(node, 1), ["x"]);
  assertFails(() => inputsOf(node, 3), "bad-model", /input 1, which the operator requires/);
  assertFails(() => inputOf(node, 3), "bad-model", /input 3/);
});

test("what may be omitted has the empty name, and no map holds anything for it", () => {
  const held = new Map([
    ["x", 1],
    ["y", 2],
    ["", 3],
  ]);
  assert.deepEqual(
    [0, 1, 2, 3].map((index) => inputOrOmitted(node, index)),
    ["x", "", "high", ""],
  );
  assert.deepEqual(
    [0, 1, 2].map((index) => outputOrOmitted(node, index)),
    ["y", "", ""],
  );
  assert.deepEqual(
    [0, 1, 2, 3].map((index) => ofInput(held, node, index)),
    [1, undefined, undefined, undefined],
  );
  assert.deepEqual(
    [0, 1, 2].map((index) => ofOutput(held, node, index)),
    [2, undefined, undefined],
  );
});

test("attributes that are absent have the standard's value, or must not be absent", () => {
  const stated = nodeOf("Op", ["x"], ["y"], {
    axis: int(0),
    size: ints([]),
    alpha: float(0),
    mode: text(""),
  });
  assert.equal(intAttributeOr(stated, "axis", 1), 0);
  assert.deepEqual(intsAttributeOr(stated, "size", [1]), []);
  assert.equal(floatAttributeOr(stated, "alpha", 1), 0);
  assert.equal(stringAttributeOr(stated, "mode", "linear"), "");
  assert.deepEqual(requiredInts(stated, "size"), []);
  assert.equal(requiredString(stated, "mode"), "");
  assert.equal(intAttributeOr(node, "axis", 1), 1);
  assert.deepEqual(intsAttributeOr(node, "size", [1]), [1]);
  assert.equal(floatAttributeOr(node, "alpha", 1), 1);
  assert.equal(stringAttributeOr(node, "mode", "linear"), "linear");
  assertFails(() => requiredInts(node, "size"), "bad-model", /"size" is missing/);
  assertFails(() => requiredString(node, "mode"), "bad-model", /"mode" is missing/);
});
