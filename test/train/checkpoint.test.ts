import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import {
  type Checkpoint,
  checkIdentity,
  checkpointParts,
  openCheckpoint,
  type StageIdentity,
} from "../../src/train/checkpoint.js";
import type { CheckpointTensor } from "../../src/train/checkpoint_tensor.js";

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

const encoded = (given: Checkpoint): Buffer => Buffer.concat(checkpointParts(given));

/** The whole checkpoint in these bytes, its tensors included. */
async function decoded(bytes: Uint8Array): Promise<Checkpoint | "damaged"> {
  const source = {
    size: bytes.byteLength,
    read: async (into: Uint8Array, offset: number): Promise<void> => {
      assert.ok(offset + into.byteLength <= bytes.byteLength, "read beyond the end");
      into.set(bytes.subarray(offset, offset + into.byteLength));
    },
  };
  const found = await openCheckpoint(source, "x.ckpt");
  if (found === "damaged") return found;
  const tensors = new Map<string, CheckpointTensor>();
  for await (const [name, tensor] of found.tensors()) tensors.set(name, tensor);
  return { ...found, tensors };
}

test("a checkpoint survives encoding bit for bit", async () => {
  assert.deepEqual(await decoded(encoded(checkpoint)), checkpoint);
});

test("a checkpoint's parts are the tensors themselves, not copies", () => {
  const buffers = new Set(checkpointParts(checkpoint).map(({ buffer }) => buffer));
  for (const [name, { data }] of checkpoint.tensors) assert.ok(buffers.has(data.buffer), name);
});

test("a checkpoint carries the network of a stage that has shrunk", async () => {
  const shrunk = { ...checkpoint, network: Uint8Array.from({ length: 1001 }, (_, index) => index) };
  assert.deepEqual(await decoded(encoded(shrunk)), shrunk);
});

test("a checkpoint of several megabytes is hashed in pieces", async () => {
  const data = Float32Array.from({ length: 600_001 }, (_, index) => Math.sin(index));
  const large = { ...checkpoint, tensors: new Map([["w", { dims: [600_001], data }]]) };
  const bytes = encoded(large);
  assert.deepEqual(await decoded(bytes), large);
  bytes[2_000_000] = (bytes[2_000_000] ?? 0) ^ 1;
  assert.equal(await decoded(bytes), "damaged");
});

test("what version 3 has written since it was introduced is read", async () => {
  const header = JSON.stringify({
    ...{ identity, step: 2, lossSum: 1, hits: 1, images: 2, recoveries: [], history: [] },
    tensors: [{ name: "w", dims: [2] }],
  });
  const length = Buffer.alloc(4);
  length.writeUInt32LE(Buffer.byteLength(header));
  const data = Buffer.alloc(8);
  data.writeFloatLE(1.5, 0);
  data.writeFloatLE(-2, 4);
  const body = Buffer.concat([Buffer.from("PENNI-CHECKPOINT-3\n"), length, Buffer.from(header), data]);
  const found = await decoded(Buffer.concat([body, createHash("sha256").update(body).digest()]));
  assert.ok(found !== "damaged");
  assert.equal(found.step, 2);
  assert.deepEqual(found.tensors, new Map([["w", { dims: [2], data: Float32Array.of(1.5, -2) }]]));
});

test("a checkpoint cut anywhere is damaged", async () => {
  const bytes = encoded(checkpoint);
  for (let length = 0; length < bytes.byteLength; length += 7) {
    assert.equal(await decoded(bytes.subarray(0, length)), "damaged", `${length} bytes`);
  }
});

test("a checkpoint with one flipped bit anywhere is damaged", async () => {
  const bytes = encoded(checkpoint);
  for (let index = 0; index < bytes.byteLength; index += 5) {
    const flipped = Uint8Array.from(bytes);
    flipped[index] = (flipped[index] ?? 0) ^ (1 << (index % 8));
    assert.equal(await decoded(flipped), "damaged", `byte ${index}`);
  }
});

test("a foreign file is damaged, whatever its digest", async () => {
  for (const text of [
    "",
    "hello",
    "PENNI-CHECKPOINT-3\n",
    "PENNI-CHECKPOINT-3\n\xff\xff\xff\x7f{}",
    "x".repeat(1000),
  ]) {
    const body = Buffer.from(text, "latin1");
    assert.equal(await decoded(body), "damaged");
    const whole = Buffer.concat([body, createHash("sha256").update(body).digest()]);
    assert.equal(await decoded(whole), "damaged");
  }
});

test("a whole checkpoint of another version is an error that names the file and both versions", async () => {
  for (const version of [1, 10]) {
    const body = Buffer.from(`PENNI-CHECKPOINT-${version}\nwhatever it holds`);
    const bytes = Buffer.concat([body, createHash("sha256").update(body).digest()]);
    const message = new RegExp(
      `^x\\.ckpt: .*another version.*expected .* 3, found checkpoint format ${version}`,
    );
    await assert.rejects(decoded(bytes), { code: "bad-file", message });
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
