import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import fsPromises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { PenniError } from "../../src/graph/errors.js";
import { Bell } from "../../src/queue/bell.js";
import { DirectoryStore } from "../../src/queue/directory_store.js";
import { localSpec } from "../../src/queue/local_data.js";
import { manifestSchema } from "../../src/queue/manifest.js";
import { isPathBelow, runFileSchema } from "../../src/queue/names.js";
import { restore, Snapshots } from "../../src/queue/snapshot.js";
import { type RecordName, recordNames } from "../../src/queue/store.js";
import { awaitMarked } from "../../src/queue/store_marker.js";
import { dataFingerprint } from "../../src/sweep/data_fingerprint.js";

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

  test("a folder where a record should be is named, read or removed", async () => {
    const store = await DirectoryStore.create(place("folders"));
    for (const name of recordNames) {
      const record = path.join(place("folders"), "trials", trial, name);
      mkdirSync(record, { recursive: true });
      const named = isError("bad-file", new RegExp(`${trial}/${name}: the store is damaged.*Delete it`));
      await assert.rejects(store.record(trial, name), named);
      await assert.rejects(store.removeRecord(trial, name), named);
    }
  });

  test("records: what was set last, and the first one where that is asked for", async () => {
    const store = await DirectoryStore.create(place("records"));
    const text = async (name: RecordName): Promise<string | undefined> => {
      const bytes = await store.record(trial, name);
      return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
    };
    assert.equal(await text("result"), undefined);
    const contents = ["a", "b", "c", "d"];
    const answers = await Promise.all(
      contents.map((content) => store.setFirstRecord(trial, "result", content)),
    );
    assert.equal(answers.filter((wasFirst) => wasFirst).length, 1);
    assert.equal(await text("result"), contents[answers.indexOf(true)]);
    await store.setRecord(trial, "checkpoint", "a");
    await store.setRecord(trial, "checkpoint", "");
    assert.equal(await text("checkpoint"), "");
    await store.removeRecord(trial, "checkpoint");
    await store.removeRecord(trial, "checkpoint");
    assert.equal(await text("checkpoint"), undefined);
    assert.deepEqual(readdirSync(path.join(place("records"), "trials", trial)), ["result"]);
  });

  test("a record that was cut or changed counts as none, but for those that must last", async () => {
    const store = await DirectoryStore.create(place("torn"));
    for (const name of recordNames) {
      await store.setRecord(trial, name, "as it was");
      const file = path.join(place("torn"), "trials", trial, name);
      const whole = readFileSync(file, "utf8");
      // A power cut before it was on the disk, and a bad disk.
      for (const content of [
        "",
        whole.slice(0, 64),
        whole.slice(0, -1),
        `${whole}!`,
        whole.replace("was", "is"),
      ]) {
        writeFileSync(file, content);
        if (name === "checkpoint" || name === "result")
          await assert.rejects(store.record(trial, name), isError("bad-file", /damaged/));
        else assert.equal(await store.record(trial, name), undefined);
      }
    }
  });

  test("is waited for where it may come, and nowhere else", async () => {
    const notices: string[] = [];
    const wait = (name: string, limitMs: number, bell = new Bell()): Promise<void> =>
      awaitMarked(place(name), { limitMs, bell, notice: (text) => notices.push(text) });
    await assert.rejects(wait("never", 0), isError("io", /no store of Penni in this directory: expected/));
    await assert.rejects(
      wait("never", 100),
      isError("io", /no store of Penni in this directory after 0\.1 s/),
    );
    assert.equal(notices.length, 1, notices.join());
    mkdirSync(place("mount-point"));
    const coming = wait("mount-point", Number.POSITIVE_INFINITY);
    await DirectoryStore.create(place("mount-point"));
    await coming;
    assert.match(notices.at(-1) ?? "", /mount-point is a store now$/);
    const bell = new Bell();
    const given = wait("never", Number.POSITIVE_INFINITY, bell);
    bell.ring();
    await given;
    writeFileSync(place("file"), "");
    mkdirSync(place("thesis"));
    writeFileSync(path.join(place("thesis"), "thesis.tex"), "");
    await assert.rejects(wait("file", 10_000), isError("io", /cannot read the store.*ENOTDIR/));
    await assert.rejects(wait("thesis", 10_000), isError("io", /not empty, and no store/));
  });

  test("on a file system without hard links is refused before anything is computed", async (t) => {
    const store = await DirectoryStore.create(place("stick"));
    const linking = t.mock.method(fsPromises, "link", async () => {
      throw Object.assign(new Error("not permitted"), { code: "EPERM" });
    });
    syncBuiltinESMExports();
    try {
      await assert.rejects(store.checkWritable(), isError("io", /no second names.*found EPERM/));
      assert.equal(linking.mock.callCount(), 1);
    } finally {
      linking.mock.restore();
      syncBuiltinESMExports();
    }
    await store.checkWritable();
    assert.deepEqual(readdirSync(place("stick")), ["penni-store.json"]);
  });

  test("two that make the same one at once both have it", async () => {
    const stores = await Promise.all([0, 1, 2].map(() => DirectoryStore.create(place("at-once"))));
    const [first, , last] = stores;
    assert.ok(first !== undefined && last !== undefined);
    const sha256 = await first.put("shared");
    assert.ok(await last.has(sha256));
    await first.checkWritable();
    assert.deepEqual(readdirSync(place("at-once")).sort(), ["objects", "penni-store.json"]);
  });

  test("what workers have left that were killed while they wrote is removed with what is replaced", async () => {
    const store = await DirectoryStore.create(place("killed"));
    const kept = await store.put("the checkpoint", trial);
    const objects = path.join(place("killed"), "trials", trial, "objects");
    const names = ["left", "being written"].map((name) => `.penni-7-${digest(name).slice(0, 12)}.tmp`);
    for (const name of [...names, "notes.txt"]) writeFileSync(path.join(objects, name), "half");
    for (const name of [...names.slice(0, 1), "notes.txt"]) utimesSync(path.join(objects, name), 1, 1);
    await store.prune(trial, new Set([kept]), 30_000);
    assert.deepEqual(readdirSync(objects).sort(), [...names.slice(1), kept, "notes.txt"].sort());
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
    await assert.rejects(store.setRecord(trial, "result", "x"), isError("bad-file", /damaged/));
    writeFileSync(path.join(elsewhere, "result"), `${digest("x")}\nx`);
    await assert.rejects(store.record(trial, "result"), isError("bad-file", /damaged/));
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
      await assert.rejects(store.setRecord(name, "result", "x"));
      await assert.rejects(store.setFirstRecord(name, "result", "x"));
      await assert.rejects(store.record(name, "result"));
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
  writeFileSync(path.join(run, "stages/shrink.onnx"), Buffer.alloc(100_000, 7));
  writeFileSync(path.join(run, "stages/recover.onnx"), Buffer.alloc(1_500_000, 8));
  const manifest = await snapshots.take(false);
  // Small ones stand in the list itself.
  assert.deepEqual(
    manifest.files.map((file) => [file.name, "sha256" in file]),
    [
      ["config.json", false],
      ["stages/original.onnx", false],
      ["stages/recover.onnx", true],
      ["stages/shrink.onnx", true],
    ],
  );
  const there = { model: "/sweep/net.onnx", data: "folder:/there/photos" };
  await restore(manifest, trial, store, place("restored"), there);
  const config = JSON.parse(readFileSync(path.join(place("restored"), "config.json"), "utf8"));
  assert.deepEqual(config, { ...there, seed: 1 });
  for (const name of ["original", "recover", "shrink"])
    assert.deepEqual(
      readFileSync(path.join(place("restored"), `stages/${name}.onnx`)),
      readFileSync(path.join(run, `stages/${name}.onnx`)),
    );
  assert.deepEqual(readdirSync(place("restored")).sort(), ["checkpoints", "config.json", "stages"]);
  // What another worker has removed is put there again, though the run has not changed.
  await store.prune(trial, new Set(), 0);
  await assert.rejects(
    restore(manifest, trial, store, place("gone"), there),
    isError("bad-file", /not in the store/),
  );
  assert.deepEqual(await snapshots.take(false), manifest);
  await restore(manifest, trial, store, place("restored"), there);
  const [held] = manifest.files;
  assert.ok(held !== undefined && "base64" in held);
  for (const file of [
    { ...held, name: "../../.bashrc" },
    { ...held, name: "/etc/passwd" },
    { ...held, base64: "no base64!" },
    { ...held, mode: 0o777 },
  ])
    assert.ok(!manifestSchema.safeParse({ format: 1, files: [file] }).success, JSON.stringify(file));
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
