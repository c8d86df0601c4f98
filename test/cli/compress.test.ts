import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { writeModel } from "../../src/files/model_files.js";
import { int } from "../../src/graph/attributes.js";
import type { Graph } from "../../src/graph/types.js";
import { Network } from "../../support/network.js";
import { penniMain } from "../../support/penni_process.js";
import { node, smallGraph } from "../../support/small_models.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-compress-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string): string => path.join(folder, name);

async function modelFile(name: string, graph: Graph): Promise<string> {
  await writeModel(file(name), graph);
  return file(name);
}

/** A tiny classifier with an LRN, which has no gradient, behind its first convolution. */
/** Scores with an operator that Penni does not know in the end. */
function withScaling(): Graph {
  const net = new Network(1, [3, 16, 16]);
  const pooled = net.op("Flatten", [net.op("GlobalAveragePool", [net.conv("x", 8)])], { axis: int(1) });
  const graph = net.graph([net.op("Sinh", [net.gemm(pooled, 10)])]);
  const batch = graph.inputs[0]?.type?.shape?.[0];
  const type = { elementType: "float32" as const, shape: [batch, 10] };
  return { ...graph, outputs: graph.outputs.map(({ name }) => ({ name, type })) };
}

function fewClasses(): Graph {
  const net = new Network(1, [3, 16, 16]);
  const pooled = net.op("GlobalAveragePool", [net.relu(net.conv("x", 4))]);
  return net.graph([net.gemm(net.op("Flatten", [pooled], { axis: int(1) }), 5)]);
}

function denseClassifier(): Graph {
  const net = new Network(1, [3, 4, 4]);
  const flat = net.op("Flatten", ["x"], { axis: int(1) });
  return net.graph([net.gemm(flat, 10)]);
}

const tiny = await modelFile("tiny.onnx", tinyCnn());
const scaled = await modelFile("scaled.onnx", withScaling());
const five = await modelFile("five.onnx", fewClasses());
const dense = await modelFile("dense.onnx", denseClassifier());
const relu = await modelFile("relu.onnx", smallGraph([1, 4], [node("Relu", ["x"], "y")], {}));
const old = await modelFile("old.onnx", { ...tinyCnn(), opsets: new Map([["", 6]]) });
const open = await modelFile("open.onnx", {
  ...tinyCnn(),
  inputs: [{ name: "x", type: { elementType: "float32", shape: ["n", 3, "h", "w"] } }],
});
const truncated = await modelFile("truncated.onnx", tinyCnn());
truncateSync(truncated, 3000);
const random = file("random.onnx");
writeFileSync(
  random,
  Uint8Array.from({ length: 5000 }, (_, index) => (index * 7919) % 251),
);
const occupied = file("occupied");
mkdirSync(occupied);
writeFileSync(path.join(occupied, "notes.txt"), "mine");

const out = file("out");
// The fast preset asks for fewer MACs than so small a network can be brought to.
const data = ["--data", "synthetic:200", "-o", out, "--target-macs", "0.75"];
const from = (spec: string): string[] => [...data, "--data", spec];
const into = (directory: string): string[] => [...data, "-o", directory];

/** What is wrong, the arguments after `compress`, and what the one line on stderr must say. */
const refusals: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["nothing to compress", [], /expected penni compress MODEL --data SPEC -o DIR/],
  ["no directory", [tiny, "--data", "synthetic"], /-o DIR/],
  ["a missing model", [file("none.onnx"), ...data], /none\.onnx: .*no such file/],
  ["a truncated model", [truncated, ...data], /truncated\.onnx: /],
  ["random bytes", [random, ...data], /random\.onnx: /],
  ["a directory as model", [folder, ...data], /expected a file, found a directory/],
  [
    "a model without convolution",
    [dense, ...data],
    /dense\.onnx: there is nothing to compress: .*no convolution, but .*Gemm/,
  ],
  [
    "a model that is no classifier",
    [relu, ...data],
    /relu\.onnx: there is nothing to compress: .*no convolution, but Relu/,
  ],
  [
    "an operator without gradient",
    [scaled, ...data],
    /scaled\.onnx: node ".*" \(Sinh\): .*(no gradient|cannot be trained)/,
  ],
  ["an old operator set", [old, ...data], /old\.onnx: .*expected opset 7 or later, found opset 6/],
  [
    "too few classes",
    [five, ...data, "--basis", "1"],
    /expected images of 5 classes, as in \[1, 5\], found 10 classes/,
  ],
  [
    "a standard deviation for one channel of three",
    [tiny, ...data, "--std", "0.2"],
    /different numbers of channels.*expected 3 as in the mean, found 1/,
  ],
  ["open dimensions", [open, ...data], /open\.onnx: .*expected .*found /],
  ["a missing data directory", [tiny, ...from(`cifar10:${file("none")}`)], /none/],
  ["a wrong data directory", [tiny, ...from(`folder:${occupied}`)], /occupied/],
  ["an unknown data set", [tiny, ...from("mnist")], /expected cifar10:DIR.*found "mnist"/],
  ["images that do not fit", [tiny, ...from(`cifar10:${occupied}`)], /penni: /],
  ["a basis of 0", [tiny, ...data, "--basis", "0"], /--basis.*whole number from 1, found "0"/],
  ["an unknown option", [tiny, ...data, "--bases", "3"], /unknown option '--bases'.*--basis/],
  [
    "a target of 0",
    [tiny, ...data, "--target-macs", "0"],
    /--target-macs.*expected a number above 0, up to 1/,
  ],
  [
    "an impossible target",
    [tiny, ...data, "--target-macs", "0.01"],
    /cannot be reached.*expected at least 0\./,
  ],
  ["two pruning rules", [tiny, ...data, "--target-macs", "0.5", "--deviations", "1"], /cannot be used with/],
  ["a standard deviation of 0", [tiny, ...data, "--std", "0,1,1"], /above 0/],
  ["a mean of one channel", [tiny, ...data, "--mean", "0.5", "--std", "0.5"], /3 channels/],
  [
    "a batch larger than the data",
    [tiny, ...data, "--batch", "500"],
    /fewer training images.*smaller --batch/,
  ],
  ["an occupied directory", [tiny, ...into(occupied)], /occupied: .*not empty.*-o/],
  ["a file as directory", [tiny, ...into(tiny)], /tiny\.onnx: /],
  ["an unwritable directory", [tiny, ...into("/proc/penni/run")], /proc\/penni\/run: cannot/],
  ["no run to resume", ["--resume", occupied], /occupied: there is no run to resume/],
  ["--resume with a model", [tiny, "--resume", occupied], /found .*tiny\.onnx/],
  ["--resume with settings", ["--resume", occupied, "--basis", "3"], /found --basis/],
];

for (const [name, args, message] of refusals) {
  test(`compress refuses ${name}: one line, status 1, nothing written`, () => {
    const before = readdirSync(folder).sort();
    const result = spawnSync(process.execPath, [penniMain, "compress", ...args], {
      encoding: "utf8",
      timeout: 120_000,
    });
    assert.deepEqual([result.status, result.stdout], [1, ""], result.stderr);
    assert.match(result.stderr, /^penni: [^\n]+\n$/);
    assert.doesNotMatch(result.stderr, /unexpected error/);
    assert.match(result.stderr, message);
    assert.deepEqual(readdirSync(folder).sort(), before);
    assert.deepEqual(readdirSync(occupied), ["notes.txt"]);
  });
}

/** Runs with files limited to so many bytes (in steps of 512), as on a disk that is full. */
function withFullDisk(bytes: number, args: readonly string[]) {
  const command = `ulimit -f ${Math.floor(bytes / 512)}; exec "$@"`;
  const line = ["-c", command, "sh", process.execPath, penniMain, "compress", ...args];
  return spawnSync("/bin/sh", line, { encoding: "utf8" });
}

test("a disk that is full at the start: one line, status 1, nothing left", () => {
  const { status, stdout, stderr } = withFullDisk(4096, [tiny, ...data]);
  assert.deepEqual([status, stdout], [1, ""], stderr);
  assert.match(stderr, /^penni: [^\n]*cannot write the file[^\n]*EFBIG[^\n]*\n$/);
  assert.ok(!existsSync(out));
  assert.ok(readdirSync(folder).every((entry) => !entry.startsWith("out")));
});
