import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import sharp from "sharp";
import { writeModel } from "../../src/files/model_files.js";
import { int } from "../../src/graph/attributes.js";
import type { Graph, Node } from "../../src/graph/types.js";
import { load } from "../../src/runtime/index.js";
import { penni } from "../../support/command_line.js";
import { node, smallGraph } from "../../support/small_models.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-stated-names-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string): string => path.join(folder, name);

/** Scores are the means of three channels. */
function threeScores(names: readonly string[], last: readonly Node[] = []): Graph {
  const pooled = [node("GlobalAveragePool", ["x"], "pooled")];
  const scored = node("Flatten", ["pooled"], last.length === 0 ? "y" : "flat", { axis: int(1) });
  return {
    ...smallGraph(["N", 3, 4, 4], [...pooled, scored, ...last], {}),
    metadata: new Map([["penni.classNames", JSON.stringify(names)]]),
  };
}

for (const [index, name] of ["0", "1", "2"].entries()) {
  mkdirSync(file(`data/${name}`), { recursive: true });
  const background = { r: index === 0 ? 255 : 0, g: index === 1 ? 255 : 0, b: index === 2 ? 255 : 0 };
  for (let image = 0; image < 10; image++)
    await sharp({ create: { width: 5, height: 7, channels: 3, background } })
      .png()
      .toFile(file(`data/${name}/${image}.png`));
}
const data = ["--data", `folder:${file("data")}`];

const unusable: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["one too many", ["none", "a", "b", "c"], /metadata name 4 classes, output "y" scores 3/],
  ["one too few", ["a", "b"], /metadata name 2 classes, output "y" scores 3/],
  ["one twice", ["a", "b", "a "], /metadata name 3 classes, one of them twice/],
  ["none with letters", ["", "", ""], /metadata name 3 classes, one of them twice/],
];

for (const [what, names, message] of unusable) {
  test(`class names in the metadata, ${what}: said, and not used`, async () => {
    const model = file(`${what}.onnx`);
    await writeModel(model, threeScores(names));
    const evaluated = await penni(["eval", model, ...data, "--json"]);
    assert.match(evaluated.stderr, message);
    assert.equal(JSON.parse(evaluated.stdout).top1, 1);
    for (const target of ["c", "wasm"]) {
      const out = file(`${what} ${target}`);
      const compiled = await penni([
        "compile",
        model,
        "--target",
        target,
        "-o",
        out,
        "--name",
        "n",
        "--json",
      ]);
      assert.equal(compiled.status, 0);
      assert.match(compiled.stderr, message);
      JSON.parse(compiled.stdout);
      const written = readFileSync(path.join(out, target === "c" ? "n.h" : "n.wasm"), "latin1");
      assert.doesNotMatch(written, /class_?names/i);
    }
  });
}

test("class names that fit are kept without a word; long ones are cut in messages", async () => {
  const long = "a".repeat(100_000);
  const model = file("long.onnx");
  await writeModel(model, threeScores([long, "b", "c"]));
  const { stderr, status } = await penni(["eval", model, ...data]);
  assert.equal(status, 0);
  assert.match(stderr, /3 of 3 classes have other names in the model \("0" for "a{100}\.\.\."\)/);
  assert.ok(stderr.length < 1000);
  const out = file("long");
  const compiled = await penni(["compile", model, "--target", "wasm", "-o", out, "--name", "n"]);
  assert.deepEqual([compiled.status, compiled.stderr], [0, ""]);
  assert.ok(readFileSync(path.join(out, "n.wasm"), "latin1").includes(long));
});

test("eval says that scores which are no numbers count as wrong", async () => {
  const model = file("roots.onnx");
  const last = [node("Sqrt", ["flat"], "y")];
  await writeModel(model, { ...threeScores(["0", "1", "2"], last), metadata: new Map() });
  const { stderr, stdout } = await penni(["eval", model, ...data, "--mean", "0.01,0,0", "--std", "1,1,1"]);
  // Of two test images of each class those without red have the root of -0.01.
  assert.match(stderr, /warning: 4 of 6 images have scores that are not numbers \(NaN\) and count as wrong/);
  assert.match(stdout, /33\.33 % \(2 of 6\)/);
});

test("no test images, as classes of one image each give: refused, not 0 of 0", async () => {
  for (let name = 0; name < 10; name++) {
    mkdirSync(file(`single/${name}`), { recursive: true });
    copyFileSync(file(`data/${name % 3}/0.png`), file(`single/${name}/0.png`));
  }
  const model = file("single.onnx");
  await writeModel(model, tinyCnn());
  const single = ["--data", `folder:${file("single")}`];
  for (const command of [
    ["eval"],
    ["compress", "-o", file("run"), "--target-macs", "0.75"],
    ["train", "-o", file("run"), "--batch", "1"],
  ]) {
    const { status, stdout, stderr } = await penni([...command, model, ...single]);
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /there are no test images to measure on: expected at least 1 image, found 0/);
  }
  assert.equal((await penni(["eval", model, ...single, "--split", "train"])).status, 0);
});

/** As Ultralytics writes it, with the classes the other way round. */
const exported: Graph = {
  ...threeScores([]),
  metadata: new Map(
    Object.entries({
      author: "Ultralytics",
      stride: "1",
      task: "classify",
      names: "{0: '2', 1: '1', 2: '0'}",
    }),
  ),
};

test("what an exporter states of pictures and classes holds", async () => {
  const model = file("exported.onnx");
  await writeModel(model, exported);
  const evaluated = await penni(["eval", model, ...data, "--json"]);
  assert.match(evaluated.stderr, /0 to 1, mean 0 0 0, std 1 1 1 \(the model's metadata\)/);
  assert.match(evaluated.stderr, /matched by name to the 3 of the model/);
  assert.ok(Math.abs(JSON.parse(evaluated.stdout).top1 - 1 / 3) < 1e-6);
  const out = file("exported wasm");
  await penni(["compile", model, "--target", "wasm", "-o", out, "--input-shape", "x:1x3x4x4"]);
  const compiled = await load(readFileSync(path.join(out, "exported.wasm")));
  assert.deepEqual(compiled.classNames, ["2", "1", "0"]);
  const red = { width: 1, height: 1, data: Uint8Array.of(255, 0, 51, 255) };
  assert.deepEqual(
    [...compiled.prepare(red)].filter((_, at) => at % 16 === 0),
    [1, 0, Math.fround(0.2)],
  );
});
