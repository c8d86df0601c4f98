import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { WorkDirectory } from "../../src/queue/work_directory.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-work-"));
after(() => rmSync(folder, { recursive: true, force: true }));

describe("a worker's folder", () => {
  test("is not removed by workers of the same place that begin at the same time", async () => {
    const place = path.join(folder, "at-once");
    const works = await Promise.all(Array.from({ length: 16 }, () => WorkDirectory.make(place)));
    assert.deepEqual(readdirSync(place).sort(), works.map(({ root }) => path.basename(root)).sort());
    for (const work of works) await work.remove();
    assert.deepEqual(readdirSync(place), []);
  });

  test("that a worker has left before it was locked is removed later, what is another's never", async () => {
    const place = path.join(folder, "left");
    const old = path.join(place, "worker-0123456789ab");
    const others = ["worker-fedcba987654", "worker-notes", "thesis"].map((name) => path.join(place, name));
    for (const made of [old, ...others]) mkdirSync(made, { recursive: true });
    for (const made of [old, ...others.slice(1)]) utimesSync(made, 1, 1);
    const work = await WorkDirectory.make(place);
    assert.ok(!existsSync(old));
    for (const other of others) assert.ok(existsSync(other), other);
    await work.remove();
  });
});
