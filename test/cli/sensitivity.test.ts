import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { writeModel } from "../../src/files/model_files.js";
import { type Outcome, penni } from "../../support/command_line.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-sensitivity-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const model = path.join(folder, "tiny<b>.onnx");
await writeModel(model, tinyCnn());

/** `penni sensitivity` on the small model with a few generated images, for a terminal of 80 columns. */
async function sensitivity(...options: readonly string[]): Promise<Outcome> {
  const args = [
    "sensitivity",
    model,
    "--data",
    "synthetic:40",
    "--images",
    "12",
    "--threads",
    "1",
    ...options,
  ];
  return penni(args, 80);
}

test("tables of ranks and sparsities that fit into 80 columns", async () => {
  const { status, stdout } = await sensitivity();
  assert.equal(status, 0);
  const lines = stdout.split("\n");
  assert(lines.every((line) => line.length <= 80));
  assert.match(
    stdout,
    /^Top-1 of the original on 12 images: \d+\.\d\d %; one image is 8\.3 points\. Between\n/,
  );
  assert.equal(lines.filter((line) => /^layer +d=1 .* d=8$/.test(line)).length, 1);
  assert.equal(lines.filter((line) => /^layer +weight +basis +25 % +50 % +75 % +90 %$/.test(line)).length, 1);
  // Three layers of 3x3 kernels in both tables, the 1x1 convolution in the second only.
  assert.equal(lines.filter((line) => /x3x3 +5 /.test(line)).length, 3);
  assert.equal(lines.filter((line) => / 12x12x1x1 +none /.test(line)).length, 1);
});

test("without labels: errors and predictions", async () => {
  const { stdout } = await sensitivity("--no-labels", "--ranks", "2", "--sparsity", "0.5");
  assert.match(stdout, /^Measured on 12 images, without labels/);
  assert.match(stdout, /Error of the output, in % of its deviation from image to image, with d basis/);
  assert.match(stdout, /Predictions that change, in %, with this share/);
});

test("JSON on stdout and in the directory, with a report that shows the model's name as text", async () => {
  const out = path.join(folder, "run");
  const options = [
    "--json",
    "--layers",
    "*",
    "--ranks",
    "1,3",
    "--sparsity",
    "0.5",
    "--seed",
    "4",
    "-o",
    out,
  ];
  const { status, stdout } = await sensitivity(...options);
  assert.equal(status, 0);
  const result = JSON.parse(stdout);
  assert.deepEqual(
    [result.measure, result.images, result.seed, result.layers.length],
    ["accuracy", 12, 4, 4],
  );
  const [first] = result.layers;
  assert.deepEqual(
    first.ranks.map(({ d }: { d: number }) => d),
    [1, 3, 9],
  );
  assert.deepEqual(Object.keys(first.sparsities[0]).sort(), [
    "agreement",
    "difference",
    "errors",
    "sparsity",
    "top1",
  ]);
  assert.deepEqual(JSON.parse(readFileSync(path.join(out, "sensitivity.json"), "utf8")), result);
  const html = readFileSync(path.join(out, "sensitivity.html"), "utf8");
  assert.match(html, /Sensitivity report[\s\S]*<h1>tiny&lt;b&gt;\.onnx<\/h1>/);
  // No curve for a single sparsity.
  assert.equal(html.match(/<figure class="plot">/g)?.length, 1);
});

const taken = path.join(folder, "taken");
writeFileSync(taken, "");
const refusals: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["an unknown layer", ["--layers", "conv9"], /tiny<b>\.onnx: no layer has this name.*found "conv9"/],
  ["an empty name", ["--layers", "a,,b"], /names with commas between/],
  ["a rank of 0", ["--ranks", "1,0"], /whole numbers from 1.*found "1,0"/],
  ["a share of 1", ["--sparsity", "1"], /between 0 and 1/],
  ["no images", ["--images", "0"], /whole number from 1, found "0"/],
  ["a file for a directory", ["-o", taken], /taken: this is a file, where a directory is needed/],
  ["no such directory", ["-o", path.join(folder, "a/b")], /no such file or directory/],
  ["a report nowhere", ["--report", path.join(folder, "a/r.html")], /no such file or directory/],
  ["other data", ["--data", "cifar10:nowhere"], /penni: /],
];
for (const [name, options, message] of refusals) {
  test(`refused: ${name}`, async () => {
    const { status, stdout, stderr } = await sensitivity(...options);
    assert.deepEqual([status, stdout], [1, ""]);
    assert.match(stderr, message);
  });
}

test("nothing is left where the measurement fails", async () => {
  const report = path.join(folder, "never.html");
  await sensitivity("--report", report, "--layers", "none");
  assert.equal(existsSync(report), false);
});
