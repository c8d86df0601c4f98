import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { isTemporaryFile } from "../../src/files/atomic.js";
import type { Checkpoint } from "../../src/train/checkpoint.js";
import { CheckpointStore } from "../../src/train/checkpoint_store.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-checkpoints-"));
after(() => rm(folder, { recursive: true, force: true }));

const identity = { networks: "abc", options: { batch: "16" } };

const stateAfter = (step: number): Omit<Checkpoint, "identity"> => ({
  step,
  lossSum: 1.5,
  hits: 5,
  images: 64,
  recoveries: [],
  history: [],
  tensors: new Map([["w", { dims: [1000], data: new Float32Array(1000).fill(step) }]]),
});

interface Opened {
  readonly store: CheckpointStore;
  readonly notices: string[];
}

function open(name: string, expected = identity): Opened {
  const notices: string[] = [];
  const store = new CheckpointStore(path.join(folder, name), expected, (text) => notices.push(text));
  return { store, notices };
}

async function written(name: string, ...steps: readonly number[]): Promise<Opened> {
  const opened = open(name);
  for (const step of steps) await opened.store.write(stateAfter(step));
  return opened;
}

async function halve(file: string): Promise<void> {
  await truncate(file, Math.floor((await readFile(file)).byteLength / 2));
}

async function flipBit(file: string): Promise<void> {
  const bytes = await readFile(file);
  bytes[2000] = (bytes[2000] ?? 0) ^ 4;
  await writeFile(file, bytes);
}

/** What `read` finds, its tensors included. */
async function readWhole(store: CheckpointStore): Promise<unknown> {
  const found = await store.read();
  assert.ok(found !== undefined);
  const tensors = new Map();
  for await (const [name, tensor] of found.tensors()) tensors.set(name, tensor);
  return { ...found, tensors };
}

const empty = (file: string): Promise<void> => writeFile(file, "");

test("no file is no checkpoint; what is written is read back", async () => {
  const { store, notices } = open("a.ckpt");
  assert.equal(await store.read(), undefined);
  await store.write(stateAfter(1));
  assert.deepEqual(await readWhole(store), { ...stateAfter(1), identity });
  await store.write(stateAfter(2));
  assert.deepEqual(await readWhole(store), { ...stateAfter(2), identity });
  assert.deepEqual(notices, []);
});

for (const [name, damage] of Object.entries({ halve, flipBit, empty })) {
  test(`a damaged checkpoint (${name}) gives way to the one before it, with a notice`, async () => {
    const { store, notices } = await written(`${name}.ckpt`, 1, 2, 3);
    await damage(store.file);
    // Its tensors too, which are read after it was put in the latest's place.
    assert.deepEqual(await readWhole(store), { ...stateAfter(2), identity });
    assert.equal(notices.length, 1);
    assert.match(notices[0] ?? "", new RegExp(`${name}\\.ckpt is damaged: .* step 2`));
    // The damaged one must not take the place of the last good one.
    await store.write(stateAfter(4));
    await damage(store.file);
    assert.equal((await store.read())?.step, 2);
  });
}

test("a state that is written shows up when it is kept, and leaves nothing when it is discarded", async () => {
  const { store } = await written("drafts.ckpt", 1, 2);
  const good = await store.draft(stateAfter(3));
  assert.equal((await store.read())?.step, 2);
  await good.keep();
  assert.deepEqual(await readWhole(store), { ...stateAfter(3), identity });
  await (await store.draft(stateAfter(4))).discard();
  assert.equal((await store.read())?.step, 3);
  assert.deepEqual((await readdir(folder)).filter(isTemporaryFile), []);
  // What a kill leaves of one is known as such, and the checkpoints are as they were.
  await store.draft(stateAfter(5));
  assert.equal((await readdir(folder)).filter(isTemporaryFile).length, 1);
  assert.equal((await store.read())?.step, 3);
});

test("a kill between two renames leaves the checkpoint before", async () => {
  const { store, notices } = await written("renamed.ckpt", 1, 2);
  await rm(store.file);
  assert.equal((await store.read())?.step, 1);
  assert.deepEqual(notices, []);
});

test("where every checkpoint is damaged, the error names them and says what to do", async () => {
  const both = await written("both.ckpt", 1, 2);
  await halve(both.store.file);
  await halve(both.store.previous);
  await assert.rejects(both.store.read(), {
    code: "bad-file",
    message:
      /both\.ckpt and .*both\.previous\.ckpt: damaged checkpoint.*Delete both to start the stage again/,
  });
  const one = await written("one.ckpt", 1);
  await halve(one.store.file);
  await assert.rejects(one.store.read(), /one\.ckpt: damaged checkpoint.*Delete it/);
});

test("a checkpoint of another model or other options is refused, not passed over", async () => {
  await written("other.ckpt", 1, 2);
  const model = open("other.ckpt", { ...identity, networks: "xyz" });
  await assert.rejects(model.store.read(), /other\.ckpt: .*another model/);
  const options = open("other.ckpt", { ...identity, options: { batch: "8" } });
  await assert.rejects(options.store.read(), /other\.ckpt: .*expected batch 8, found batch 16/);
});

test("a checkpoint that cannot be written or read is an error that names the file", async () => {
  const { store } = open("none/x.ckpt");
  await assert.rejects(store.write(stateAfter(1)), {
    code: "io",
    message: /none\/x\.ckpt: the file.s directory is not there/,
  });
  const directory = new CheckpointStore(folder, identity, () => undefined);
  await assert.rejects(directory.read(), { code: "io", message: /cannot read a file of the run/ });
});
