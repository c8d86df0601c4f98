import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { writeFileAtomic } from "../../src/files/atomic.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-in-place-"));
after(() => rmSync(folder, { recursive: true }));

const withoutPipes =
  spawnSync("mkfifo", [path.join(folder, "try")]).status === 0 ? false : "no named pipes here";

test("a pipe stays one, and what is written goes into it", { skip: withoutPipes }, async () => {
  const pipe = path.join(folder, "pipe");
  spawnSync("mkfifo", [pipe]);
  const reader = promisify(execFile)("cat", [pipe]);
  assert.equal(
    await writeFileAtomic(
      pipe,
      ["one, ", "two"].map((text) => new TextEncoder().encode(text)),
    ),
    8,
  );
  assert.equal((await reader).stdout, "one, two");
  assert.ok(lstatSync(pipe).isFIFO());
});

test("a link stays one, and the file that it leads to is replaced as a whole", async () => {
  const [place, link] = [path.join(folder, "place"), path.join(folder, "link.onnx")];
  mkdirSync(place);
  const file = path.join(place, "file.onnx");
  writeFileSync(file, "old contents");
  symlinkSync(path.join("place", "file.onnx"), link);
  await writeFileAtomic(link, "new");
  assert.ok(lstatSync(link).isSymbolicLink());
  assert.equal(readFileSync(file, "utf8"), "new");
  assert.deepEqual(readdirSync(place), ["file.onnx"]);
});
