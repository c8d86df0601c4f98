import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { writeModel } from "../../src/files/model_files.js";
import { penni } from "../../support/command_line.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-places-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => path.join(folder, name);

const tiny = at("tiny.onnx");
await writeModel(tiny, tinyCnn());
writeFileSync(at("file"), "mine");
mkdirSync(at("full"));
writeFileSync(at("full/mine"), "mine");
writeFileSync(at("sweep.yaml"), "model: tiny.onnx\n");
const data = ["--data", "synthetic:40"];

/** Every command whose result is a directory, but for that. */
const makeDirectories: Readonly<Record<string, readonly string[]>> = {
  compile: ["compile", tiny, "--target", "wasm"],
  compress: ["compress", tiny, ...data],
  train: ["train", tiny, ...data],
  sensitivity: ["sensitivity", tiny, ...data, "--images", "4"],
  sweep: ["sweep", at("sweep.yaml")],
  demo: ["demo"],
};

for (const [name, args] of Object.entries(makeDirectories)) {
  test(`${name}: a file where a directory is needed is one sentence, before anything is done`, async () => {
    const places: readonly (readonly [string, RegExp])[] = [
      [at("file"), /file: this is a file, where a directory is needed\. Name a directory/],
      [at("file/below"), /below: a part of this path is a file: found the file \S+file\. Name a directory/],
      [at("new.onnx"), /new\.onnx: this is a name for a file.*\. Name a directory, such as \S+new: /],
      ["", /^penni: an empty name is no place for a result: expected a path, found ""\. Choose one with -o/],
    ];
    for (const [place, message] of places) {
      const { status, stderr } = await penni([...args, "-o", place]);
      assert.equal(status, 1);
      const lines = stderr.split("\n").filter((line) => line.startsWith("penni: "));
      assert.equal(lines.length, 1, stderr);
      assert.match(lines[0] ?? "", message);
    }
    assert.ok(!existsSync(at("new.onnx")));
  });
}

/** Every command whose result is a file, but for that. */
const makeFiles: Readonly<Record<string, readonly string[]>> = {
  export: ["export", tiny, "--weights-type", "float16"],
  new: ["new", "resnet20", "--classes", "10", "--input", "3x32x32"],
};

for (const [name, args] of Object.entries(makeFiles)) {
  test(`${name}: a directory where a file is needed is one sentence`, async () => {
    const places: readonly (readonly [string, RegExp])[] = [
      [at("full"), /full: this is a directory, where a file is needed.*Name a file in it, as \S+NAME/],
      [`${at("none")}/`, /none\/: this is a directory, where a file is needed/],
      [at("none/net.onnx"), /net\.onnx: the file's directory is not there\. Make it first: mkdir -p \S+none/],
      [at("file/net.onnx"), /net\.onnx: cannot write the file: found ENOTDIR\. Check the path/],
      ["", /^penni: an empty name is no place for a result/],
    ];
    for (const [place, message] of places) {
      const { status, stderr } = await penni([...args, "-o", place]);
      assert.equal(status, 1);
      assert.match(stderr, /^penni: [^\n]+\n$/);
      assert.match(stderr, message);
    }
    assert.deepEqual(readdirSync(at("full")), ["mine"]);
  });
}

for (const [name, args] of Object.entries({ ...makeFiles, report: ["report", at("run")] })) {
  test(`${name}: no file is lost to another, the model itself neither, also by a link`, async () => {
    const before = readFileSync(tiny);
    rmSync(at("link.onnx"), { force: true });
    symlinkSync(tiny, at("link.onnx"));
    for (const place of [tiny, at("link.onnx"), at("file")]) {
      const { status, stderr } = await penni([...args, "-o", place]);
      assert.equal(status, 1);
      assert.match(stderr, /^penni: \S+: there is a file of this name already\. Choose a new name with -o/);
    }
    assert.deepEqual(readFileSync(tiny), before);
    assert.equal(readFileSync(at("file"), "utf8"), "mine");
  });
}

for (const [name, args] of Object.entries(makeFiles)) {
  test(`${name}: a device takes what comes`, { skip: process.platform === "win32" }, async () => {
    const { status, stderr } = await penni([...args, "-o", "/dev/null"]);
    assert.equal(stderr, "");
    assert.equal(status, 0);
    assert.ok(statSync("/dev/null").isCharacterDevice());
  });
}
