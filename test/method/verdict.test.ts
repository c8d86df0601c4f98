import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { describeSuitability, describeVerdict, inspectedFractions } from "../../src/cli/verdict_text.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { int } from "../../src/graph/attributes.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { countGraph } from "../../src/measure/count.js";
import { predictedLatency } from "../../src/measure/predicted_latency.js";
import { decompose } from "../../src/method/decompose.js";
import { compressionDefaults } from "../../src/method/defaults.js";
import { exportModel } from "../../src/method/export.js";
import { writtenBytes } from "../../src/method/goal/cost.js";
import { inspectGraph } from "../../src/method/inspect.js";
import { prunedShares, pruneToMacs } from "../../src/method/prune.js";
import { type Verdict, verdictOn } from "../../src/method/verdict.js";
import { type NetworkName, newNetwork } from "../../src/networks/index.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { node } from "../../support/small_models.js";

const image = [3, 32, 32] as const;

function network(name: NetworkName): Graph {
  return fixBatch(simplify(newNetwork(name, { classes: 10, image, seed: 3, metadata: new Map() })), 1);
}

function verdict(graph: Graph, fractions: readonly number[] = inspectedFractions): Verdict {
  return verdictOn(graph, inspectGraph(graph), { bytes: writtenBytes(graph), half: false }, { fractions });
}

/** |found / expected - 1| */
const deviation = (found: number, expected: number): number => Math.abs(found / expected - 1);

describe("what is predicted of a network", () => {
  for (const name of ["resnet20", "mobilenet_v2"] as const) {
    test(`is what pruning and exporting ${name} give`, async () => {
      const graph = network(name);
      const { predictions, least } = verdict(graph);
      const decomposed = decompose(graph, { basis: compressionDefaults.basis });
      const originalMacs = countGraph(graph).paperMacs;
      assert.ok(deviation(least, prunedShares(decomposed, { originalMacs }).least) < 1e-9);
      assert.deepEqual(
        predictions.map(({ fraction }) => fraction),
        inspectedFractions.filter((fraction) => fraction >= least),
      );
      for (const { fraction, speedUp, bytes } of predictions) {
        const pruned = pruneToMacs(decomposed, { fraction, originalMacs }).graph;
        const [before, after] = [graph, pruned].map((one) => predictedLatency(one, wasmTarget));
        assert.ok(before !== undefined && after !== undefined);
        // Samples of 4,096 coefficients: their shares are known to about 1 %.
        assert.ok(deviation(speedUp, before / after) < 0.03, `${fraction}: ${speedUp} for ${before / after}`);
        const written = writtenBytes((await exportModel(pruned, { original: graph })).graph);
        assert.ok(deviation(bytes, written) < 0.1, `${fraction}: ${bytes} for ${written} bytes`);
      }
    });
  }

  test("counts constants as they are written: without their zeros", async () => {
    // As of converted BlazeFace, whose padding of channels by zeros becomes a constant in an import.
    const plain = network("mobilenet_v2");
    const [first] = plain.nodes;
    const shown = first?.outputs[0] ?? assert.fail();
    const zeros = float32Tensor([1, 64, 32, 32], new Float32Array(64 * 32 * 32));
    const graph = {
      ...plain,
      nodes: [...plain.nodes, { ...node("Concat", [shown, "zeros"], "padded", { axis: int(1) }) }],
      initializers: new Map([...plain.initializers, ["zeros", zeros] as const]),
      outputs: [...plain.outputs, { name: "padded", type: undefined }],
    };
    const [{ bytes = 0 } = {}] = verdict(graph, [0.5]).predictions;
    const pruned = pruneToMacs(decompose(graph, { basis: compressionDefaults.basis }), {
      fraction: 0.5,
    }).graph;
    const written = writtenBytes((await exportModel(pruned, { original: graph })).graph);
    assert.ok(deviation(bytes, written) < 0.1, `${bytes} for ${written} bytes`);
  });

  test("is in shares that are all there is", () => {
    for (const name of ["resnet20", "mobilenet_v2"] as const) {
      const { families, time } = verdict(network(name));
      const sum = (shares: readonly { readonly share: number }[]): number =>
        shares.reduce((all, { share }) => all + share, 0);
      assert.ok(deviation(sum(Object.values(families).flat()), 1) < 1e-9);
      assert.ok(deviation(sum(time), 1) < 1e-9);
    }
  });

  test("is said: what it suits, and what the time goes into", () => {
    const [resnet, mobilenet] = [verdict(network("resnet20")), verdict(network("mobilenet_v2"))];
    assert.equal(
      describeSuitability(resnet),
      "100 % of the multiply-accumulates are 3x3 convolutions: suits",
    );
    assert.match(
      describeSuitability(mobilenet),
      /^\d\d % of the multiply-accumulates are 1x1 convolutions: bases do not apply there, sparse weights do/,
    );
    for (const columns of [40, 100]) {
      const text = describeVerdict(mobilenet, columns).join("\n");
      assert.match(text, /depthwise\s+convolutions\s+\(\d+\s+%\)/);
      assert.deepEqual(
        text.split("\n").filter((line) => line.length > columns),
        [],
      );
    }
  });

  test("says what cannot be reached, and that there is nothing", () => {
    const { layers, ...inspection } = inspectGraph(network("resnet20"));
    const fixed = { ...inspection, layers: layers.map((layer) => ({ ...layer, kind: "fixed" as const })) };
    const size = { bytes: 1e6, half: false };
    assert.deepEqual(describeVerdict(verdictOn(network("resnet20"), fixed, size, { fractions: [] }), 100), [
      "Verdict: there is no layer that Penni can make cheaper.",
    ]);
    const wide = verdict(network("resnet20"), [0.5, 0.01]);
    assert.equal(wide.predictions.length, 1);
    assert.match(
      describeVerdict({ ...wide, least: 0.3 }, 200).join("\n"),
      /25 % cannot be reached .*: 30 % is the least/,
    );
  });
});
