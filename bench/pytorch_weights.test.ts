import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { runGraph } from "../src/execute/node.js";
import { readModel } from "../src/files/model_files.js";
import { PenniError } from "../src/graph/errors.js";
import { float32Data } from "../src/graph/tensor.js";
import type { Graph } from "../src/graph/types.js";
import { decompose } from "../src/method/decompose.js";
import { simplify } from "../src/ops/passes/simplify.js";
import { benchmarkNetworks } from "../support/benchmark_networks.js";
import { sharedPath, withoutShared } from "../support/shared.js";
import { randomTensor } from "../support/small_models.js";
import { readWeights, writeWeights } from "./pytorch_weights.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-weights-"));
const file = path.join(folder, "weights.f32");
after(() => rm(folder, { recursive: true }));

async function logits(graph: Graph): Promise<Float32Array> {
  const name = graph.inputs[0]?.name ?? "";
  const [output] = (await runGraph(graph, new Map([[name, randomTensor([2, 3, 32, 32], 1)]]))).values();
  assert.ok(output !== undefined);
  return float32Data(output);
}

test("weights written from a decomposed network and read back are the same", async () => {
  const network = decompose(benchmarkNetworks.resnet20.build(), { basis: 5 });
  await writeWeights(file, network);
  const copy = await readWeights(file, network);
  assert.deepEqual(copy.initializers, network.initializers);
});

test("a file that is too short or too long is refused", async () => {
  const network = benchmarkNetworks.resnet20.build();
  for (const count of [100, 300_000]) {
    await writeFile(file, new Uint8Array(4 * count));
    await assert.rejects(
      readWeights(file, network),
      (error) => error instanceof PenniError && error.code === "bad-file",
    );
  }
});

test("the benchmark's ResNet-20 with the weights of PyTorch's export computes the same", {
  skip: withoutShared("models/resnet20.onnx"),
}, async () => {
  const exported = simplify(await readModel(sharedPath("models/resnet20.onnx")));
  await writeWeights(file, exported);
  const ours = await logits(await readWeights(file, benchmarkNetworks.resnet20.build()));
  const theirs = await logits(exported);
  const difference = Math.max(...ours.map((value, index) => Math.abs(value - (theirs[index] ?? NaN))));
  // float32 rounding through 20 layers; logits are up to about 10.
  assert.ok(difference < 1e-4, `${difference}`);
});
