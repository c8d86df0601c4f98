import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import sharp from "sharp";
import { writeModel } from "../../src/files/model_files.js";
import { float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { penni } from "../../support/command_line.js";
import { conv, node, smallGraph, smallNetwork } from "../../support/small_models.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-named-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string): string => path.join(folder, name);

const unknown = (op: string): Graph =>
  smallGraph(
    ["N", 3, 8, 8],
    [conv({ name: "h", input: "x", weight: "w", kernel: 3 }), { ...node(op, ["h"], "y"), domain: "my" }],
    { w: float32Tensor([4, 3, 3, 3], new Float32Array(108).fill(0.1)) },
  );

const models: Readonly<Record<string, Graph>> = {
  tiny: tinyCnn(),
  twoChannels: smallNetwork(1),
  noConvolution: smallGraph([1, 3, 8, 8], [node("Relu", ["x"], "y")], {}),
  twoInputs: {
    ...smallGraph([1, 3, 8, 8], [node("Add", ["x", "z"], "y")], {}),
    inputs: ["x", "z"].map((name) => ({ name, type: { elementType: "float32", shape: [1, 3, 8, 8] } })),
  },
  unknown: unknown("Mystery"),
  open: smallGraph(["N", 3, "H", "W"], [node("Relu", ["x"], "y")], {}),
  fixedBatch: smallGraph([7, 3, 8, 8], [node("Relu", ["x"], "y")], {}),
};
for (const [name, graph] of Object.entries(models)) await writeModel(at(`${name}.onnx`), graph);

const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: { r: 9, g: 9, b: 9 } } })
  .png()
  .toBuffer();
for (const name of ["cat", "dog"]) {
  mkdirSync(at(`few/${name}`), { recursive: true });
  for (let index = 0; index < 3; index++) writeFileSync(at(`few/${name}/${index}.png`), png);
}

/** Command lines that end in a refusal; MODEL stands for the file. */
const refused: readonly (readonly [model: string, command: readonly string[]])[] = [
  ["tiny", ["compress", "--data", `folder:${at("few")}`]],
  ["tiny", ["compress", "--data", `folder:${at("few")}`, "--preset", "calibrate"]],
  ["tiny", ["compress", "--data", "synthetic:40", "--batch", "64"]],
  ["tiny", ["compress", "--data", "synthetic:400", "--target-macs", "0.001"]],
  ["tiny", ["compress", "--data", "synthetic:400", "--preset", "calibrate", "--target-macs", "0.001"]],
  ["tiny", ["compress", "--data", "synthetic:400", "--mean", "0.5"]],
  ["tiny", ["train", "--data", "synthetic:40"]],
  ["tiny", ["train", "--data", `folder:${at("few")}`]],
  ["twoChannels", ["compress", "--data", "synthetic:400"]],
  ["twoChannels", ["train", "--data", "synthetic:400"]],
  ["noConvolution", ["compress", "--data", "synthetic:400"]],
  ["twoInputs", ["compress", "--data", "synthetic:400"]],
  ["twoInputs", ["sensitivity", "--data", "synthetic:400"]],
  ["unknown", ["compress", "--data", "synthetic:400"]],
  ["unknown", ["train", "--data", "synthetic:400"]],
  ["open", ["compress", "--data", "synthetic:400"]],
  ["fixedBatch", ["compress", "--data", "synthetic:400"]],
  ["fixedBatch", ["eval", "--data", `folder:${at("few")}`]],
  ["noConvolution", ["sensitivity", "--data", "synthetic:400"]],
];

for (const [model, [command = "", ...options]] of refused) {
  test(`${command} ${options.slice(1).join(" ").replace(folder, "")} refuses ${model} and names its file`, async () => {
    const out = command === "compress" || command === "train" ? ["-o", at(`out-${model}`)] : [];
    const file = at(`${model}.onnx`);
    const { status, stderr } = await penni([command, file, ...options, ...out]);
    assert.equal(status, 1);
    const last = stderr.trimEnd().split("\n").at(-1) ?? "";
    assert.ok(last.startsWith("penni: ") && last.includes(file), last);
  });
}

const isWindows = process.platform === "win32";

test("what is no file is not waited for or read without end, wherever a file is named", {
  skip: isWindows,
}, async () => {
  const pipe = at("pipe");
  spawnSync("mkfifo", [pipe]);
  const model = at("tiny.onnx");
  for (const [name, problem] of [
    ["/dev/zero", /a file, found a device/],
    [pipe, /a file, found a device, pipe|a device or pipe/],
    [folder, /a file, found a directory/],
    [at("nothing"), /no such file/],
  ] as const) {
    const classes = ["--data", "synthetic:40", "--classes", name];
    for (const args of [
      ["eval", model, ...classes],
      ["compress", model, ...classes, "-o", at("never")],
      ["train", model, ...classes, "-o", at("never")],
      ["inspect", name],
      ["compile", name, "--target", "wasm", "-o", at("never")],
    ]) {
      const { status, stderr } = await penni(args);
      assert.equal(status, 1, args.join(" "));
      assert.match(stderr, problem, args.join(" "));
      assert.ok(stderr.includes(name), stderr);
    }
  }
});

test("nor under the names of modules, addons, budgets, settings and sweeps", {
  skip: isWindows,
}, async () => {
  const model = at("tiny.onnx");
  for (const [kind, problem] of [
    ["pipe", /: expected a file, found a device/],
    ["zero", /: expected a file, found a device/],
    ["folder", /: expected a file, found a directory/],
  ] as const) {
    const made = (name: string): string => {
      const place = at(`${kind}-${name}`);
      if (kind === "pipe") assert.equal(spawnSync("mkfifo", [place]).status, 0);
      else symlinkSync(kind === "zero" ? "/dev/zero" : folder, place);
      return place;
    };
    for (const [name, args] of [
      ["x.wasm", (file: string) => ["bench", file]],
      ["x.node", (file: string) => ["bench", file]],
      ["budget.json", (file: string) => ["bench", model, "--budget", file]],
      ["config.json", (file: string) => ["compress", model, "--data", "synthetic:40", "--config", file]],
      ["config.mjs", (file: string) => ["compress", model, "--data", "synthetic:40", "--config", file]],
      ["sweep.yaml", (file: string) => ["sweep", file, "-o", at("never")]],
    ] as const) {
      const file = made(name);
      const { status, stderr } = await penni(args(file));
      assert.equal(status, 1, `${file}: ${stderr}`);
      assert.match(stderr, problem);
      assert.ok(stderr.includes(file), stderr);
    }
  }
});

test("a network that gives no numbers has no sensitivity", async () => {
  const weights = new Float32Array(108).fill(0.1);
  weights[5] = Number.NaN;
  const broken = smallGraph(
    ["N", 3, 8, 8],
    [
      conv({ name: "h", input: "x", weight: "w", kernel: 3 }),
      conv({ name: "y", input: "h", weight: "v", kernel: 1 }),
    ],
    {
      w: float32Tensor([4, 3, 3, 3], weights),
      v: float32Tensor([2, 4, 1, 1], new Float32Array(8).fill(0.3)),
    },
  );
  await writeModel(at("nan.onnx"), broken);
  const { status, stdout, stderr } = await penni(["sensitivity", at("nan.onnx"), "--data", "synthetic:40"]);
  assert.equal(status, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /nan\.onnx: the model's output "y" is not finite for some images.*found NaN/);
});

test("a table that was measured is printed although its report cannot be written", {
  skip: isWindows,
}, async () => {
  const report = at("report");
  mkdirSync(path.join(report, "sensitivity.html", "taken"), { recursive: true });
  const args = ["sensitivity", at("tiny.onnx"), "--data", "synthetic:40", "--images", "4", "-o", report];
  const { status, stdout, stderr } = await penni([...args, "--ranks", "1", "--sparsity", "0.5"]);
  assert.equal(status, 1);
  assert.match(stdout, /^Top-1 of the original on 4 images/);
  assert.match(stderr, /sensitivity\.html: this is a directory, where a file is needed/);
});

test("networks of impossible sizes are refused with both sizes before they are built", async () => {
  const made = async (...args: readonly string[]): Promise<string> => {
    const { status, stderr } = await penni(["new", ...args, "-o", at("huge.onnx")]);
    assert.equal(status, 1);
    return stderr;
  };
  assert.match(
    await made("alexnet", "--classes", "10", "--input", "3x4096x4096"),
    /at most 268,435,456 parameters, found [\d,]+ up to "hidden0\.weight"/,
  );
  assert.match(
    await made("resnet18", "--classes", "10", "--input", "3x4096x4096"),
    /too large for resnet18.*at most 2 GiB of values for one image, found \d+\.\d GiB for 4096x4096 pixels/,
  );
  assert.match(
    await made("resnet18", "--classes", "100000000", "--input", "3x64x64"),
    /"classifier\.weight"/,
  );
  const fine = await penni([
    "new",
    "resnet18",
    "--classes",
    "10",
    "--input",
    "3x640x480",
    "-o",
    at("fine.onnx"),
  ]);
  assert.equal(fine.status, 0);
});
