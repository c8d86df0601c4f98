import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import {
  compileToWasm,
  compress,
  countGraph,
  decompose,
  evaluate,
  exportModel,
  fixBatch,
  float32Data,
  imagenetPreprocessing,
  openDataset,
  presets,
  pruneCoefficients,
  RunDirectory,
  readModel,
  type Settings,
  shrink,
  simplify,
  train,
  writeArrays,
  writeModel,
} from "../src/index.js";
import { settingsSchema } from "../src/run/config.js";
import { load } from "../src/runtime/index.js";
import { randomSource } from "../support/opcase.js";
import { tinyCnn } from "../support/tiny_cnn.js";

test("the steps as library functions: decompose, train, prune, fine-tune, shrink, export", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "penni-library-"));
  try {
    const data = "synthetic:200";
    const common = { data, epochs: 1, batch: 16, threads: 1, validation: 0.1 } as const;
    const schedule = { kind: "cosine", initial: 0.01 } as const;
    await writeModel(path.join(folder, "original.onnx"), tinyCnn());
    const original = simplify(await readModel(path.join(folder, "original.onnx")));
    const decomposed = decompose(original, { basis: 3 });
    const retrained = await train(decomposed, { ...common, schedule, teacher: original, l1: 1e-3 });
    const { graph: pruned, masks } = pruneCoefficients(retrained, { factor: 1 });
    const tuned = await train(pruned, { ...common, schedule, teacher: original, holdZeros: true });

    assert.ok(masks.size > 0);
    for (const [name, mask] of masks) {
      const [before, after] = [pruned, tuned].map((graph) => graph.initializers.get(name));
      assert.ok(before !== undefined && after !== undefined);
      const values = float32Data(after);
      float32Data(mask).forEach((kept, index) => {
        if (kept === 0) assert.equal(Math.abs(values[index] ?? NaN), 0, `${name}[${index}]`);
      });
      assert.notDeepEqual(float32Data(before), values, `${name} was trained`);
    }
    const count = (graph: typeof original) => countGraph(fixBatch(graph, 1)).paperMacs;
    assert.ok(count(tuned) < count(decomposed));

    const { graph } = await exportModel(shrink(tuned), { preprocessing: imagenetPreprocessing });
    const file = path.join(folder, "small.onnx");
    const bytes = await writeModel(file, graph, { sparse: true });
    assert.ok(bytes > 0);
    const [height, width] = (original.inputs[0]?.type?.shape ?? []).slice(2).map(Number);
    assert.ok(height !== undefined && width !== undefined);
    const split = await (await openDataset(data, { imageSize: { height, width } })).test();
    const accuracy = await evaluate(await readModel(file), split, imagenetPreprocessing);
    assert.equal(accuracy.total, split.count);
    const compiled = await load(compileToWasm(await readModel(file)));
    const classes = original.outputs[0]?.type?.shape?.at(-1);
    assert.equal(compiled.run(new Float32Array(3 * height * width)).length, classes);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

describe("compress({ model, data, out })", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "penni-compress-"));
  after(() => rm(folder, { recursive: true, force: true }));
  const place = (...parts: readonly string[]): string => path.join(folder, ...parts);
  const model = place("original.onnx");
  await writeModel(model, tinyCnn());
  const [height, width] = (tinyCnn().inputs[0]?.type?.shape ?? []).slice(2).map(Number);
  assert.ok(height !== undefined && width !== undefined);
  const random = randomSource(5);
  const images = Array.from({ length: 40 }, (_, index) => ({
    pixels: Uint8Array.from({ length: 3 * height * width }, () => Math.floor(256 * random())),
    label: index % 10,
  }));
  const settings = { prune: { rule: "macs", fraction: 0.9 }, calibrationImages: 16, threads: 1 } as const;

  test("has a default for everything else", async () => {
    const out = place("plain");
    const summary = await compress({ model, data: "synthetic:40", out, settings });
    const { config } = await RunDirectory.open(out);
    assert.deepEqual([config.preset, config.seed, config.settings.start], ["calibrate", 0, "calibrate"]);
    assert.ok(summary.compressed.paperMacs <= 0.9 * summary.original.paperMacs);
    assert.equal(summary.model, path.join(out, "model.onnx"));
  });

  test("takes arrays, and images as they come, to the same result", async () => {
    async function* coming() {
      for (const { pixels, label } of images) yield { pixels: Array.from(pixels), label };
    }
    const size = { height, width };
    const array = await compress({ model, data: { ...size, images }, out: place("array"), settings });
    const came = await compress({ model, data: { ...size, images: coming() }, out: place("came"), settings });
    assert.deepEqual(await readFile(array.model), await readFile(came.model));
    const planar = images.map(({ pixels, label }) => ({ pixels: planes(pixels), label }));
    await writeArrays(place("planes"), { ...size, planar: true, images: planar });
    const [kept, other] = await Promise.all(
      [place("array-images"), place("planes")].map((each) => openDataset(`arrays:${each}`)),
    );
    const [train, test] = await Promise.all([kept?.train(), kept?.test()]);
    assert.deepEqual([train?.count, test?.count, kept?.classNames?.length], [32, 8, 10]);
    assert.deepEqual(await other?.train(), train);
    assert.deepEqual(Array.from(test?.labels ?? []), [4, 9, 4, 9, 4, 9, 4, 9]);
    // The first test image is the fifth.
    assert.deepEqual(
      Array.from(test?.pixels.subarray(0, 3 * height * width) ?? []),
      planes(images[4]?.pixels ?? []),
    );
  });

  test("refuses what is not as it was said, and leaves nothing behind", async () => {
    const size = { height, width };
    const [first] = images;
    assert.ok(first !== undefined);
    const { pixels } = first;
    const faults = [
      [[{ pixels: [1, 2, 3] }], /image 0: .* found 3 levels/],
      [[first, { pixels }], /image 1: .*labels of all images or of none, found no label/],
      [[{ pixels }, first], /image 1: .*found a label/],
      [[first, { pixels, label: 10 }], /a label is of no class: .*0 to 9, found 10/],
      [[first, { pixels, label: 1.5 }], /the label of image 1/],
      [[{ pixels: Array.from(pixels, () => 256) }], /a level of image 0: .*0 to 255, found 256/],
      [[], /the images: /],
    ] as const;
    for (const [given, message] of faults) {
      const out = place("refused");
      await assert.rejects(compress({ model, data: { ...size, images: given }, out, settings }), message);
      assert.deepEqual([existsSync(out), existsSync(`${out}-images`)], [false, false]);
    }
  });

  test("nor is anything left where the run itself cannot be", async () => {
    const out = place("unreachable");
    const wish = { ...settings, prune: { rule: "macs", fraction: 0.01 } } as const;
    const data = { height, width, images };
    await assert.rejects(compress({ model, data, out, settings: wish }), /cannot be reached/);
    assert.deepEqual([existsSync(out), existsSync(`${out}-images`)], [false, false]);
  });

  test("every preset is complete", () => {
    for (const preset of Object.values(presets)) {
      const complete: Settings = preset;
      assert.deepEqual(settingsSchema.parse(complete), complete);
    }
  });
});

/** [height, width, 3] to [3, height, width]. */
function planes(pixels: ArrayLike<number>): number[] {
  return [0, 1, 2].flatMap((channel) => Array.from(pixels).filter((_, index) => index % 3 === channel));
}
