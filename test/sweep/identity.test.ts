import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import fsPromises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { dataFingerprint } from "../../src/sweep/data_fingerprint.js";
import { InputDigests, trialId } from "../../src/sweep/identity.js";
import { resultVersions } from "../../src/sweep/provenance.js";
import { projectRoot } from "../../support/shared.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-identity-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function photos(name: string, content: string): string {
  const place = path.join(folder, name);
  mkdirSync(path.join(place, "cats"), { recursive: true });
  writeFileSync(path.join(place, "cats/1.jpg"), content);
  return `folder:${place}`;
}

describe("the id of a trial", () => {
  const classes = path.join(folder, "classes.txt");
  writeFileSync(classes, "cat\ndog\n");
  const settings = { basis: 4, classes, data: photos("photos", "cat") };
  const of = (given: Readonly<Record<string, unknown>>): Promise<string> =>
    trialId(given, new InputDigests());

  test("is the same for the same, in any order, wherever files lie", async () => {
    const id = await of(settings);
    assert.match(id, /^[0-9a-f]{64}$/);
    const { data, ...others } = settings;
    const elsewhere = path.join(folder, "other.txt");
    writeFileSync(elsewhere, "cat\ndog\n");
    assert.equal(await of({ data, ...others, classes: elsewhere, checkpointSeconds: 7 }), id);
  });

  test("is another one for everything that decides the result", async () => {
    const ids = [await of(settings), await of({ ...settings, basis: 5 })];
    writeFileSync(classes, "dog\ncat\n");
    ids.push(await of(settings));
    ids.push(await trialId(settings, new InputDigests(), { ...resultVersions(), penni: "0.0.1" }));
    ids.push(await trialId(settings, new InputDigests(), { ...resultVersions(), onnxruntime: "1.0.0" }));
    assert.equal(new Set(ids).size, ids.length);
  });

  test("is another one for other images at the same place", async () => {
    // Each process reads images once.
    const program = `
      const { InputDigests, trialId } = await import(${JSON.stringify(pathToFileURL(path.join(projectRoot, "dist/src/sweep/identity.js")).href)});
      console.log(await trialId({ data: process.argv[1] }, new InputDigests()));`;
    const id = (): string => {
      const { stdout, stderr } = spawnSync(
        process.execPath,
        ["--input-type=module", "-e", program, settings.data],
        { encoding: "utf8" },
      );
      assert.match(stdout, /^[0-9a-f]{64}$/m, stderr);
      return stdout;
    };
    const before = id();
    assert.equal(id(), before);
    photos("photos", "dog");
    assert.notEqual(id(), before);
  });

  test("is found of a folder with more files than a call can have arguments", async (t) => {
    const inner = path.join(folder, "many", "train");
    mkdirSync(inner, { recursive: true });
    writeFileSync(path.join(inner, "0"), "cat");
    const names = Array.from({ length: 150_000 }, (_, index) => `${index}`);
    const { readdir, stat } = fsPromises;
    t.mock.method(fsPromises, "readdir", async (place: string) => (place === inner ? names : readdir(place)));
    // So large that only the first one is read.
    const file = { isFile: () => true, isDirectory: () => false, size: 2 ** 32 };
    t.mock.method(fsPromises, "stat", async (place: string) =>
      path.dirname(place) === inner ? file : stat(place),
    );
    syncBuiltinESMExports();
    try {
      assert.match((await dataFingerprint(`folder:${path.dirname(inner)}`)) ?? "", /^[0-9a-f]{64}$/);
    } finally {
      t.mock.restoreAll();
      syncBuiltinESMExports();
    }
  });

  test("says what it has read", async () => {
    const digests = new InputDigests();
    await trialId(settings, digests);
    await trialId({ data: "synthetic:100" }, digests);
    const { files, images } = await digests.all();
    assert.deepEqual([Object.keys(files), Object.keys(images)], [[classes], [settings.data]]);
  });
});
