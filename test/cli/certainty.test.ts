import assert from "node:assert/strict";
import { test } from "node:test";
import { describeComparison, describeLayerSpeeds } from "../../src/cli/bench_text.js";
import { describeSummary, summaryTable } from "../../src/cli/compress_text.js";
import type { BenchEngine } from "../../src/measure/bench_engines.js";
import { type Budget, judgeBudget } from "../../src/measure/budget.js";
import { pairedDifference, ratioOfRounds, shareInterval } from "../../src/measure/interval.js";
import { spreadOf } from "../../src/measure/rounds.js";
import type { Figures, Summary } from "../../src/run/summary.js";

const counted = { parameters: 116_890, paperMacs: 12_240_000, executedMacs: 12_240_000, bytes: 474_204 };
const rounds = (scale: number) => [3, 3.1, 2.9, 3, 3.2, 3, 2.8, 3, 3.1].map((ms) => [ms * scale, ms * scale]);

function figures(scale: number, correct: number, total: number): Figures {
  const latencySpread = spreadOf(rounds(scale));
  const compiledSpread = spreadOf(rounds(3 * scale));
  return {
    ...counted,
    ...{
      latencyMs: latencySpread.medianMs,
      latencySpread,
      compiledMs: compiledSpread.medianMs,
      compiledSpread,
    },
    test: { correct, total, ...shareInterval(correct, total) },
  };
}

function summary(scale: number, images: number, gained: number, lost: number): Summary {
  const [original, compressed] = [figures(1, images - gained, images), figures(scale, images - lost, images)];
  const latency = ratioOfRounds(
    original.latencySpread?.roundsMs ?? [],
    // In another order, as chance has it.
    (compressed.latencySpread?.roundsMs ?? []).toReversed(),
  );
  const changes = { latency, compiled: latency, test: pairedDifference(gained, lost, images) };
  return { original, compressed, changes, model: "run/model.onnx" };
}

const widest = (text: string): number => Math.max(...text.split("\n").map((line) => line.length));

test("no difference is said where none was measured, of times and of accuracies on few pictures", () => {
  const alike = describeSummary(summary(1.01, 30, 1, 2), 80);
  assert.match(alike, /^top-1, test split +96\.67 % +93\.33 % +no difference measured$/m);
  assert.match(alike, /^latency, ms, 1 thread +3\.00 ±0\.10 +3\.03 ±0\.10 +no difference measured$/m);
  assert.match(alike, /^the same, compiled .*no difference measured$/m);
  const text = alike.replaceAll("\n", " ");
  assert.match(
    text,
    /Top-1 of 30 test images, with 95 % confidence: 83\.33 to 99\.41 %, compressed 78\.68 to 98\.15 %/,
  );
  assert.match(text, /difference -3\.33 points, between -1\d\.\d\d and \+\d\.\d\d/);
  assert.match(text, /Latency: median of 18 runs in 9 rounds by turns/);
});

test("a difference is a number where there is one", () => {
  const other = describeSummary(summary(0.4, 10_000, 100, 160), 80);
  assert.match(other, /^top-1, test split .* -0\.60 points$/m);
  assert.match(other, /^latency, ms, 1 thread +3\.00 ±0\.10 +1\.20 ±0\.04 +40\.0 %$/m);
  assert.match(other.replaceAll("\n", " "), /compressed 3\d\.\d to 4\d\.\d % of the original, compiled/);
});

test("a summary of an earlier version is a table without spread", () => {
  const { original, compressed, model } = summary(0.4, 100, 1, 2);
  const plain = ({ parameters, paperMacs, executedMacs, bytes, latencyMs }: Figures): Figures => {
    return { parameters, paperMacs, executedMacs, bytes, latencyMs, test: { correct: 9, total: 10 } };
  };
  const text = describeSummary({ original: plain(original), compressed: plain(compressed), model }, 80);
  assert.match(text, /^latency, ms, 1 thread +3\.00 +1\.20 +40\.0 %$/m);
  assert.match(text, /\+0\.00 points/);
});

for (const width of [50, 80, 120]) {
  test(`tables and texts fit ${width} columns`, () => {
    for (const each of [summary(1.01, 30, 1, 2), summary(0.4, 10_000, 100, 160)]) {
      assert.ok(widest(describeSummary(each, width)) <= width);
      const isWhole = /no difference measured|points/.test(summaryTable(each, width));
      assert.equal(isWhole, width >= 80);
    }
  });
}

test("bench compares with every engine, says so where it cannot, and names who is left out", () => {
  const figures = (engine: string, values: readonly (readonly number[])[], kind: BenchEngine = "node") => ({
    engine,
    kind,
    ...spreadOf(values),
    bytes: 2000,
    gzippedBytes: 1000,
  });
  const text = describeComparison(
    {
      models: [
        {
          model: "net.onnx",
          engines: [
            { ...figures("compiled", rounds(1), "compiled"), multiplyAccumulates: 5e6, memoryBytes: 3000 },
            figures("web", rounds(2), "web"),
            figures("node", rounds(1.01).toReversed()),
          ],
          leftOut: [{ engine: "other", problem: "it is not installed" }],
        },
      ],
    },
    120,
  );
  assert.match(text, /^compiled +3\.000 +2\.900 to 3\.100 +2\.800 +18 +2\.00 k +1\.00 k +3\.00 k +5\.00 M$/m);
  assert.match(text, /^web +.* 2\.00 k +1\.00 k +- +-$/m);
  assert.match(
    text,
    /The compiled takes 50\.0 %, between 50\.0 % and 50\.0 % in 9 rounds, of the time of web\./,
  );
  assert.match(
    text,
    /No difference measured between the compiled and node \(99\.0 %, between 9\d\.\d % and 10\d\.\d %/,
  );
  assert.match(text, /other is left out of net\.onnx: it is not installed\./);
  const engines = [figures("a", [[1], [1]], "compiled"), figures("b", [[1], [1]])];
  const few = describeComparison({ models: [{ model: "net.onnx", engines, leftOut: [] }] }, 200);
  assert.match(few, /fewer than 6 rounds cannot tell/);
});

test("a budget is broken by what is measured, not by chance, and by what cannot be measured", () => {
  const compiled = {
    engine: "compiled",
    kind: "compiled" as const,
    ...spreadOf(rounds(1)),
    bytes: 2000,
    gzippedBytes: 1000,
    multiplyAccumulates: 5e6,
  };
  const peer = { ...compiled, ...spreadOf(rounds(0.5)) };
  const kept = (budget: Budget): readonly boolean[] =>
    judgeBudget(budget, { compiled, peer, top1: 0.9 }).map(({ isKept }) => isKept);
  assert.deepEqual(kept({ atMost: { bytes: 2000, gzippedBytes: 999 } }), [true, false]);
  assert.deepEqual(kept({ atMost: { multiplyAccumulates: 5e6, memoryBytes: 1e9 } }), [true, false]);
  // The median is 3.0, its interval from 2.9.
  assert.deepEqual(kept({ atMost: { milliseconds: 2.95 } }), [true]);
  assert.deepEqual(kept({ atMost: { milliseconds: 2.85 } }), [false]);
  assert.deepEqual(kept({ atMost: { timeRatio: 2.01 } }), [true]);
  assert.deepEqual(kept({ atMost: { timeRatio: 1.9 } }), [false]);
  assert.deepEqual(kept({ atLeast: { top1: 0.9 } }), [true]);
  assert.deepEqual(kept({ atLeast: { top1: 0.91 } }), [false]);
  const alone = judgeBudget({ atMost: { timeRatio: 1 }, atLeast: { top1: 0 } }, { compiled });
  assert.deepEqual(
    alone.map(({ isKept }) => isKept),
    [false, false],
  );
});

test("bench --layers shows what is in no layer, and adds up", () => {
  const layer = (node: string, kernel: string, ms: number) => {
    return { node, op: "Conv", kernel, multiplyAccumulates: 1000, ms, gflops: 1 };
  };
  const layers = [layer("a", "dense_conv_3_to_4", 2), layer("b", "dense_conv_4_to_4", 1.5)];
  const speeds = {
    peak: 10,
    wholeMs: 3.6,
    wholeRange: { low: 3.5, high: 3.7 },
    remainderMs: 0.1,
    runs: 20,
    layers,
  };
  const clocked = describeLayerSpeeds({ ...speeds, wholeMs: 3.4, remainderMs: -0.1 }, 80);
  assert.match(clocked, /^\(reading the clock\) +-0\.100 +-2\.9 %$/m);
  const text = describeLayerSpeeds(speeds, 80);
  assert.match(text, /^\(in no layer\) +0\.100 +2\.8 %$/m);
  assert.match(text, /^dense_conv +3\.500 +97\.2 %/m);
  assert.match(
    text.replaceAll("\n", " "),
    /3\.600 ms for a whole run \(3\.500 to 3\.700 in those that nothing disturbed\), 3\.500 ms of it in layers/,
  );
  assert.ok(widest(text) <= 80);
});
