import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { PenniError } from "../../src/graph/errors.js";
import { dataFingerprint, localSpec } from "../../src/queue/data_fingerprint.js";
import { DirectoryStore } from "../../src/queue/directory_store.js";
import { isPathBelow, runFileSchema } from "../../src/queue/names.js";
import { restore, Snapshots } from "../../src/queue/snapshot.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-store-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const digest = (text: string): string => createHash("sha256").update(text).digest("hex");
const trial = digest("a trial");
const place = (name: string): string => path.join(folder, name);

const isError =
  (code: string, message: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof PenniError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };

describe("the store in a directory", () => {
  test("gives back what was put in, shared or of a trial, from memory or a file", async () => {
    const store = await DirectoryStore.create(place("plain"));
    assert.equal(await store.put("shared"), digest("shared"));
    writeFileSync(place("source"), "of a trial");
    assert.deepEqual(await store.putFile(place("source"), trial), {
      sha256: digest("of a trial"),
      bytes: 10,
    });
    const again = await DirectoryStore.open(place("plain"));
    assert.equal(new TextDecoder().decode(await again.read(digest("shared"), trial)), "shared");
    await again.fetch(digest("of a trial"), place("fetched"), trial);
    assert.equal(readFileSync(place("fetched"), "utf8"), "of a trial");
    await assert.rejects(store.read(digest("of a trial")), isError("bad-file", /not in the store/));
  });

  test("pointers: the first one stays where that is asked for", async () => {
    const store = await DirectoryStore.create(place("pointers"));
    assert.equal(await store.pointed(trial, "result"), undefined);
    const answers = await Promise.all(
      ["a", "b", "c", "d"].map((text) => store.pointFirst(trial, "result", digest(text))),
    );
    assert.equal(new Set(answers).size, 1);
    assert.equal(await store.pointed(trial, "result"), answers[0]);
    await store.point(trial, "checkpoint", digest("a"));
    await store.point(trial, "checkpoint", digest("b"));
    assert.equal(await store.pointed(trial, "checkpoint"), digest("b"));
    await store.unpoint(trial, "checkpoint");
    assert.equal(await store.pointed(trial, "checkpoint"), undefined);
  });

  test("what was changed is found at every read, and put right by putting it again", async () => {
    const store = await DirectoryStore.create(place("changed"));
    const sha256 = await store.put("as it was", trial);
    const file = path.join(place("changed"), "trials", trial, "objects", sha256);
    for (const damage of [
      () => truncateSync(file, 3),
      () => writeFileSync(file, "as it is"),
      () => writeFileSync(file, ""),
    ]) {
      damage();
      await assert.rejects(store.read(sha256, trial), isError("bad-file", /damaged/));
      await assert.rejects(store.fetch(sha256, place("never"), trial), isError("bad-file", /damaged/));
      await store.put("as it was", trial);
      assert.equal(new TextDecoder().decode(await store.read(sha256, trial)), "as it was");
    }
    writeFileSync(path.join(place("changed"), "trials", trial, "result"), "no digest\n");
    await assert.rejects(store.pointed(trial, "result"), isError("bad-file", /damaged/));
  });

  test("links are followed nowhere below it", async () => {
    const store = await DirectoryStore.create(place("linked"));
    const secret = place("secret");
    writeFileSync(secret, "secret");
    const sha256 = digest("secret");
    const objects = path.join(place("linked"), "objects", sha256.slice(0, 2));
    mkdirSync(objects, { recursive: true });
    symlinkSync(secret, path.join(objects, sha256));
    await assert.rejects(store.read(sha256), isError("bad-file", /damaged/));
    await assert.rejects(store.put("secret"), isError("bad-file", /damaged/));
    const elsewhere = place("elsewhere");
    mkdirSync(elsewhere);
    mkdirSync(path.join(place("linked"), "trials"), { recursive: true });
    symlinkSync(elsewhere, path.join(place("linked"), "trials", trial));
    await assert.rejects(store.put("x", trial), isError("bad-file", /damaged/));
    await assert.rejects(store.point(trial, "result", digest("x")), isError("bad-file", /damaged/));
    writeFileSync(path.join(elsewhere, "result"), `${digest("x")}\n`);
    await assert.rejects(store.pointed(trial, "result"), isError("bad-file", /damaged/));
  });

  test("names that are no digests lead nowhere", async () => {
    const store = await DirectoryStore.create(place("names"));
    for (const name of [
      "../../etc/passwd",
      "",
      digest("x").toUpperCase(),
      `${digest("x")}/..`,
      `../${trial}`,
    ]) {
      await assert.rejects(store.read(name));
      await assert.rejects(store.put("x", name));
      await assert.rejects(store.point(name, "result", digest("x")));
      await assert.rejects(store.point(trial, "result", name));
    }
  });

  test("an empty directory is none for a worker: it may be a mount point", async () => {
    mkdirSync(place("empty"));
    await assert.rejects(DirectoryStore.open(place("empty")), isError("io", /no store of Penni.*mounted/));
    mkdirSync(place("full"));
    writeFileSync(path.join(place("full"), "thesis.tex"), "");
    await assert.rejects(DirectoryStore.create(place("full")), isError("io", /not empty/));
    const store = await DirectoryStore.create(place("gone"));
    rmSync(place("gone"), { recursive: true });
    mkdirSync(place("gone"));
    await assert.rejects(store.put("lost"), isError("io", /cannot write to the store/));
    assert.equal(await store.isThere(), false);
  });
});

test("paths of files stay below their folder", () => {
  for (const name of ["a", "a/b.c", "weights/data 1.bin", ".hidden"]) assert.ok(isPathBelow(name), name);
  const bad = [
    "",
    "/",
    "/a",
    "a/",
    "..",
    "../a",
    "a/../../b",
    "a//b",
    "a\\b",
    "..\\a",
    "C:a",
    "a\0b",
    "a\nb",
    "./a",
  ];
  for (const name of bad) assert.ok(!isPathBelow(name), JSON.stringify(name));
  for (const name of ["config.json", "stages/original.onnx", "checkpoints/calibration-ab12.bin"])
    assert.ok(runFileSchema.safeParse(name).success, name);
  for (const name of [...bad, ".bashrc", "stages/.x", "a/b/c", "stages/../x"])
    assert.ok(!runFileSchema.safeParse(name).success, JSON.stringify(name));
});

test("a snapshot of a run comes back as it was, with its files where they are there", async () => {
  const store = await DirectoryStore.create(place("snapshots"));
  const run = place("run");
  mkdirSync(path.join(run, "checkpoints"), { recursive: true });
  mkdirSync(path.join(run, "stages"));
  const here = { model: "/here/net.onnx", data: "folder:/here/photos" };
  writeFileSync(path.join(run, "config.json"), JSON.stringify({ ...here, seed: 1 }));
  writeFileSync(path.join(run, "stages/original.onnx"), "weights");
  writeFileSync(path.join(run, "run-1.lock"), "locked");
  writeFileSync(path.join(run, "report.html"), "a report");
  symlinkSync("/etc/passwd", path.join(run, "link~"));
  const sweep = { model: "/sweep/net.onnx", data: "folder:/sweep/photos" };
  const snapshots = new Snapshots(run, trial, store, sweep);
  const { manifest, objects } = await snapshots.take(false);
  assert.equal(objects.size, 3);
  const there = { model: "/sweep/net.onnx", data: "folder:/there/photos" };
  await restore(manifest, trial, store, place("restored"), there);
  const config = JSON.parse(readFileSync(path.join(place("restored"), "config.json"), "utf8"));
  assert.deepEqual(config, { ...there, seed: 1 });
  assert.equal(readFileSync(path.join(place("restored"), "stages/original.onnx"), "utf8"), "weights");
  const hostile = await store.put(
    JSON.stringify({ format: 1, files: [{ name: "../../.bashrc", sha256: [...objects][0] }] }),
    trial,
  );
  await assert.rejects(
    restore(hostile, trial, store, place("hostile"), there),
    isError("bad-file", /refused/),
  );
});

describe("images on another machine", () => {
  test("have one digest of their names and content, wherever they are", async () => {
    const photos = (name: string, content: string): string => {
      mkdirSync(path.join(place(name), "cats"), { recursive: true });
      writeFileSync(path.join(place(name), "cats/1.jpg"), content);
      return `folder:${place(name)}`;
    };
    const first = await dataFingerprint(photos("photos-1", "cat"));
    assert.match(first ?? "", /^[0-9a-f]{64}$/);
    assert.equal(await dataFingerprint(photos("photos-2", "cat")), first);
    assert.notEqual(await dataFingerprint(photos("photos-3", "dog")), first);
    assert.equal(await dataFingerprint("synthetic:100"), undefined);
    await assert.rejects(dataFingerprint(`folder:${place("nowhere")}`), isError("io", /nowhere/));
  });

  test("are where a map says", () => {
    const maps = [
      { from: "/home/ann", to: "/data" },
      { from: "/home/ann/photos", to: "/photos" },
    ];
    assert.equal(localSpec("folder:/home/ann/photos/cats", maps), "folder:/photos/cats");
    assert.equal(localSpec("cifar10:/home/ann/cifar", maps), "cifar10:/data/cifar");
    assert.equal(localSpec("folder:/home/anna", maps), "folder:/home/anna");
    assert.equal(localSpec("/home/ann", maps), "/data");
    assert.equal(localSpec("synthetic:5", maps), "synthetic:5");
  });
});
