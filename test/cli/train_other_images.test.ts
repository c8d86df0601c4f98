import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { writeModel } from "../../src/files/model_files.js";
import { absoluteSpec } from "../../src/run/provenance.js";
import { PenniProcess } from "../../support/penni_process.js";
import { TINY_SIZE, tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-other-images-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const CLASSES = 10;
const DIMS = [3, TINY_SIZE, TINY_SIZE];

/** MNIST's layout, byte by byte. */
function idx(dims: readonly number[], data: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * dims.length);
  header.writeUInt8(8, 2);
  header.writeUInt8(dims.length, 3);
  dims.forEach((dim, axis) => {
    header.writeUInt32BE(dim, 4 + 4 * axis);
  });
  return Buffer.concat([header, data]);
}

/** Images of ten classes, each of one level; the labels are moved on by `shift`. */
function writeImages(count: number, shift = 0): void {
  const size = DIMS.reduce((product, dim) => product * dim, 1);
  const label = (image: number): number => image % CLASSES;
  for (const part of ["train", "t10k"]) {
    const pixels = Uint8Array.from({ length: count * size }, (_, at) => 20 * label(Math.floor(at / size)));
    const labels = Uint8Array.from({ length: count }, (_, image) => (label(image) + shift) % CLASSES);
    writeFileSync(path.join(folder, `${part}-images-idx4-ubyte`), idx([count, ...DIMS], pixels));
    writeFileSync(path.join(folder, `${part}-labels-idx1-ubyte`), idx([count], labels));
  }
}

const run = path.join(folder, "run");
const resume = () => new PenniProcess(["train", "--resume", run]).ended;

test("a training goes on with the images that it began with, and no others", async () => {
  const model = path.join(folder, "tiny.onnx");
  await writeModel(model, tinyCnn());
  writeImages(40);
  const settings = "--epochs 60 --batch 8 --checkpoint-seconds 0.05 --schedule cosine --warm-up 0.25";
  const started = new PenniProcess(["train", model, "--data", folder, "-o", run, ...settings.split(" ")]);
  const metrics = path.join(run, "metrics.jsonl");
  await started.until(() => existsSync(metrics) && readFileSync(metrics, "utf8").includes("\n"));
  started.signalGroup("SIGINT");
  assert.equal((await started.ended).status, 130);
  const config = JSON.parse(readFileSync(path.join(run, "config.json"), "utf8"));
  // A folder is another one elsewhere, and may look otherwise later.
  assert.equal(config.data, `idx:${folder}`);
  assert.equal(config.images.count, 40);
  assert.deepEqual(config.settings.schedule, { kind: "one-cycle", peak: 0.1, warmUp: 0.25, fall: "cosine" });

  writeImages(40, 1);
  const relabelled = await resume();
  assert.equal(relabelled.status, 1);
  assert.match(
    relabelled.stderr,
    /not those that the run was started with.*found as many, but of other classes/,
  );
  writeImages(30);
  assert.match((await resume()).stderr, /expected 40 images, found 30/);
  writeImages(40);
  const whole = await resume();
  assert.equal(whole.status, 0, whole.stderr);
});

test("a specification is made absolute, whatever names the folder", () => {
  const here = process.cwd();
  const known: readonly (readonly [string, string])[] = [
    ["pictures", path.join(here, "pictures")],
    ["./pictures:2", path.join(here, "pictures:2")],
    ["folder:pictures", `folder:${path.join(here, "pictures")}`],
    ["cifar10:/data", "cifar10:/data"],
    ["synthetic", "synthetic"],
    ["synthetic:40", "synthetic:40"],
  ];
  for (const [spec, absolute] of known) assert.equal(absoluteSpec(spec), absolute);
});
