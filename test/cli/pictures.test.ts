import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import sharp from "sharp";
import { compileToWasm } from "../../src/compile/index.js";
import { openDataset } from "../../src/data/index.js";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { readPreprocessing } from "../../src/graph/image_metadata.js";
import type { Graph } from "../../src/graph/types.js";
import type { Accuracy } from "../../src/measure/accuracy.js";
import type { Summary } from "../../src/run/summary.js";
import { load } from "../../src/runtime/index.js";
import { penni } from "../../support/command_line.js";
import { type Photo, writePhotos } from "../../support/photos.js";
import { blueFirst, forScale, fromLevels, pixelwise } from "../../support/picture_variants.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const root = mkdtempSync(path.join(os.tmpdir(), "penni-pictures-"));
after(() => rmSync(root, { recursive: true }));
const photoFolder = path.join(root, "photos");
let photos: readonly Photo[] = [];
before(async () => {
  const dataset = await openDataset("synthetic:100");
  photos = await writePhotos(photoFolder, await dataset.train(), dataset.classNames ?? [], 60);
});

async function modelFile(name: string, graph: Graph): Promise<string> {
  const file = path.join(root, `${name}.onnx`);
  await writeModel(file, graph);
  return file;
}

/** What a network that takes colours from 0 to 1 is told to be. */
const PLAIN = ["--mean", "0,0,0", "--std", "1,1,1"];

const variants: readonly {
  readonly name: string;
  readonly graph: Graph;
  readonly options: readonly string[];
  readonly said: RegExp;
}[] = [
  {
    name: "planes",
    graph: tinyCnn(),
    options: PLAIN,
    said: /RGB.*NCHW \(the model's input\).*mean 0 0 0.*\(option\)/,
  },
  { name: "pixelwise", graph: pixelwise(tinyCnn()), options: PLAIN, said: /NHWC \(the model's input\)/ },
  {
    name: "blue-first",
    graph: blueFirst(tinyCnn()),
    options: [...PLAIN, "--color", "bgr"],
    said: /BGR.*\(option\)/,
  },
  {
    name: "large",
    graph: forScale(tinyCnn(), 255),
    options: ["--scale", "255"],
    said: /0 to 255, mean 0 0 0, std 1 1 1 \(option\)/,
  },
  {
    name: "levels",
    graph: fromLevels(tinyCnn()),
    options: [],
    said: /0 to 255, mean 0 0 0, std 1 1 1 \(the model's input\)|NHWC, 0 to 255/,
  },
  {
    name: "all-at-once",
    graph: pixelwise(blueFirst(forScale(tinyCnn(), 255))),
    options: ["--scale", "255", "--color", "bgr", "--layout", "nhwc"],
    said: /NHWC.*\(option\)/,
  },
];

for (const { name, graph, options, said } of variants) {
  test(`the same network however it takes its pictures: ${name}`, async () => {
    const evaluated = async (file: string, more: readonly string[]) => {
      const data = ["--data", `folder:${photoFolder}`, "--json", "--split", "train"];
      const { status, stdout, stderr } = await penni(["eval", file, ...data, ...more]);
      assert.equal(status, 0, stderr);
      return { result: JSON.parse(stdout) as Accuracy, stderr };
    };
    const reference = await evaluated(await modelFile("reference", tinyCnn()), PLAIN);
    const file = await modelFile(name, graph);
    const { result, stderr } = await evaluated(file, options);
    assert.equal(result.correct, reference.result.correct);
    assert.match(stderr, said);
    // The scores themselves, compiled: what the options say travels in the module.
    const compiled = async (model: string, more: readonly string[]) => {
      const out = mkdtempSync(path.join(root, "wasm-"));
      const { status, stderr } = await penni([
        "compile",
        model,
        "--target",
        "wasm",
        "--name",
        "m",
        "-o",
        path.join(out, "m"),
        ...more,
      ]);
      assert.equal(status, 0, stderr);
      return load(path.join(out, "m", "m.wasm"));
    };
    const [model, original] = [
      await compiled(file, options),
      await compiled(await modelFile("reference", tinyCnn()), PLAIN),
    ];
    for (const { file: photo } of photos.slice(0, 10)) {
      const { data, info } = await sharp(photo).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
      const picture = { width: info.width, height: info.height, data };
      const [a, b] = [model.run(model.prepare(picture)), original.run(original.prepare(picture))];
      b.forEach((score, index) => {
        assert.ok(Math.abs(score - (a[index] ?? Number.NaN)) <= 1e-4 * (1 + Math.abs(score)));
      });
    }
  });
}

/** Compresses on photos, checks that the result takes pictures as the original, and says what came of it. */
async function compressed(file: string, data: string, more: readonly string[]): Promise<Summary> {
  const out = path.join(mkdtempSync(path.join(root, "run-")), "run");
  const { status, stdout, stderr } = await penni([
    "compress",
    file,
    "--data",
    data,
    "-o",
    out,
    "--json",
    ...more,
  ]);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /^pictures: .*NHWC/);
  const [original, result] = [await readModel(file), await readModel(path.join(out, "model.onnx"))];
  assert.deepEqual(result.inputs, original.inputs);
  assert.equal(readPreprocessing(result.metadata)?.layout, "NHWC");
  const model = await load(compileToWasm(result));
  const { data: pixels, info } = await sharp(photos[0]?.file)
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  assert.ok(
    (model.classify({ width: info.width, height: info.height, data: pixels })[0]?.probability ?? 0) > 0,
  );
  return JSON.parse(stdout) as Summary;
}

const f5 = "cases/f5_nhwc_input.onnx";
for (const kind of ["images", "folder"]) {
  test(`a network as tf2onnx writes it is compressed on ${kind}`, { skip: withoutShared(f5) }, async () => {
    // Its scores are of four classes.
    const four = path.join(root, `four-${kind}`);
    for (const name of readdirSync(photoFolder).slice(0, 4))
      cpSync(path.join(photoFolder, name), path.join(four, name), { recursive: true });
    await compressed(sharedPath(f5), `${kind}:${four}`, ["--preset", "calibrate", "--loss", "distill"]);
  });
}

test("levels of uint8, pixel by pixel: compressed, with the same input", async () => {
  const file = await modelFile("levels", fromLevels(tinyCnn()));
  await compressed(file, `images:${photoFolder}`, ["--preset", "calibrate", "--target-macs", "0.8"]);
});

test("training sees the same pictures in either layout", async () => {
  const settings = ["--loss", "distill", "--deviations", "0.5", "--epochs", "0.5", "--fine-tune-epochs", "1"];
  const options = [...settings, "--batch", "8", "--threads", "1", ...PLAIN];
  const data = `images:${photoFolder}`;
  const other = await compressed(await modelFile("pixelwise", pixelwise(tinyCnn())), data, options);
  const out = path.join(root, "planes-run");
  const planes = await modelFile("planes", tinyCnn());
  const { status, stdout, stderr } = await penni([
    "compress",
    planes,
    "--data",
    data,
    "-o",
    out,
    "--json",
    ...options,
  ]);
  assert.equal(status, 0, stderr);
  const summary = JSON.parse(stdout) as Summary;
  assert.equal(other.compressed.parameters, summary.compressed.parameters);
  const [a, b] = [other, summary].map(({ agreement }) => agreement?.outputs[0]?.error ?? Number.NaN);
  assert.ok(Math.abs((a ?? 0) - (b ?? Number.NaN)) < 1e-3, `${a} and ${b}`);
});
