import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import {
  compileToWasm,
  countGraph,
  decompose,
  evaluate,
  exportModel,
  fixBatch,
  float32Data,
  imagenetPreprocessing,
  openDataset,
  pruneCoefficients,
  readModel,
  shrink,
  simplify,
  train,
  writeModel,
} from "../src/index.js";
import { load } from "../src/runtime/index.js";
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
