import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { runGraph } from "../../src/execute/node.js";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { PenniError } from "../../src/graph/errors.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { elementCount, float32Data } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { countGraph } from "../../src/measure/count.js";
import { pruneChannels, readValues } from "../../src/method/channels/prune.js";
import type { SumChannels } from "../../src/method/channels/table.js";
import { layerChannels } from "../../src/method/shrink.js";
import { newNetwork } from "../../src/networks/index.js";
import { inferGraph } from "../../src/ops/inference/infer.js";
import { importModel } from "../../src/ops/passes/import_model.js";
import { channelTraining, presets } from "../../src/run/config.js";
import { compress } from "../../src/run/pipeline.js";
import { prepareRun } from "../../src/run/prepare.js";
import { assertSameOutputs, Network } from "../../support/network.js";
import { randomSource } from "../../support/opcase.js";
import { instruction, networkOf } from "../../support/random_network.js";

const paperMacs = (graph: Graph): number => countGraph(fixBatch(graph, 1)).paperMacs;

const widths = (graph: Graph): readonly (readonly [number, number])[] =>
  layerChannels(graph).map(({ inputs, outputs }) => [inputs, outputs] as const);

/** A variance for each channel of each value that is asked for. */
function variancesOf(
  graph: Graph,
  variance: (value: string, channel: number) => number,
  sums?: SumChannels,
): ReadonlyMap<string, readonly number[]> {
  const { types } = inferGraph(fixBatch(graph, 1));
  return new Map(
    readValues(graph, sums).map((value) => {
      const channels = types.get(value)?.shape?.[1];
      assert.ok(typeof channels === "number");
      return [value, Array.from({ length: channels }, (_, channel) => variance(value, channel))] as const;
    }),
  );
}

test("channels that no layer reads go first, and then the network still computes the same", async () => {
  const net = new Network(3, [3, 8, 8]);
  const hidden = net.relu(net.norm(net.conv("x", 16, { pad: 1 })));
  const second = net.relu(net.norm(net.conv(hidden, 8, { pad: 1, deadInputs: [1, 2, 5, 7, 8, 9, 12, 15] })));
  const graph = net.graph([net.gemm(net.op("Flatten", [net.op("GlobalAveragePool", [second])]), 10)]);
  const variances = variancesOf(graph, () => 1);
  // What is left when half of the first convolution's channels are gone; zero weights of the second count nothing.
  const left = 64 * 9 * (3 * 8 + 8 * 8) + 80;
  const narrow = pruneChannels(graph, { fraction: left / paperMacs(graph), variances });
  assert.deepEqual(widths(narrow), [
    [3, 8],
    [8, 8],
    [8, 10],
  ]);
  await assertSameOutputs(graph, narrow, net.feeds());
});

test("a channel that does not vary is worth nothing, however large its weights", () => {
  const net = new Network(4, [3, 8, 8]);
  const hidden = net.relu(net.norm(net.conv("x", 12, { pad: 1 })));
  const graph = net.graph([net.relu(net.norm(net.conv(hidden, 8, { pad: 1 })))]);
  const constant = new Set([0, 4, 7]);
  const variances = variancesOf(graph, (_, channel) => (constant.has(channel) ? 0 : 1));
  const narrow = pruneChannels(graph, { fraction: 0.75, variances });
  const weightOf = (network: Graph): Float32Array => {
    const tensor = network.initializers.get(layerChannels(network)[0]?.weight ?? "");
    assert.ok(tensor !== undefined);
    return float32Data(tensor);
  };
  const kept = weightOf(graph).filter((_, at) => !constant.has(Math.floor(at / 27)));
  assert.deepEqual(weightOf(narrow), kept);
});

test("what additions tie together goes together, in multiples, also in front of a depthwise convolution", async () => {
  for (const name of ["resnet18", "mobilenet_v2"] as const) {
    const graph = importModel(
      newNetwork(name, { classes: 10, image: [3, 32, 32], seed: 1, metadata: new Map() }),
    );
    const next = randomSource(5);
    const variances = variancesOf(graph, () => next());
    const narrow = pruneChannels(graph, { fraction: 0.3, multiple: 8, variances });
    const share = paperMacs(narrow) / paperMacs(graph);
    assert.ok(share <= 0.3 && share > 0.27, `${name}: ${share}`);
    const before = widths(graph);
    for (const [layer, [inputs, outputs]] of widths(narrow).entries()) {
      const [wasIn = 0, wasOut = 0] = before[layer] ?? [];
      assert.ok(inputs === wasIn || inputs % 8 === 0, `${name}, layer ${layer}: ${inputs} of ${wasIn}`);
      assert.ok(outputs === wasOut || outputs % 8 === 0, `${name}, layer ${layer}: ${outputs} of ${wasOut}`);
      assert.ok(inputs >= wasIn / 8 && outputs >= wasOut / 8);
    }
  }
});

test("channels of a residual stream go where that is asked for, those that vary least in front of all who read them", () => {
  const net = new Network(8, [3, 8, 8]);
  let stream = net.relu(net.norm(net.conv("x", 12, { pad: 1 })));
  for (let block = 0; block < 2; block++) {
    const inner = net.relu(net.norm(net.conv(stream, 8, { pad: 1 })));
    stream = net.op("Add", [stream, net.norm(net.conv(inner, 12, { pad: 1 }))]);
  }
  const pooled = net.op("Flatten", [net.op("GlobalAveragePool", [stream])]);
  const graph = net.graph([net.gemm(pooled, 10)]);
  const constant = new Set([0, 3, 4, 9]);
  const { types } = inferGraph(fixBatch(graph, 1));
  const variance = (value: string, channel: number): number =>
    types.get(value)?.shape?.[1] === 12 && constant.has(channel) ? 0 : 1;
  const narrow = pruneChannels(graph, {
    fraction: 0.7,
    sums: "tied",
    variances: variancesOf(graph, variance, "tied"),
  });
  assert.deepEqual(widths(narrow), [
    [3, 8],
    [8, 8],
    [8, 8],
    [8, 8],
    [8, 8],
    [8, 10],
  ]);
  const stem = (network: Graph): Float32Array => {
    const tensor = network.initializers.get(layerChannels(network)[0]?.weight ?? "");
    assert.ok(tensor !== undefined);
    return float32Data(tensor);
  };
  const kept = stem(graph).filter((_, at) => !constant.has(Math.floor(at / 27)));
  assert.deepEqual(stem(narrow), kept);
  // Otherwise the stream keeps its width, and inner channels go.
  const inner = pruneChannels(graph, { fraction: 0.7, variances: variancesOf(graph, variance) });
  assert.deepEqual(widths(inner).at(0), [3, 12]);
});

test("known networks become narrower in all their layers, further than without their residual streams", () => {
  for (const name of ["resnet20", "resnet18"] as const) {
    const graph = importModel(
      newNetwork(name, { classes: 10, image: [3, 32, 32], seed: 1, metadata: new Map() }),
    );
    const next = randomSource(6);
    const variances = variancesOf(graph, () => next(), "tied");
    const fraction = 0.05;
    assert.throws(() => pruneChannels(graph, { fraction, multiple: 8, variances }), { code: "bad-option" });
    const narrow = pruneChannels(graph, { fraction: 0.3, multiple: 8, sums: "tied", variances });
    const share = paperMacs(narrow) / paperMacs(graph);
    assert.ok(share <= 0.3 && share > 0.2, `${name}: ${share}`);
    const before = widths(graph);
    for (const [layer, [inputs, outputs]] of widths(narrow).entries()) {
      const [wasIn = 0, wasOut = 0] = before[layer] ?? [];
      assert.ok(inputs === wasIn || inputs % 8 === 0, `${name}, layer ${layer}: ${inputs} of ${wasIn}`);
      assert.ok(outputs === wasOut || outputs % 8 === 0, `${name}, layer ${layer}: ${outputs} of ${wasOut}`);
    }
    const [stem] = widths(narrow);
    assert.ok(stem !== undefined && stem[1] <= (before[0]?.[1] ?? 0), `${stem}`);
  }
});

test("channels pass through a matrix product of later axes, whose weights stay", async () => {
  // As many columns as channels, fewer and more: a weight of columns is none of channels.
  for (const columns of [12, 8, 16]) {
    const net = new Network(columns, [3, 8, columns]);
    const hidden = net.relu(net.norm(net.conv("x", 12, { pad: 1 })));
    const matrix = net.parameter("matrix", [columns, 6]);
    const product = net.op("MatMul", [hidden, matrix]);
    const last = net.relu(net.norm(net.conv(product, 8, { pad: 1, deadInputs: [1, 2, 5, 7, 8, 9] })));
    const graph = net.graph([net.gemm(net.op("Flatten", [net.op("GlobalAveragePool", [last])]), 10)]);
    const variances = variancesOf(graph, () => 1);
    assert.ok(!variances.has(hidden) && variances.has(product));
    // Half of the channels, which nobody reads: half of the first convolution, the product and the second one.
    const macs = 8 * columns * 12 * 3 * 9 + 8 * columns * 6 * 12 + 8 * 6 * 8 * 12 * 9;
    const fraction = (macs / 2 + 80) / paperMacs(graph);
    const narrow = pruneChannels(graph, { fraction, variances });
    assert.deepEqual(widths(narrow).at(0), [3, 6]);
    assert.ok(paperMacs(narrow) <= fraction * paperMacs(graph));
    assert.deepEqual(narrow.initializers.get(matrix), graph.initializers.get(matrix));
    await assertSameOutputs(graph, narrow, net.feeds());
  }
});

for (const sums of ["fixed", "tied"] as const)
  test(`random networks, sums ${sums}: the target is met or refused, and the outputs keep their form`, async () => {
    let met = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.array(instruction, { minLength: 2, maxLength: 14 }),
        fc.array(instruction, { minLength: 1, maxLength: 3 }),
        fc.double({ min: 0.2, max: 1, noNaN: true }),
        async (seed, program, heads, fraction) => {
          const { net, graph } = networkOf(seed, program, heads);
          const next = randomSource(seed);
          const before = paperMacs(graph);
          if (before === 0) return;
          const narrow = narrowed(graph, fraction, () => next(), sums);
          if (narrow === undefined) return;
          met += 1;
          assert.ok(paperMacs(narrow) <= fraction * before, `${paperMacs(narrow)} of ${before}: ${fraction}`);
          const [want, got] = [await runGraph(graph, net.feeds()), await runGraph(narrow, net.feeds())];
          for (const [output, { dims }] of want) {
            const tensor = got.get(output);
            assert.ok(tensor !== undefined);
            assert.deepEqual(tensor.dims, dims);
            assert.equal(float32Data(tensor).filter(Number.isFinite).length, elementCount(dims));
          }
        },
      ),
      { numRuns: 100, seed: 1001 },
    );
    assert.ok(met > 30, `${met} targets were met`);
  });

/** Undefined if the fraction is refused. */
function narrowed(
  graph: Graph,
  fraction: number,
  variance: () => number,
  sums: SumChannels,
): Graph | undefined {
  try {
    return pruneChannels(graph, { fraction, sums, variances: variancesOf(graph, variance, sums) });
  } catch (error) {
    assert.ok(error instanceof PenniError && error.code === "bad-option", `${error}`);
    return undefined;
  }
}

test("a fraction that cannot be reached is refused with the least that can", () => {
  const net = new Network(6, [3, 8, 8]);
  const graph = net.graph([net.conv(net.relu(net.conv("x", 16)), 8)]);
  const variances = variancesOf(graph, () => 1);
  assert.throws(() => pruneChannels(graph, { fraction: 0.05, variances }), {
    code: "bad-option",
    message: /--channels 0\.12\d* or more/,
  });
});

const folder = mkdtempSync(path.join(tmpdir(), "penni-channels-"));
after(() => rm(folder, { recursive: true, force: true }));

for (const start of ["svd", "calibrate"] as const) {
  test(`a run removes channels, recovers and compresses what is left, its target of the original (${start})`, async () => {
    const model = path.join(folder, `${start}.onnx`);
    const net = new Network(5, [3, 8, 8]);
    const hidden = net.relu(net.norm(net.conv("x", 16, { pad: 1 })));
    const second = net.relu(net.norm(net.conv(hidden, 16, { pad: 1 })));
    const graph = net.graph([net.gemm(net.op("Flatten", [net.op("GlobalAveragePool", [second])]), 10)]);
    await writeModel(model, graph);
    const { fast } = presets;
    const out = path.join(folder, start);
    const run = await prepareRun({
      model,
      data: "synthetic:120",
      out,
      preset: "fast",
      seed: 1,
      settings: {
        ...fast,
        start,
        calibrationImages: 32,
        channels: { fraction: 0.5, training: { ...channelTraining, epochs: 1 }, teaches: start === "svd" },
        retrain: { ...fast.retrain, epochs: 0.5 },
        fineTune: { ...fast.fineTune, epochs: 0.5 },
        prune: { rule: "macs", fraction: 0.3 },
        channelMultiple: 4,
        batch: 16,
        validation: 0,
        threads: 1,
      },
    });
    const { original, compressed } = await compress(run);
    const narrow = await readModel(run.stagePath("channels"));
    assert.ok(paperMacs(narrow) <= 0.5 * paperMacs(graph));
    assert.equal(original.paperMacs, paperMacs(graph));
    const share = compressed.paperMacs / original.paperMacs;
    assert.ok(share <= 0.3 && share > 0.2, `${share}`);
    const lines = (await readFile(path.join(out, "metrics.jsonl"), "utf8")).trim().split("\n");
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).stage),
      ["recover", "retrain", "fine-tune"],
    );
  });
}
