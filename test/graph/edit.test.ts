import assert from "node:assert/strict";
import { test } from "node:test";
import { withOwnMemory } from "../../src/graph/edit.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

test("a graph with memory of its own has the same values and keeps nothing of the file", () => {
  const file = encodeModel(tinyCnn());
  const read = decodeModel(file);
  const own = withOwnMemory(read);
  assert.ok(own.initializers.size > 0);
  assert.deepEqual(own, read);
  for (const [name, { bytes }] of own.initializers)
    assert.equal(bytes.byteLength, bytes.buffer.byteLength, name);
  assert.equal(withOwnMemory(own).initializers.get("w"), own.initializers.get("w"));
});
