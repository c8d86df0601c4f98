import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import {
  type Checkpoint,
  checkIdentity,
  decodeCheckpoint,
  encodeCheckpoint,
  type StageIdentity,
} from "../../src/train/checkpoint.js";

const identity: StageIdentity = {
  networks: "abc",
  options: { batch: "16", seed: "3", phases: "x".repeat(99) },
};

const checkpoint: Checkpoint = {
  identity,
  step: 17,
  lossSum: 0.1 + 0.2,
  hits: 5,
  images: 64,
  trend: { mean: 1.1, lowest: 0.7 },
  recoveries: [{ problem: "the loss is NaN", step: 12, backTo: 10, rateFactor: 0.5 }],
  history: [
    {
      stage: "retrain",
      phase: "bases",
      epoch: 1,
      step: 10,
      learningRate: 0.1,
      loss: 1.5,
      accuracy: 0.5,
      sparsity: 0,
      macs: 1234,
    },
  ],
  tensors: new Map([
    ["größe/é", { dims: [2, 3], data: Float32Array.of(1, -0, 1e-40, Number.NaN, Infinity, 3.5) }],
    ["scalar", { dims: [], data: Float32Array.of(2) }],
    ["empty", { dims: [0, 4], data: new Float32Array() }],
    ["last", { dims: [1], data: Float32Array.of(-7) }],
  ]),
};

test("a checkpoint survives encoding bit for bit, wherever its bytes lie", () => {
  const bytes = encodeCheckpoint(checkpoint);
  for (const offset of [0, 1, 3]) {
    const moved = new Uint8Array(bytes.byteLength + offset);
    moved.set(bytes, offset);
    assert.deepEqual(decodeCheckpoint(moved.subarray(offset), "x.ckpt"), checkpoint);
  }
});

test("a checkpoint carries the network of a stage that has shrunk", () => {
  const shrunk = { ...checkpoint, network: Uint8Array.from({ length: 1001 }, (_, index) => index) };
  assert.deepEqual(decodeCheckpoint(encodeCheckpoint(shrunk), "x.ckpt"), shrunk);
});

test("a checkpoint cut anywhere is damaged", () => {
  const bytes = encodeCheckpoint(checkpoint);
  for (let length = 0; length < bytes.byteLength; length += 7) {
    assert.equal(decodeCheckpoint(bytes.subarray(0, length), "x.ckpt"), "damaged", `${length} bytes`);
  }
});

test("a checkpoint with one flipped bit anywhere is damaged", () => {
  const bytes = encodeCheckpoint(checkpoint);
  for (let index = 0; index < bytes.byteLength; index += 5) {
    const flipped = Uint8Array.from(bytes);
    flipped[index] = (flipped[index] ?? 0) ^ (1 << (index % 8));
    assert.equal(decodeCheckpoint(flipped, "x.ckpt"), "damaged", `byte ${index}`);
  }
});

test("a foreign file is damaged", () => {
  for (const text of ["", "hello", "PENNI-CHECKPOINT-3\n", "x".repeat(1000)])
    assert.equal(decodeCheckpoint(Buffer.from(text), "x.ckpt"), "damaged");
});

test("a whole checkpoint of another version is an error that names the file and both versions", () => {
  for (const version of [1, 10]) {
    const body = Buffer.from(`PENNI-CHECKPOINT-${version}\nwhatever it holds`);
    const bytes = Buffer.concat([body, createHash("sha256").update(body).digest()]);
    const message = new RegExp(
      `^x\\.ckpt: .*another version.*expected .* 3, found checkpoint format ${version}`,
    );
    assert.throws(() => decodeCheckpoint(bytes, "x.ckpt"), { code: "bad-file", message });
  }
});

test("a checkpoint of other networks is an error that names the file", () => {
  checkIdentity(checkpoint, identity, "x.ckpt");
  assert.throws(() => checkIdentity(checkpoint, { ...identity, networks: "abd" }, "x.ckpt"), {
    code: "bad-file",
    message: /^x\.ckpt: this checkpoint belongs to another model/,
  });
});

test("a checkpoint of other options is an error that names the file and the options", () => {
  const options = { batch: "32", seed: "3", phases: "y".repeat(99), device: '"cpu"' };
  assert.throws(() => checkIdentity(checkpoint, { ...identity, options }, "x.ckpt"), {
    code: "bad-file",
    message:
      /^x\.ckpt: .*other options: expected batch 32, phases of its own, device "cpu", found batch 16, .*device nothing\./,
  });
});

test("a checkpoint goes on where the images are at another place, not with images of another kind", () => {
  const dataOf = (spec: string, validation = 0.1): string => JSON.stringify({ spec, validation });
  const atPlace = (data: string) => ({ ...identity, options: { ...identity.options, data } });
  const here = { ...checkpoint, identity: atPlace(dataOf("folder:/home/ann/photos")) };
  for (const spec of ["folder:/data/photos", 'folder:/a "quoted" \\ place', "folder:."])
    checkIdentity(here, atPlace(dataOf(spec)), "x.ckpt");
  const others = [dataOf("images:/home/ann/photos"), dataOf("synthetic:100"), dataOf("folder:/data", 0.2)];
  for (const data of others)
    assert.throws(() => checkIdentity(here, atPlace(data), "x.ckpt"), /other options/, data);
  const computed = { ...checkpoint, identity: atPlace(dataOf("synthetic:100")) };
  assert.throws(() => checkIdentity(computed, atPlace(dataOf("synthetic:200")), "x.ckpt"), /other options/);
});
