import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runGraph } from "../../src/execute/node.js";
import { attributes, int } from "../../src/graph/attributes.js";
import { PenniError } from "../../src/graph/errors.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { countNonZeros, float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { ElementType, Graph } from "../../src/graph/types.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { countGraph } from "../../src/measure/count.js";
import { decompose } from "../../src/method/decompose.js";
import { importForCompression } from "../../src/method/import_for_compression.js";
import { layerName } from "../../src/method/inspect.js";
import { prunableInitializers } from "../../src/method/prune.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { load } from "../../src/runtime/index.js";
import { node, randomTensor, smallGraph } from "../../support/small_models.js";
import { TINY_SIZE, tinyCnn } from "../../support/tiny_cnn.js";
import { type Answer, agreementOf, bestClasses } from "../../web/src/model/agreement.js";
import { type Network, openNetwork, type PictureInput } from "../../web/src/model/network.js";
import { drawable, generatedPictures, numbersOf, splitOf } from "../../web/src/model/pictures.js";
import { mostBasis, type Settings, startSettings, withLayer } from "../../web/src/model/settings.js";
import { Sliders } from "../../web/src/model/sliders.js";
import { summarize, summarizeVariant } from "../../web/src/model/views.js";
import { compileNetwork, forRuntime, pageOf, writeVariant } from "../../web/src/model/written.js";

function opened(graph: Graph): Network {
  const found = openNetwork(encodeModel(graph));
  assert.equal(found.kind, "network");
  return found.kind === "network" ? found.network : assert.fail();
}

const at = (basis: number, sparsity: number): Settings => ({ basis, sparsity, layers: {} });

async function outputOf(graph: Graph, input: Float32Array): Promise<Float32Array> {
  const name = graph.inputs[0]?.name ?? "";
  const tensor = float32Tensor([1, 3, TINY_SIZE, TINY_SIZE], input);
  const [found] = (await runGraph(fixBatch(graph, 1), new Map([[name, tensor]]))).values();
  return found === undefined ? assert.fail("no output") : float32Data(found);
}

const picture = float32Data(randomTensor([3 * TINY_SIZE * TINY_SIZE], 3));

/** Absolute, of logits about 1. */
const TOLERANCE = 1e-4;

function assertClose(found: ArrayLike<number>, wanted: ArrayLike<number>): void {
  assert.equal(found.length, wanted.length);
  for (let index = 0; index < wanted.length; index++)
    assert.ok(Math.abs((found[index] ?? Number.NaN) - (wanted[index] ?? 0)) <= TOLERANCE, `element ${index}`);
}

describe("opening a network", () => {
  test("a broken file says what is wrong with it", () => {
    const whole = encodeModel(tinyCnn());
    for (const bytes of [new Uint8Array(), whole.slice(0, whole.length / 2), new TextEncoder().encode("{}")])
      assert.throws(() => openNetwork(bytes), PenniError);
  });

  test("sizes that a file leaves open are asked for, and taken", () => {
    const graph = tinyCnn();
    const inputs = graph.inputs.map((input) => ({
      ...input,
      type: { elementType: "float32" as const, shape: ["batch", 3, "height", "width"] },
    }));
    const outputs = graph.outputs.map((output) => ({ ...output, type: undefined }));
    const bytes = encodeModel({ ...graph, inputs, outputs });
    const name = inputs[0]?.name ?? "";
    assert.deepEqual(openNetwork(bytes), {
      kind: "open sizes",
      inputs: [{ name, dims: [undefined, 3, undefined, undefined] }],
    });
    const found = openNetwork(bytes, { [name]: [1, 3, 24, 20] });
    assert.ok(found.kind === "network");
    const { height, width, channels } = found.network.pictures ?? {};
    assert.deepEqual([channels, height, width], [3, 24, 20]);
  });

  test("a network that takes no pictures has none", () => {
    const graph = tinyCnn();
    const twice = graph.inputs.flatMap((input) => [input, { ...input, name: "second" }]);
    assert.equal(opened({ ...graph, inputs: twice }).pictures, undefined);
    const given = (elementType: ElementType): Graph => {
      const inputs = graph.inputs.map(({ name, type }) => ({
        name: "given",
        type: { elementType, shape: type?.shape },
        became: name,
      }));
      const casts = inputs.map(({ name, became }) => ({
        ...{ name: `cast ${name}`, op: "Cast", domain: "", attributes: attributes({ to: int(1) }) },
        ...{ inputs: [name], outputs: [became] },
      }));
      return { ...graph, inputs, nodes: [...casts, ...graph.nodes] };
    };
    assert.equal(opened(given("uint8")).pictures?.height, TINY_SIZE);
    for (const type of ["int64", "float64", "bool"] as const)
      assert.equal(opened(given(type)).pictures, undefined, type);
  });
});

describe("the sliders", () => {
  const network = opened(tinyCnn());
  const sliders = new Sliders(network.dense);

  test("go to the taps of the commonest kernels", () => {
    assert.equal(sliders.most, 9);
    const layer = (K: number, C: number, R: number) => ({ K, C, R, S: R });
    assert.equal(mostBasis([layer(64, 3, 7), layer(64, 64, 3), layer(512, 512, 1)]), 9);
    assert.equal(mostBasis([layer(64, 3, 16)]), 25);
    assert.equal(mostBasis([]), 1);
    assert.equal(startSettings(9).basis, 5);
  });

  test("at their upper and lower end leave the network as it is", async () => {
    const graph = sliders.graphOf(at(sliders.most, 0));
    assert.equal(countGraph(fixBatch(graph, 1)).paperMacs, countGraph(fixBatch(network.graph, 1)).paperMacs);
    assertClose(await outputOf(graph, picture), await outputOf(tinyCnn(), picture));
  });

  for (const basis of [1, 3, 5, 7])
    test(`with ${basis} basis kernels give what decompose gives`, async () => {
      const wanted = decompose(importForCompression(tinyCnn()), { basis });
      const found = sliders.graphOf(at(basis, 0));
      assert.deepEqual(
        findDecompositions(found).map(({ d, K, C }) => [d, K, C]),
        findDecompositions(wanted).map(({ d, K, C }) => [d, K, C]),
      );
      assertClose(await outputOf(found, picture), await outputOf(wanted, picture));
    });

  for (const share of [0.1, 0.37, 0.8])
    test(`leave no more than 1 - ${share} of all coefficients, and of a layer with a share of its own`, () => {
      const left = (graph: Graph, name: string): number =>
        countNonZeros(float32Data(graph.initializers.get(name) ?? float32Tensor([0], [])));
      const whole = sliders.graphOf(at(5, 0));
      const names = prunableInitializers(whole);
      const all = names.reduce((sum, name) => sum + left(whole, name), 0);
      const pruned = sliders.graphOf(at(5, share));
      const kept = names.reduce((sum, name) => sum + left(pruned, name), 0);
      // Channels that then do nothing go as well, which little sparsity leaves none of.
      assert.ok(kept <= (1 - share) * all + 1, `${kept} of ${all}`);
      if (share < 0.2) assert.ok(kept >= (1 - share) * all - 1, `${kept} of ${all}`);
      const [first] = findDecompositions(whole);
      assert.ok(first !== undefined);
      const own = sliders.graphOf(withLayer(at(5, 0), layerName(first.conv), { sparsity: share }));
      const size = left(whole, first.coefs);
      assert.ok(left(own, first.coefs) <= (1 - share) * size + 1);
      if (share < 0.2) {
        assert.ok(left(own, first.coefs) >= (1 - share) * size - 1);
        for (const name of names.filter((other) => other !== first.coefs))
          assert.equal(left(own, name), left(whole, name), name);
      }
    });

  test("take the smallest elements, each in units of its layer's deviation", () => {
    const [whole, pruned] = [sliders.graphOf(at(5, 0)), sliders.graphOf(at(5, 0.2))];
    const [kept, gone]: [number[], number[]] = [[], []];
    for (const name of prunableInitializers(pruned)) {
      const before = float32Data(whole.initializers.get(name) ?? assert.fail(name));
      const after = float32Data(pruned.initializers.get(name) ?? assert.fail(name));
      // Where channels went too, elements have other places.
      if (before.length !== after.length) continue;
      const mean = before.reduce((sum, value) => sum + value, 0) / before.length;
      const deviation = Math.sqrt(
        before.reduce((sum, value) => sum + (value - mean) ** 2, 0) / before.length,
      );
      before.forEach((value, index) => {
        (after[index] === 0 ? gone : kept).push(Math.abs(value) / deviation);
      });
    }
    assert.ok(gone.length > 100 && kept.length > 100);
    assert.ok(Math.max(...gone) <= Math.min(...kept) * (1 + 1e-5));
  });

  test("give a layer its own basis, and take it back", () => {
    const [, second] = findDecompositions(sliders.graphOf(at(5, 0)));
    const name = second === undefined ? assert.fail() : layerName(second.conv);
    const settings = withLayer(at(5, 0), name, { basis: 2 });
    const bases = findDecompositions(sliders.graphOf(settings)).map(({ conv, d }) => [layerName(conv), d]);
    assert.ok(bases.length > 1);
    for (const [layer, d] of bases) assert.equal(d, layer === name ? 2 : 5);
    assert.deepEqual(withLayer(settings, name, { basis: undefined }).layers, {});
  });

  test("begin with dense kernels where a network came decomposed", () => {
    const compressed = opened(decompose(importForCompression(tinyCnn()), { basis: 3 }));
    const graph = new Sliders(compressed.dense).graphOf(at(5, 0));
    for (const { d } of findDecompositions(graph)) assert.equal(d, 5);
  });
});

describe("what is shown", () => {
  const network = opened(tinyCnn());
  const sliders = new Sliders(network.dense);
  const summary = summarize("tiny.onnx", network, sliders);

  test("of the network are the counts of its layers, which add up", () => {
    const rows = summary.rows.rows.flatMap(({ layer }) => (layer === undefined ? [] : [layer.before]));
    const macs = rows.reduce((sum, layer) => sum + layer.macs, 0);
    assert.equal(macs, summary.figures.paperMacs);
    assert.equal(summary.figures.paperMacs, countGraph(fixBatch(tinyCnn(), 1)).paperMacs);
    assert.ok(summary.hasKernels);
    assert.ok(summary.kinds.kernels.share > 0.5);
  });

  test("of a variant are costs that only fall with sparsity, by the names of the same layers", () => {
    const shown = [0, 0.5, 0.9].map((share) => summarizeVariant(sliders.graphOf(at(5, share))));
    const names = new Set(summary.rows.rows.map(({ name }) => name));
    for (const [index, { figures, layers, kernels }] of shown.entries()) {
      const before = shown[index - 1]?.figures;
      if (before !== undefined) {
        assert.ok(figures.paperMacs < before.paperMacs);
        assert.ok(figures.predictedMs < before.predictedMs);
      }
      const sum = Object.values(layers).reduce((total, { macs }) => total + macs, 0);
      assert.equal(sum, figures.paperMacs);
      for (const [name, { macs }] of Object.entries(layers)) assert.ok(macs === 0 || names.has(name), name);
      for (const { d, basis, R, S } of kernels)
        assert.deepEqual([basis.length, basis[0]?.length], [d, R * S]);
    }
  });

  test("written and compiled, a variant computes what it computed", async () => {
    const variant = sliders.graphOf(at(4, 0.4));
    const { graph, sparse } = await writeVariant(network, variant);
    const wanted = await outputOf(variant, picture);
    assertClose(await outputOf(decodeModel(sparse), picture), wanted);
    assertClose(await outputOf(decodeModel(forRuntime(graph)), picture), wanted);
    assert.ok(sparse.byteLength < network.fileBytes);
    const texts = ["export const load = () => undefined;", "export const readPicture = () => undefined;"];
    const { module, summary: program } = compileNetwork("tiny", network, graph);
    const page = pageOf("tiny", network, graph, texts).toString();
    assertClose((await load(module)).run(picture), wanted);
    assert.ok(program.multiplyAccumulates > 0);
    for (const text of texts) assert.ok(page.includes(text));
    assert.ok(page.includes(Buffer.from(module).toString("base64")));
  });
});

describe("pictures", () => {
  const { pictures } = opened(tinyCnn());
  const input: PictureInput = pictures ?? assert.fail("no pictures");

  test("that are generated are the same every time, and grey where they must be", () => {
    assert.deepEqual(generatedPictures(input, 12), generatedPictures(input, 12));
    assert.notDeepEqual(generatedPictures(input, 2).pixels, generatedPictures(input, 2, 1).pixels);
    const grey = generatedPictures({ ...input, channels: 1 }, 2);
    assert.equal(grey.pixels.length, 2 * TINY_SIZE * TINY_SIZE);
  });

  test("are numbers as the loader prepares them", async () => {
    const { module } = compileNetwork("tiny", opened(tinyCnn()), tinyCnn());
    const model = await load(module);
    const images = [0, 1].map((index) =>
      drawable(generatedPictures({ ...input, height: 40, width: 31 }, 2), index),
    );
    const numbers = numbersOf(splitOf(input, images), input);
    images.forEach((image, index) => {
      assert.deepEqual(numbers[index], model.prepare(image));
    });
  });
});

describe("answers", () => {
  const row = (...values: readonly number[]) => ({
    y: { dims: [1, values.length], data: Float32Array.from(values) },
  });

  test("that are the same have no error, others the share of the original's deviation", () => {
    const network = tinyCnn();
    const original = [row(1, 0, 0), row(0, 1, 0), row(0, 0, 1)];
    assert.deepEqual(agreementOf(network, original, original), { pictures: 3, error: 0, sameClass: 1 });
    const turned = [row(0, 1, 0), row(0, 1, 0), row(0, 0, 1)];
    const { error = 0, sameClass } = agreementOf(network, original, turned);
    // Two of nine elements are off by one; each varies by 2/9 from picture to picture.
    assert.ok(Math.abs(error - Math.sqrt(2 / 9 / (2 / 9))) < 1e-6, `${error}`);
    assert.equal(sameClass, 2 / 3);
    const broken = [row(Number.NaN, 0, 0), ...original.slice(1)];
    assert.equal(agreementOf(network, original, broken).error, undefined);
  });

  test("of several kinds in one output count each by its own scale", () => {
    const network = smallGraph(
      [1, 2],
      [node("Neg", ["x"], "n"), node("Concat", ["x", "n"], "y", { axis: int(1) })],
      {},
    );
    const answers = (...scores: readonly number[]): Answer[] =>
      scores.map((score, index) => ({ y: row(100 * index, 0, score, 0).y }));
    const original = answers(0, 1, 0, 1);
    const { error = 0 } = agreementOf(network, original, answers(0.5, 0.5, 0.5, 0.5));
    assert.ok(Math.abs(error - 1) < 1e-6, `${error}`);
  });

  test("have classes by their names, most probable first, where they are a row of scores", () => {
    const [first, second] = bestClasses(row(0, 2, 1), ["a", "b", "c"], 2) ?? [];
    assert.deepEqual([first?.name, second?.name], ["b", "c"]);
    const e = Math.E;
    assert.ok(Math.abs((first?.probability ?? 0) - e ** 2 / (1 + e + e ** 2)) < 1e-6);
    assert.deepEqual(bestClasses(row(0.25, 0.75), undefined, 1), [{ name: "class 1", probability: 0.75 }]);
    assert.equal(bestClasses({ y: { dims: [1, 2, 4], data: new Float32Array(8) } }, undefined, 1), undefined);
  });
});
