import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { PenniError } from "../../src/graph/errors.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { matMulGraph, randomSource } from "./models.js";

const FILE = "broken.onnx";

/** A small model with dense and sparse weights, types and metadata. */
function smallModel(): Uint8Array {
  const weights = Float32Array.from({ length: 16 * 16 }, (_, index) => (index % 7 === 0 ? index : 0));
  const graph = matMulGraph(16, 16, weights);
  const metadata = new Map([["key", "value"]]);
  return encodeModel({ ...graph, metadata }, { sparse: true });
}

/** Reads hostile bytes: a graph that can be written again, or one clear error. Returns whether it was read. */
function survives(bytes: Uint8Array): boolean {
  try {
    encodeModel(decodeModel(bytes, { file: FILE }));
    return true;
  } catch (error) {
    assert.ok(error instanceof PenniError, `${error}`);
    assert.ok(error.code === "bad-file" || error.code === "bad-model", error.code);
    assert.ok(error.message.startsWith(`${FILE}: `), error.message);
    assert.match(error.message, /^\P{Cc}{1,2000}$/u);
    return false;
  }
}

test("random bytes are no model", () => {
  const random = randomSource(1);
  for (let round = 0; round < 200; round++) {
    const bytes = Uint8Array.from({ length: round * 3 }, () => Math.floor((random() + 1) * 128));
    assert.equal(survives(bytes), false);
  }
});

test("every truncation of a small model is refused or read", () => {
  const bytes = smallModel();
  for (let length = 0; length < bytes.length; length++) survives(bytes.subarray(0, length));
  assert.ok(survives(bytes));
});

test("corrupted bytes of a small model are refused or read", () => {
  const random = randomSource(2);
  const original = smallModel();
  let refused = 0;
  for (let round = 0; round < 1000; round++) {
    const bytes = new Uint8Array(original);
    for (let flips = 0; flips <= round % 4; flips++) {
      bytes[Math.floor(((random() + 1) / 2) * bytes.length)] = Math.floor((random() + 1) * 128);
    }
    if (!survives(bytes)) refused += 1;
  }
  assert.ok(refused > 100, `${refused} of 1000 refused`);
});

test("a truncated real model is refused", { skip: withoutShared("models/zoo/densenet_tiny.onnx") }, () => {
  const bytes = readFileSync(sharedPath("models/zoo/densenet_tiny.onnx"));
  for (const part of [0.01, 0.1, 0.5, 0.9, 0.999]) {
    assert.equal(survives(bytes.subarray(0, Math.floor(bytes.length * part))), false);
  }
});

test("an empty file, text and deep nesting are no models", () => {
  assert.equal(survives(new Uint8Array(0)), false);
  assert.equal(survives(new TextEncoder().encode("<!DOCTYPE html><html></html>")), false);
  // Field 7 of a model is its graph, field 1 of a graph a node, field 5 of a node an attribute, field 6 its graph.
  let nested = new Uint8Array(0);
  for (let depth = 0; depth < 600; depth++) {
    const tag = [0x0a, 0x2a, 0x32][depth % 3] ?? 0;
    const { length } = nested;
    nested = Uint8Array.from([tag, (length & 0x7f) | 0x80, length >> 7, ...nested]);
  }
  const graph = Uint8Array.from([0x3a, (nested.length & 0x7f) | 0x80, nested.length >> 7, ...nested]);
  assert.equal(survives(graph), false);
});

test("an error about a name with control characters stays one line", () => {
  const graph = matMulGraph(1, 1, new Float32Array(1));
  const output = { ...graph.outputs[0], name: `bad\n\u001b[31m${"x".repeat(10_000)}`, type: undefined };
  assert.equal(survives(encodeModel({ ...graph, outputs: [output] })), false);
});
