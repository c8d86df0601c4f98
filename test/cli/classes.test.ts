import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import sharp from "sharp";
import { readClassNames } from "../../src/data/index.js";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { int, ints } from "../../src/graph/attributes.js";
import type { Graph } from "../../src/graph/types.js";
import { train } from "../../src/run/train.js";
import { penni } from "../../support/command_line.js";
import { node, smallGraph } from "../../support/small_models.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-classes-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string): string => path.join(folder, name);

const cnn = file("cnn.onnx");
await writeModel(cnn, tinyCnn());

/** Scores are the means of red, green and blue: right about images of one colour, if labels are in that order. */
function colourModel(names?: readonly string[]): Graph {
  const graph = smallGraph(
    ["N", 3, 4, 4],
    [node("GlobalAveragePool", ["x"], "pooled"), node("Flatten", ["pooled"], "y", { axis: int(1) })],
    {},
  );
  if (names === undefined) return graph;
  return { ...graph, metadata: new Map([["penni.classNames", JSON.stringify(names)]]) };
}

const colours = {
  red: { r: 255, g: 0, b: 0 },
  green: { r: 0, g: 255, b: 0 },
  blue: { r: 0, g: 0, b: 255 },
  grün: { r: 0, g: 255, b: 0 },
} as const;

/** Ten images of every colour, in a folder of the colour's name or another one. */
async function images(
  name: string,
  classes: Readonly<Record<string, keyof typeof colours>>,
): Promise<string> {
  for (const [className, colour] of Object.entries(classes)) {
    mkdirSync(file(path.join(name, className)), { recursive: true });
    for (let index = 0; index < 10; index++) {
      await sharp({ create: { width: 8, height: 8, channels: 3, background: colours[colour] } })
        .png()
        .toFile(file(path.join(name, className, `${index}.png`)));
    }
  }
  return `folder:${file(name)}`;
}

const three = await images("three", { red: "red", green: "green", blue: "blue" });
const two = await images("two", { red: "red", blue: "blue" });
const four = await images("four", { a: "red", b: "green", c: "blue", d: "blue" });
const model = file("colours.onnx");
await writeModel(model, colourModel());
const stated = file("stated.onnx");
await writeModel(stated, colourModel(["red", "green", "blue"]));

function classFile(name: string, text: string | Uint8Array): string {
  writeFileSync(file(name), text);
  return file(name);
}

const lines = classFile("classes.txt", "red\r\ngreen\r\nblue\r\n\r\n");

async function top1(args: readonly string[]): Promise<number> {
  const { status, stdout, stderr } = await penni(["eval", ...args, "--split", "train", "--json"]);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout).top1;
}

async function assertRefused(args: readonly string[], message: RegExp): Promise<void> {
  const { status, stdout, stderr } = await penni(args);
  assert.deepEqual([status, stdout], [1, ""]);
  assert.match(stderr, message);
  assert.match(stderr, /^(?:pictures: [^\n]+\n)?penni: [^\n]+\n$/);
}

test("without names, classes are taken in the order of theirs, as many as the model scores", async () => {
  // blue, green, red: only green stands where the model has it.
  assert.equal(await top1([model, "--data", three]), 1 / 3);
  for (const [data, found] of [
    [two, 2],
    [four, 4],
  ] as const) {
    const message = new RegExp(
      `output "y".*expected images of 3 classes.*found ${found} classes.*--classes FILE`,
    );
    await assertRefused(["eval", model, "--data", data], message);
  }
});

test("--classes matches folders by name, all of the classes or some", async () => {
  const json = classFile("classes.json", '\ufeff["red", "green", "blue"]\n');
  for (const names of [lines, json]) {
    assert.equal(await top1([model, "--data", three, "--classes", names]), 1);
    assert.equal(await top1([model, "--data", two, "--classes", names]), 1);
  }
  const { stderr } = await penni(["eval", model, "--data", two, "--classes", lines]);
  assert.match(stderr, /^pictures: [^\n]+\nclasses are matched by name to the 3 of the model\n$/);
  // A file system may have taken the umlaut apart.
  const decomposed = await images("decomposed", { ["grün".normalize("NFD")]: "grün", "blue ": "blue" });
  const umlauts = classFile("umlauts.txt", `red\n${"grün".normalize("NFC")}\nblue`);
  assert.equal(await top1([model, "--data", decomposed, "--classes", umlauts]), 1);
});

test("class names in the model's metadata do the same", async () => {
  assert.equal(await top1([stated, "--data", three]), 1);
  assert.equal(await top1([stated, "--data", two]), 1);
  // A file of the user's comes before them.
  const otherwise = classFile("otherwise.txt", "blue\ngreen\nred");
  assert.equal(await top1([stated, "--data", three, "--classes", otherwise]), 1 / 3);
  const renamed = await images("renamed", { "1": "red", "2": "green", "3": "blue" });
  const { stderr } = await penni(["eval", stated, "--data", renamed]);
  assert.match(stderr, /3 of 3 classes have other names in the model \("1" for "red"\)/);
  const partly = await images("partly", { red: "red", verde: "green", blue: "blue" });
  await assertRefused(
    ["eval", stated, "--data", partly],
    /only some classes.*expected red, green, blue.*found verde/,
  );
  // Names that cannot be those of the outputs name nothing.
  const wrong = file("wrong.onnx");
  await writeModel(wrong, colourModel(["blue", "red"]));
  await assertRefused(["eval", wrong, "--data", two], /expected images of 3 classes.*found 2 classes/);
});

test("what scores no classes has no accuracy, also where its numbers are as many as the classes", async () => {
  const score = file("score.onnx");
  await writeModel(
    score,
    smallGraph(
      ["N", 3, 4, 4],
      [
        node("GlobalAveragePool", ["x"], "pooled"),
        node("ReduceMean", ["pooled"], "mean", { axes: ints([1]) }),
        node("Flatten", ["mean"], "y", { axis: int(1) }),
      ],
      {},
    ),
  );
  const boxes = file("boxes.onnx");
  await writeModel(
    boxes,
    smallGraph(["N", 3, 4, 4], [node("MaxPool", ["x"], "y", { kernel_shape: ints([4, 3]) })], {}),
  );
  const row = file("row.onnx");
  await writeModel(
    row,
    smallGraph(
      ["N", 3, 4, 4],
      [
        node("GlobalAveragePool", ["x"], "pooled"),
        node("Transpose", ["pooled"], "y", { perm: ints([0, 2, 3, 1]) }),
      ],
      {},
    ),
  );
  const one = await images("one", { red: "red" });
  const six = await images("six", { a: "red", b: "green", c: "blue", d: "red", e: "green", f: "blue" });
  for (const command of [["eval"], ["bench", "--rounds", "1"]]) {
    await assertRefused(
      [...command, score, "--data", one],
      /does not score classes: .*\[1, 1\], a single score/,
    );
    await assertRefused([...command, boxes, "--data", six], /does not score classes: .*\[1, 3, 1, 2\]/);
  }
  const names = classFile("rgb.txt", "red\ngreen\nblue");
  assert.equal(await top1([row, "--data", three, "--classes", names]), 1);
});

const badFiles: readonly (readonly [string, string | Uint8Array, RegExp])[] = [
  ["too few", "red\nblue\n", /expected 3 names for output "y" \[1, 3\], found 2: red, blue/],
  ["too many", "red\ngreen\nblue\ncyan", /expected 3 names.*found 4/],
  ["a folder without a name", "red\ngreen\nazure", /1 of 3 classes are not among them.*found blue/],
  ["one twice", "red\nblue\nred", /named twice: .*found "red" as class 0 and as class 2/],
  ["an empty line", "red\n\ngreen\nblue", /line 2 of the class names is empty/],
  ["nothing", " \n", /number of class names: expected 1 to 65536, found 0/],
  ["an object", '["red", {"1": "blue"}]', /expected one name per line.*found other JSON/],
  ["half of an array", '["red", "blue"', /found text that is no JSON/],
  ["another encoding", Uint8Array.of(0x72, 0xe4, 0x64), /the class names are not UTF-8/],
];

for (const [name, text, message] of badFiles) {
  test(`--classes with ${name}: refused`, async () => {
    await assertRefused(["eval", model, "--data", three, "--classes", classFile("bad", text)], message);
  });
}

test("--classes: not a file, and images without labels", async () => {
  const data = ["eval", model, "--data", three, "--classes"];
  await assertRefused([...data, folder], /expected a file, found a directory/);
  await assertRefused([...data, file("none")], /none: no such file/);
  const unlabelled = `images:${file("three")}`;
  await assertRefused(["eval", model, "--data", unlabelled, "--classes", lines], /images have no labels/);
});

const digits = classFile("digits.txt", [..."0123456", "blue", "8", "red"].join("\n"));
const run = ["-o", file("run"), "--basis", "4", "--batch", "4", "--threads", "1"];

test("compress and sensitivity refuse other numbers of classes before they do anything", async () => {
  const both = /expected images of 10 classes, as in \[1, 10\], found 3 classes.*--classes FILE/;
  for (const more of [[], ["--loss", "labels"], ["--preset", "calibrate"]]) {
    await assertRefused(["compress", cnn, "--data", three, ...run, "--target-macs", "0.9", ...more], both);
    assert.ok(!existsSync(file("run")));
  }
  await assertRefused(["sensitivity", cnn, "--data", three], both);
  const { status } = await penni([
    "sensitivity",
    cnn,
    "--data",
    three,
    "--no-labels",
    "--ranks",
    "8",
    "--images",
    "4",
  ]);
  assert.equal(status, 0);
});

test("train of the library refuses them, and learns what is named", async () => {
  const options = {
    data: two,
    epochs: 1,
    batch: 4,
    threads: 1,
    schedule: { kind: "cosine", initial: 0.1 },
  } as const;
  await assert.rejects(train(tinyCnn(), options), {
    code: "bad-data",
    message: /expected images of 10 classes.*found 2 classes/,
  });
  const classes = readFileSync(digits, "utf8").split("\n");
  const augmentation = { padding: 0, flip: false };
  const learned = await train(tinyCnn(), { ...options, classes, augmentation, epochs: 6 });
  await writeModel(file("learned.onnx"), learned);
  assert.equal(await top1([file("learned.onnx"), "--data", two, "--classes", digits]), 1);
});

test("penni train does the same", async () => {
  const start = [
    "train",
    cnn,
    "--data",
    two,
    "--batch",
    "4",
    "--threads",
    "1",
    "-o",
    file("training"),
    "--no-flip",
  ];
  await assertRefused([...start], /expected images of 10 classes.*found 2 classes.*--classes FILE/);
  const { status, stderr } = await penni([
    ...start,
    "--classes",
    digits,
    "--epochs",
    "4",
    "--resolution",
    "12:0.25",
  ]);
  assert.equal(status, 0, stderr);
  const trained = path.join(file("training"), "model.onnx");
  assert.deepEqual(
    readClassNames((await readModel(trained)).metadata),
    readFileSync(digits, "utf8").split("\n"),
  );
  assert.equal(await top1([trained, "--data", two]), 1);
});

test("compress learns and writes the names of all outputs, and says what it did", async () => {
  const { status, stderr } = await penni([
    ...["compress", cnn, "--data", two, ...run, "--classes", digits],
    ...["--epochs", "0", "--fine-tune-epochs", "1", "--deviations", "0.1"],
  ]);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /classes are matched by name to the 10 of the model/);
  const exported = await readModel(path.join(file("run"), "model.onnx"));
  assert.deepEqual(readClassNames(exported.metadata), readFileSync(digits, "utf8").split("\n"));
  // From now on the names are the model's own.
  const result = await penni(["eval", path.join(file("run"), "model.onnx"), "--data", two, "--json"]);
  assert.equal(result.status, 0, result.stderr);
});
