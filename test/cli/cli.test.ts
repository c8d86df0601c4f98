import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { writeModel } from "../../src/files/model_files.js";
import type { Graph } from "../../src/graph/types.js";
import { decompose } from "../../src/method/decompose.js";
import { type Outcome, penni } from "../../support/command_line.js";
import { penniMain } from "../../support/penni_process.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { conv, node, randomTensor, smallGraph, smallNetwork } from "../../support/small_models.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-cli-"));
after(() => rmSync(folder, { recursive: true, force: true }));

async function modelFile(name: string, graph: Graph): Promise<string> {
  const file = path.join(folder, name);
  await writeModel(file, graph);
  return file;
}

function assertRefused({ status, stdout, stderr }: Outcome, message: RegExp): void {
  assert.equal(status, 1);
  assert.equal(stdout, "");
  assert.match(stderr, message);
  assert.match(stderr, /^penni: [^\n]+\n$/);
}

const small = await modelFile("small.onnx", smallNetwork());
const random = path.join(folder, "random.onnx");
writeFileSync(
  random,
  Uint8Array.from({ length: 5000 }, (_, index) => (index * 7919) % 251),
);
const truncated = await modelFile("truncated.onnx", smallNetwork());
truncateSync(truncated, 700);

test("the program itself: output, errors and exit status", () => {
  const run = (...args: readonly string[]) =>
    spawnSync(process.execPath, [penniMain, ...args], { encoding: "utf8" });
  assert.match(run("inspect", small).stdout, /Totals: 368 parameters/);
  const { status, stdout, stderr } = run("inspect", "none.onnx");
  assert.deepEqual([status, stdout], [1, ""]);
  assert.match(stderr, /^penni: none\.onnx: [^\n]+\n$/);
});

test("a reader that closes the pipe early is no error", () => {
  const command = `"${process.execPath}" "${penniMain}" inspect --json "${small}" | head -c 1`;
  const { stderr, stdout } = spawnSync("sh", ["-c", command], { encoding: "utf8" });
  assert.deepEqual([stdout, stderr], ["{", ""]);
});

test("--version prints the package's version", async () => {
  const { status, stdout } = await penni(["--version"]);
  assert.equal(status, 0);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

test("-v prints it too; help on what is no command names those that there are", async () => {
  assert.equal((await penni(["-v"])).stdout, (await penni(["--version"])).stdout);
  assertRefused(await penni(["help", "nothing"]), /no such command.*expected compress, .*found "nothing"/);
  assert.match((await penni(["help", "bench"])).stdout, /^Usage: penni bench/);
});

test("--help names every command; a command's --help its options", async () => {
  const { status, stdout } = await penni(["--help"]);
  assert.equal(status, 0);
  for (const command of ["eval", "inspect"]) assert.match(stdout, new RegExp(`^ {2}${command} `, "m"));
  assert.match((await penni(["eval", "--help"])).stdout, /--data <spec>/);
});

test("help of compress: options under headings", async () => {
  const { stdout } = await penni(["compress", "--help"], 50);
  const [options = ""] = stdout.split("\nExamples:\n");
  for (const heading of [
    "How far (one of these):",
    "Retraining and fine-tuning:",
    "How pictures become tensors:",
  ])
    assert.ok(options.includes(`\n${heading}\n`), heading);
});

test("no command: help on stderr, status 1", async () => {
  const { status, stdout, stderr } = await penni([]);
  assert.deepEqual([status, stdout], [1, ""]);
  assert.match(stderr, /^Usage: penni/);
});

const refusals: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["unknown command", ["compres", "x"], /unknown command 'compres'/],
  ["unknown option", ["inspect", small, "--jsn"], /unknown option '--jsn'.*--json/],
  ["missing argument", ["inspect"], /missing required argument 'model'/],
  ["missing option", ["eval", small], /required option '--data <spec>'/],
  ["bad number", ["eval", small, "--data", "synthetic", "--batch", "0"], /whole number from 1, found "0"/],
  ["bad split", ["eval", small, "--data", "synthetic", "--split", "dev"], /test, train/],
  ["missing file", ["inspect", path.join(folder, "none.onnx")], /none\.onnx/],
  ["a directory", ["inspect", folder], /expected a file/],
  ["random bytes", ["inspect", random], /random\.onnx/],
  ["truncated file", ["eval", truncated, "--data", "synthetic"], /truncated\.onnx/],
  ["unknown input", ["inspect", small, "--input-shape", "y:1x3"], /small\.onnx.*no input "y".*"x"/],
  ["malformed shape", ["inspect", small, "--input-shape", "x:1xA"], /expected NAME:1x3x32x32/],
  ["wrong data directory", ["eval", small, "--data", `cifar10:${folder}`], /penni: /],
  ["unknown data", ["eval", small, "--data", "mnist"], /found "mnist"/],
  ["model does not fit", ["eval", small, "--data", "synthetic"], /expected|found/],
  ["mean without std", ["eval", small, "--data", "synthetic", "--mean", "0,0"], /--mean and --std/],
  ["std of zero", ["eval", small, "--data", "synthetic", "--std", "0,1,1"], /above 0/],
];

for (const [name, args, message] of refusals) {
  test(`${name}: one line on stderr, status 1`, async () => assertRefused(await penni(args), message));
}

test("--verbose adds the stack trace", async () => {
  const { stderr } = await penni(["inspect", path.join(folder, "none.onnx"), "--verbose"]);
  assert.match(stderr, /^penni: .*\n(.*\n)*\s+at /);
});

test("inspect shows each layer, totals, and what stays dense", async () => {
  const { status, stdout } = await penni(["inspect", small]);
  assert.equal(status, 0);
  assert.match(stdout, /^c1\/Conv +Conv +4x2x3x3 +76 /m);
  assert.match(stdout, /Totals: 368 parameters, 6048 MACs \(paper count\)/);
  assert.match(stdout, /depthwise.*c3\/Conv/);
});

test("inspect --json is complete", async () => {
  const { stdout } = await penni(["inspect", small, "--json", "--input-shape", "x:2x2x8x8"]);
  const report = JSON.parse(stdout);
  assert.equal(report.paperMacs, 2 * 6048);
  assert.equal(report.layers.length, 5);
  const [first] = report.layers;
  assert.equal(first.energy.length, 9);
  assert(first.energy[8] === 1 || Math.abs(first.energy[8] - 1) < 1e-12);
  assert.equal(typeof first.basisChoice.d, "number");
  assert.equal(report.verdict.bytes, statSync(small).size);
  assert.ok(report.verdict.predictions.every(({ speedUp }: { speedUp: number }) => speedUp > 0));
});

test("inspect of a compressed model shows basis and density", async () => {
  const file = await modelFile("decomposed.onnx", decompose(smallNetwork(), { basis: 3 }));
  assert.match((await penni(["inspect", file])).stdout, /c1\/Conv.*has 3 \(100 %\)/);
});

for (const columns of [40, 60, 80, 120]) {
  test(`inspect fits a terminal of ${columns} columns`, { skip: withoutShared("models") }, async () => {
    const { stdout } = await penni(["inspect", sharedPath("models/resnet20.onnx")], columns);
    const longest = Math.max(...stdout.split("\n").map((line) => line.length));
    assert(longest <= columns, `a line of ${longest} characters`);
  });
}

test("inspect tells what it cannot treat, with node, operator and advice", async () => {
  const graph = smallNetwork("N");
  const custom = { ...node("Mystery", ["y"], "z"), domain: "org.example" };
  const file = await modelFile("odd.onnx", {
    ...graph,
    opsets: new Map([...graph.opsets, ["org.example", 1]]),
    nodes: [...graph.nodes, custom],
    outputs: [{ name: "z", type: { elementType: "float32", shape: ["N", 5] } }],
  });
  const { stdout } = await penni(["inspect", file]);
  assert.match(stdout, /Remarks:\n- z\/Mystery \(Mystery\): an operator of another domain \(org\.example\)/);
  assert.match(stdout.replaceAll("\n", " "), /no gradient passes this.*--preset calibrate/);
  const { remarks } = JSON.parse((await penni(["inspect", file, "--json"])).stdout);
  assert.deepEqual(
    remarks.map(({ kind }: { kind: string }) => kind),
    ["unknown-operator", "no-gradient"],
  );
});

test("eval takes the dimensions that the model leaves open, and refuses those that do not fit", async () => {
  const graph = smallGraph(
    ["N", 3, "H", "W"],
    [
      conv({ name: "c", input: "x", weight: "w", kernel: 3 }),
      node("GlobalAveragePool", ["c"], "p"),
      node("Flatten", ["p"], "y"),
    ],
    { w: randomTensor([10, 3, 3, 3], 1) },
  );
  const file = await modelFile("open.onnx", graph);
  const args = ["eval", file, "--data", "synthetic:40", "--input-shape"];
  const { status, stdout, stderr } = await penni([...args, "x:1x3x12x10", "--json"]);
  assert.equal(status, 0, stderr);
  assert.equal(JSON.parse(stdout).total, 10);
  assertRefused(
    await penni([...args, "z:1x3x12x10"]),
    /open\.onnx: the model has no input "z": expected "x"/,
  );
  assertRefused(await penni([...args, "x:1x3x12"]), /wrong rank.*expected 4 dimensions/);
});

test("inspect of a model without convolutions says so", async () => {
  const file = await modelFile("relu.onnx", smallGraph([1, 4], [node("Relu", ["x"], "y")], {}));
  const { status, stdout } = await penni(["inspect", file]);
  assert.equal(status, 0);
  assert.match(stdout, /no convolution: there is nothing in it that Penni can compress/);
});

test("eval counts correct images of CIFAR-10 (PyTorch: 9173 of 10000; here the first 500)", {
  skip: withoutShared("data/cifar10"),
}, async () => {
  const data = `cifar10:${sharedPath("data/cifar10")}`;
  const args = ["eval", sharedPath("models/resnet20.onnx"), "--data", data, "--limit", "500"];
  const { status, stdout, stderr } = await penni(args);
  assert.equal(status, 0);
  assert.match(stderr, /^pictures: [^\n]+\(default\)[^\n]+\n$/);
  assert.match(
    stdout,
    /^top-1 9\d\.\d\d % \(\d{3} of 500\) in [\d.]+ s, \d+ images\/s\nbetween [89]\d\.\d\d and 9\d\.\d\d % with 95 % confidence\n$/,
  );
  const report = JSON.parse((await penni([...args, "--json"])).stdout);
  assert.equal(report.total, 500);
  assert.match(stdout, new RegExp(`\\(${report.correct} of 500\\)`));
});
