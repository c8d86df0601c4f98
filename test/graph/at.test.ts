import assert from "node:assert/strict";
import { test } from "node:test";
import {
  at,
  countOf,
  dims4,
  entryOf,
  hasInput,
  hasOutput,
  inputOf,
  last,
  listOf,
  orDefault,
  outputOf,
  present,
} from "../../src/graph/at.js";
import { PenniError } from "../../src/graph/errors.js";
import { pushTo } from "../../src/graph/push_to.js";
import { nodeOf } from "../../support/random_graph.js";

function assertMissing(read: () => unknown, message: RegExp, code = "internal"): void {
  assert.throws(read, (error) => {
    assert.ok(error instanceof PenniError && error.code === code, String(error));
    assert.match(error.message, message);
    return true;
  });
}

test("what is there is read, zeros and empty texts too", () => {
  assert.equal(present(0), 0);
  assert.equal(present(""), "");
  assert.equal(present(null), null);
  assert.equal(at([3, 0], 1), 0);
  assert.equal(at(Uint8Array.of(7), 0), 7);
  assert.equal(last("abc"), "c");
  assert.equal(entryOf(new Map([["x", 0]]), "x"), 0);
  assert.deepEqual(dims4([1, 2, 0, 4]), [1, 2, 0, 4]);
});

test("what is missing is an internal error that says what", () => {
  assertMissing(() => present(undefined, "a scale"), /a scale that must be there is missing/);
  assertMissing(() => at([1, 2], 2), /element 2 of 2/);
  assertMissing(() => at([1, 2], -1), /element -1 of 2/);
  assertMissing(() => at([1, 2], 0.5), /element 0\.5 of 2/);
  assertMissing(() => at(new Float32Array(0), 0), /element 0 of 0/);
  assertMissing(() => last([]), /element -1 of 0/);
  assertMissing(() => entryOf(new Map(), "x"), /an entry for x/);
  assertMissing(() => dims4([1, 2, 3]), /\[1, 2, 3\]/);
  assertMissing(() => dims4([1, 2, 3, 4, 5]), /four/);
});

test("what was never counted is 0, what nothing was put into is empty", () => {
  assert.equal(countOf(new Map([["x", 2]]), "x"), 2);
  assert.equal(countOf(new Map(), "x"), 0);
  const lists = new Map<string, number[]>();
  for (const [key, value] of [
    ["x", 1],
    ["y", 2],
    ["x", 3],
  ] as const)
    pushTo(lists, key, value);
  assert.deepEqual(listOf(lists, "x"), [1, 3]);
  assert.deepEqual(listOf(lists, "y"), [2]);
  assert.deepEqual(listOf(lists, "z"), []);
  assert.equal(lists.size, 2);
});

test("names of inputs and outputs; what a file omits is the file's fault", () => {
  const node = nodeOf("Clip", ["x", "", "high"], ["y", ""]);
  assert.equal(inputOf(node, 2), "high");
  assert.equal(outputOf(node, 0), "y");
  assert.deepEqual(
    [0, 1, 2, 3].map((index) => hasInput(node, index)),
    [true, false, true, false],
  );
  assert.deepEqual(
    [0, 1, 2].map((index) => hasOutput(node, index)),
    [true, false, false],
  );
  const omitted = (name: string): RegExp =>
    new RegExp(`\\(Clip\\).*${name} \\d, which the operator requires, is missing`);
  for (const index of [1, 3]) assertMissing(() => inputOf(node, index), omitted("input"), "bad-model");
  for (const index of [1, 2]) assertMissing(() => outputOf(node, index), omitted("output"), "bad-model");
});

test("a default takes the place of what is absent, and of nothing else", () => {
  assert.equal(orDefault(undefined, 1), 1);
  assert.equal(orDefault(0, 1), 0);
  assert.equal(orDefault("", "x"), "");
});
