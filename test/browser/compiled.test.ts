import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { compileToWasm } from "../../src/compile/index.js";
import { runGraph } from "../../src/execute/node.js";
import { readModel } from "../../src/files/model_files.js";
import { imagenetPreprocessing, PREPROCESSING_KEY } from "../../src/graph/image_metadata.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { decompose } from "../../src/method/decompose.js";
import { pruneCoefficients } from "../../src/method/prune.js";
import { encodeModel } from "../../src/onnx/write.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { inBrowser, withoutChromium } from "../../support/browser.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { randomTensor } from "../../support/small_models.js";
import { TINY_SIZE, tinyCnn } from "../../support/tiny_cnn.js";
import type { PageAnswer } from "./compiled_page.js";
import { type CompiledCase, type CompiledRun, runCompiled } from "./run_compiled.js";

const IMAGES = 2;
/** Absolute, of logits. */
const TOLERANCE = 1e-3;

interface Network {
  readonly name: string;
  readonly graph: Graph;
  /** Of one image. */
  readonly dims: readonly number[];
}

/** Decomposed and pruned by the paper's rule, not retrained: only its sparsity matters here. */
function compressed(graph: Graph): Graph {
  return pruneCoefficients(decompose(simplify(graph), { basis: 5 }), { factor: 1 }).graph;
}

function denseAndCompressed(graph: Graph, dims: readonly number[]): readonly Network[] {
  return [
    { name: "dense", graph, dims },
    { name: "compressed", graph: compressed(graph), dims },
  ];
}

function caseOf({ name, graph, dims }: Network, seed: number): CompiledCase {
  const metadata = new Map([[PREPROCESSING_KEY, JSON.stringify(imagenetPreprocessing)]]);
  const onnx = encodeModel({ ...graph, metadata });
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
  const [width, height] = [40, 24];
  const levels = float32Data(randomTensor([4 * width * height], seed));
  return {
    name,
    onnx: base64(onnx),
    module: base64(compileToWasm(onnx)),
    input: Array.from(float32Data(randomTensor([IMAGES, ...dims], seed))),
    picture: {
      width,
      height,
      data: Array.from(levels, (x, index) => (index % 4 === 3 ? 255 : Math.floor(128 * (x + 1)))),
    },
  };
}

async function reference({ graph, dims }: Network, { input }: CompiledCase): Promise<Float32Array> {
  const tensor = float32Tensor([IMAGES, ...dims], input);
  const outputs = await runGraph(fixBatch(graph, IMAGES), new Map([[graph.inputs[0]?.name ?? "", tensor]]));
  const [logits] = outputs.values();
  assert.ok(logits !== undefined);
  return float32Data(logits);
}

function assertClose(found: readonly number[], expected: ArrayLike<number>): void {
  assert.equal(found.length, expected.length);
  found.forEach((value, index) => {
    const wanted = expected[index] ?? Number.NaN;
    assert.ok(Math.abs(value - wanted) <= TOLERANCE, `element ${index}: ${value}, expected ${wanted}`);
  });
}

/** Probabilities by class. */
const byClass = (run: CompiledRun | undefined): readonly number[] =>
  (run?.scores ?? []).toSorted(([a], [b]) => a - b).map(([, probability]) => probability);

async function checkInBrowser(t: TestContext, networks: readonly Network[]): Promise<void> {
  const cases = networks.map(caseOf);
  const answer = (await inBrowser("dist/test/browser/compiled_page.js", cases)) as PageAnswer;
  assert.ok("answers" in answer, JSON.stringify(answer));
  for (const [index, network] of networks.entries()) {
    const [given, found] = [cases[index], answer.answers[index]];
    assert.ok(given !== undefined && found !== undefined);
    const expected = await reference(network, given);
    const [here] = await runCompiled(given, (image) => image);
    for (const place of ["page", "worker"] as const) {
      for (const [build, run] of found[place].entries()) {
        await t.test(`${network.name}: ${place}, ${build === 1 ? "relaxed" : "plain"} SIMD`, () => {
          assert.equal(run.relaxed, build === 1);
          assertClose(run.output, expected);
          assertClose(byClass(run), byClass(here));
        });
      }
    }
    await t.test(`${network.name}: compiled by the page to the same bytes`, () => {
      assert.ok(found.isSame);
      assertClose(found.own, expected);
    });
  }
}

test("a small network compiled, in Chromium", { skip: withoutChromium }, (t) =>
  checkInBrowser(t, denseAndCompressed(tinyCnn(), [3, TINY_SIZE, TINY_SIZE])),
);

const withoutResnet = withoutChromium || withoutShared("models/resnet20.onnx");
test("ResNet-20 compiled, in Chromium", { skip: withoutResnet }, async (t) => {
  const graph = await readModel(sharedPath("models/resnet20.onnx"));
  await checkInBrowser(t, denseAndCompressed(graph, [3, 32, 32]));
});
