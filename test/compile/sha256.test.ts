import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { sha256 } from "../../src/compile/wasm/sha256.js";
import { randomSource } from "../../support/opcase.js";
import "./self_checked.js";

test("the digest is Node's, for every length around the blocks and for parts of buffers", () => {
  const random = randomSource(1);
  const bytes = Uint8Array.from({ length: 1000 }, () => Math.floor((random() + 1) * 128));
  for (let length = 0; length < 300; length++) {
    const part = bytes.subarray(length % 7, (length % 7) + length);
    assert.deepEqual(Buffer.from(sha256(part)), createHash("sha256").update(part).digest());
  }
  const large = new Uint8Array(3_000_001).fill(0xa5);
  assert.deepEqual(Buffer.from(sha256(large)), createHash("sha256").update(large).digest());
});
