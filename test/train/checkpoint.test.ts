import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { PenniError } from "../../src/graph/errors.js";
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  readCheckpoint,
  writeCheckpoint,
} from "../../src/train/checkpoint.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-checkpoint-"));
after(() => rm(folder, { recursive: true, force: true }));

const checkpoint: Checkpoint = {
  fingerprint: "abc",
  step: 17,
  lossSum: 0.1 + 0.2,
  hits: 5,
  images: 64,
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
    },
  ],
  tensors: new Map([
    ["größe/é", { dims: [2, 3], data: Float32Array.of(1, -0, 1e-40, Number.NaN, Infinity, 3.5) }],
    ["scalar", { dims: [], data: Float32Array.of(2) }],
    ["empty", { dims: [0, 4], data: new Float32Array() }],
    ["last", { dims: [1], data: Float32Array.of(-7) }],
  ]),
};

const isDamage = (error: unknown): boolean =>
  error instanceof PenniError && error.code === "bad-file" && /^x\.ckpt: .*Delete it/.test(error.message);

test("a checkpoint survives encoding bit for bit, wherever its bytes lie", () => {
  const bytes = encodeCheckpoint(checkpoint);
  for (const offset of [0, 1, 3]) {
    const moved = new Uint8Array(bytes.byteLength + offset);
    moved.set(bytes, offset);
    assert.deepEqual(decodeCheckpoint(moved.subarray(offset), "x.ckpt"), checkpoint);
  }
});

test("a checkpoint cut anywhere is an error that names the file", () => {
  const bytes = encodeCheckpoint(checkpoint);
  for (let length = 0; length < bytes.byteLength; length += 7) {
    assert.throws(() => decodeCheckpoint(bytes.subarray(0, length), "x.ckpt"), isDamage, `${length} bytes`);
  }
});

test("a checkpoint with one flipped bit anywhere is an error that names the file", () => {
  const bytes = encodeCheckpoint(checkpoint);
  for (let index = 0; index < bytes.byteLength; index += 5) {
    const flipped = Uint8Array.from(bytes);
    flipped[index] = (flipped[index] ?? 0) ^ (1 << (index % 8));
    assert.throws(() => decodeCheckpoint(flipped, "x.ckpt"), isDamage, `byte ${index}`);
  }
});

test("no file is no checkpoint; a file is read back", async () => {
  const file = path.join(folder, "a.ckpt");
  assert.equal(await readCheckpoint(file, "abc"), undefined);
  await writeCheckpoint(file, checkpoint);
  assert.deepEqual(await readCheckpoint(file, "abc"), checkpoint);
});

test("a checkpoint of another plan or network is an error that names the file", async () => {
  const file = path.join(folder, "b.ckpt");
  await writeCheckpoint(file, checkpoint);
  await assert.rejects(readCheckpoint(file, "other"), /b\.ckpt: .*another network or to other options/);
});

test("a foreign file is an error that names the file", async () => {
  const file = path.join(folder, "c.ckpt");
  await writeFile(file, "hello");
  await assert.rejects(readCheckpoint(file, "abc"), /c\.ckpt: .*not a whole checkpoint/);
  await assert.rejects(readCheckpoint(folder, "abc"), /cannot read the checkpoint/);
});
