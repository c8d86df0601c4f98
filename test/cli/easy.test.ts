import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { guessSpec } from "../../src/data/guess_spec.js";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { int64Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { penni } from "../../support/command_line.js";
import { writeImages } from "../../support/label_free.js";
import { node } from "../../support/small_models.js";
import { TINY_SIZE, tinyCnn } from "../../support/tiny_cnn.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-easy-"));
after(() => rm(folder, { recursive: true, force: true }));
const place = (...parts: readonly string[]): string => path.join(folder, ...parts);

before(async () => {
  await writeModel(place("tiny.onnx"), tinyCnn());
  await writeImages(place("pictures"), 20);
  for (const name of ["cat", "dog", "owl"]) await writeImages(place("animals", name), 10);
  for (const name of ["cat", "dog"]) await writeImages(place("parts", "train", name), 10);
});

describe("penni MODEL PICTURES", () => {
  test("calibrates, and says what it found and does", async () => {
    const small = ["--calibration-images", "16", "--target-macs", "0.9", "--threads", "1"];
    const { status, stderr } = await penni([
      place("tiny.onnx"),
      place("pictures"),
      ...small,
      "-o",
      place("run"),
    ]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /pictures: pictures without classes\./);
    assert.match(stderr, /tiny\.onnx: \d+ % of the multiply-accumulates are 3x3 convolutions: suits\./);
    assert.match(
      stderr,
      /With 90 % of the multiply-accumulates left expect about \d\.\dx the speed when compiled/,
    );
    assert.match(stderr, /Calibrating takes about \d+ s on two usual cores/);
    assert.match(stderr, /penni compress \S+tiny\.onnx --data images:\S+ .*--preset calibrate/);
    assert.ok(findDecompositions(await readModel(place("run", "stages", "decompose.onnx"))).length > 0);
  });

  test("a preset that trains says how long that takes before it starts", async () => {
    const small = [
      "--epochs",
      "0.5",
      "--fine-tune-epochs",
      "1.5",
      "--batch",
      "16",
      "--train-limit",
      "32",
      "--target-macs",
      "0.8",
    ];
    const { status, stderr } = await penni([
      ...[place("tiny.onnx"), "synthetic:200", "--preset", "fast", ...small],
      ...["--threads", "1", "-o", place("trained")],
    ]);
    assert.equal(status, 0, stderr);
    const said =
      /Training takes about \d+ s on two usual cores \(2 epochs of 32 pictures\); .* time left here\./;
    assert.match(stderr, said);
    assert.ok(stderr.search(said) < stderr.indexOf("simplify ..."), stderr);
  });

  test("a model that takes one image at a time is said to be slow, with what to do", async () => {
    const graph = tinyCnn();
    const [first] = graph.nodes;
    assert.ok(first !== undefined);
    const shape = [3, TINY_SIZE, TINY_SIZE] as const;
    const flat = [3 * TINY_SIZE, TINY_SIZE] as const;
    const one: Graph = {
      ...graph,
      inputs: [{ name: "x", type: { elementType: "float32", shape: [1, ...shape] } }],
      nodes: [
        node("Reshape", ["x", "flat"], "rows"),
        node("Abs", ["rows"], "sizes"),
        node("Reshape", ["sizes", "single"], "again"),
        { ...first, inputs: ["again", ...first.inputs.slice(1)] },
        ...graph.nodes.slice(1),
      ],
      initializers: new Map([
        ...graph.initializers,
        ["flat", int64Tensor([2], flat)],
        ["single", int64Tensor([4], [1, ...shape])],
      ]),
    };
    await writeModel(place("one.onnx"), one);
    const { status, stderr } = await penni([place("one.onnx"), place("pictures"), "--plan"]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /written for one image at a time.* slow\. Export it with a dynamic batch axis/);
    assert.doesNotMatch((await penni([place("tiny.onnx"), place("pictures"), "--plan"])).stderr, /at a time/);
  });

  test("--data DIR without a kind is guessed, and said", async () => {
    const { status, stderr } = await penni([
      ...["compress", place("tiny.onnx"), "--data", place("pictures"), "--preset", "calibrate"],
      ...["--calibration-images", "16", "--target-macs", "0.9", "-o", place("guessed")],
    ]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /pictures was taken for pictures without classes: --data images:/);
    const nothing = await penni(["eval", place("tiny.onnx"), "--data", place("nowhere")]);
    assert.match(nothing.stderr, /not a dataset: expected cifar10:DIR/);
  });

  test("classes that are not the model's are no labels", async () => {
    const { status, stderr } = await penni([place("tiny.onnx"), place("animals"), "--plan"]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /pictures in 3 classes, which are not the model's 10: taken without labels/);
  });

  test("what is said follows from the options", async () => {
    const easy = (...options: readonly string[]) =>
      penni([place("tiny.onnx"), place("pictures"), "--plan", ...options]);
    assert.match((await easy()).stderr, /With 58 % of the multiply-accumulates left/);
    const fast = (await easy("--preset=fast", "--target-macs", "0.7")).stderr;
    assert.match(fast, /With 70 % of the multiply-accumulates left/);
    assert.doesNotMatch(fast, /--preset calibrate|Calibrating takes/);
    assert.doesNotMatch((await easy("--target-size", "3kB")).stderr, /multiply-accumulates left/);
    assert.match((await easy("--target-macs", "2")).stderr, /expected a number above 0, up to 1, found "2"/);
    const quiet = await easy("-q");
    assert.deepEqual([quiet.status, quiet.stderr], [0, ""]);
  });

  test("without pictures it looks at the model", async () => {
    const [easy, plain] = [await penni([place("tiny.onnx")]), await penni(["inspect", place("tiny.onnx")])];
    assert.equal(easy.status, 0);
    assert.equal(easy.stdout, plain.stdout);
  });

  test("pictures that are not there, and no model", async () => {
    const missing = await penni([place("tiny.onnx"), place("nowhere")]);
    assert.equal(missing.status, 1);
    assert.match(
      missing.stderr,
      /penni: there are no pictures to calibrate with: expected penni MODEL\.onnx PICTURES/,
    );
    const typo = await penni(["inspekt", "x"]);
    assert.match(typo.stderr, /unknown command 'inspekt' \(Did you mean inspect\?\)/);
  });
});

describe("a folder is told by the names in it", () => {
  test("as pictures, classes, or a known layout", async () => {
    const specs = ["pictures", "animals", "parts", "cifar", "hundred", "mnist", "nested"];
    for (const name of ["cifar", "hundred", "mnist", "nested/deep"])
      await mkdir(place(name), { recursive: true });
    await writeFile(place("cifar", "data_batch_1.bin"), "");
    await writeFile(place("hundred", "train.bin.gz"), "");
    await writeFile(place("mnist", "train-images-idx3-ubyte.gz"), "");
    const found = await Promise.all(specs.map(async (name) => (await guessSpec(place(name)))?.spec));
    const kinds = ["images", "folder", "folder", "cifar10", "cifar100", "idx", "images"];
    assert.deepEqual(
      found,
      kinds.map((kind, index) => `${kind}:${place(specs[index] ?? "")}`),
    );
    assert.equal((await guessSpec(place("parts")))?.classes, 2);
    assert.equal(await guessSpec(place("tiny.onnx")), undefined);
    assert.equal(await guessSpec(place("nowhere")), undefined);
  });
});
