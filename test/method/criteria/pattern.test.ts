import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { readModel, writeModel } from "../../../src/files/model_files.js";
import { linkGraph } from "../../../src/graph/links.js";
import { fixBatch } from "../../../src/graph/passes/fix_input_shape.js";
import { float32Data } from "../../../src/graph/tensor.js";
import type { Graph } from "../../../src/graph/types.js";
import { convolutions, findDecompositions } from "../../../src/layers/weights.js";
import { countGraph } from "../../../src/measure/count.js";
import { pattern } from "../../../src/method/criteria/pattern.js";
import { decompose } from "../../../src/method/decompose.js";
import { penni } from "../../../support/command_line.js";
import { Network } from "../../../support/network.js";
import { tinyCnn } from "../../../support/tiny_cnn.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-pattern-"));
after(() => rm(folder, { recursive: true, force: true }));

/** Layers of all kinds: decomposed, 1x1, grouped, without a basis, depthwise; channels are no multiples of anything. */
function mixedNetwork(): Graph {
  const net = new Network(5, [3, 8, 8]);
  const first = net.relu(net.conv("x", 14, { pad: 1 }));
  const grouped = net.relu(net.conv(first, 14, { pad: 1, group: 2 }));
  const depthwise = net.relu(net.conv(grouped, 14, { pad: 1, group: 14 }));
  const pointwise = net.relu(net.conv(depthwise, 11, { kernel: 1 }));
  const small = net.relu(net.conv(pointwise, 7, { kernel: 2 }));
  return net.graph([net.gemm(net.op("Flatten", [net.op("GlobalAveragePool", [small])]), 10)]);
}

const original = mixedNetwork();
const decomposed = decompose(original, { basis: 3 });

const none: ReadonlySet<string> = new Set();

/** @param limit whose layers cost at least as much; by default nothing goes but by the pattern */
const apply = (graph: Graph, keep: number, of: number, frozen = none, limit = graph): Graph =>
  pattern.of({ rule: "pattern", keep, of }).apply({ graph, original: limit, frozen, channelMultiple: 8 });

/** For each layer that may be pruned, the values of each output in the order in which the pattern counts them. */
function rowsOf(graph: Graph): ReadonlyMap<string, readonly (readonly number[])[]> {
  const coefs = new Set(findDecompositions(graph).map((layer) => layer.coefs));
  const layers = new Map<string, readonly (readonly number[])[]>();
  const { producers } = linkGraph(graph);
  for (const conv of convolutions(graph)) {
    const product = producers.get(producers.get(conv.inputs[1] ?? "")?.inputs[0] ?? "");
    const name = product?.op === "MatMul" ? (product.inputs[0] ?? "") : (conv.inputs[1] ?? "");
    const tensor = graph.initializers.get(name);
    if (tensor === undefined) continue;
    const data = float32Data(tensor);
    const [K = 0, C = 0, R = 1, S = 1] = tensor.dims;
    const rows: number[][] = [];
    if (coefs.has(name)) {
      for (let k = 0; k < K; k++) {
        const row: number[] = [];
        for (let c = 0; c < C; c++) for (let b = 0; b < R; b++) row.push(data[(k * C + c) * R + b] ?? 0);
        rows.push(row);
      }
    } else if (C > 1 || K === 1) {
      for (let k = 0; k < K; k++)
        for (let r = 0; r < R; r++)
          for (let s = 0; s < S; s++) {
            const row: number[] = [];
            for (let c = 0; c < C; c++) row.push(data[((k * C + c) * R + r) * S + s] ?? 0);
            rows.push(row);
          }
    }
    if (rows.length > 0) layers.set(name, rows);
  }
  return layers;
}

function blocksOf(row: readonly number[], of: number): readonly (readonly number[])[] {
  const blocks: (readonly number[])[] = [];
  for (let at = 0; at < row.length; at += of) blocks.push(row.slice(at, at + of));
  return blocks;
}

/** The most that so many of some values can have of their magnitudes, by trying all choices. */
function bestSum(values: readonly number[], keep: number): number {
  const [first, ...rest] = values;
  if (first === undefined || keep === 0) return 0;
  return Math.max(Math.abs(first) + bestSum(rest, keep - 1), bestSum(rest, keep));
}

/** Whether the pattern holds everywhere, and the share of zeros. */
function patternOf(
  graph: Graph,
  keep: number,
  of: number,
): { readonly holds: boolean; readonly zeros: number } {
  const blocks = [...rowsOf(graph).values()].flat().flatMap((row) => blocksOf(row, of));
  const values = blocks.flat();
  return {
    holds: blocks.every((block) => block.filter((value) => value !== 0).length <= keep),
    zeros: values.filter((value) => value === 0).length / values.length,
  };
}

for (const [keep, of] of [
  [2, 4],
  [1, 4],
  [1, 2],
  [3, 8],
  [5, 6],
] as const) {
  test(`${keep}:${of} leaves of every block the choice with the largest magnitudes, found by trying all`, () => {
    const pruned = rowsOf(apply(decomposed, keep, of));
    const before = rowsOf(decomposed);
    assert.deepEqual([...pruned.keys()], [...before.keys()]);
    assert.ok(before.size >= 4);
    for (const [name, rows] of before) {
      const after = pruned.get(name) ?? [];
      for (const [index, row] of rows.entries()) {
        const left = blocksOf(after[index] ?? [], of);
        for (const [place, block] of blocksOf(row, of).entries()) {
          const kept = left[place] ?? [];
          assert.ok(kept.every((value, at) => value === 0 || value === block[at]));
          assert.equal(kept.filter((value) => value !== 0).length, Math.min(keep, block.length));
          const sum = kept.reduce((total, value) => total + Math.abs(value), 0);
          assert.ok(Math.abs(sum - bestSum(block, keep)) <= 1e-12 * of);
        }
      }
    }
  });
}

test("everything but the pruned layers stays as it is, frozen weights too", () => {
  const [frozen = ""] = rowsOf(decomposed).keys();
  const pruned = apply(decomposed, 2, 4, new Set([frozen]));
  const changed = [...decomposed.initializers.keys()].filter(
    (name) => pruned.initializers.get(name) !== decomposed.initializers.get(name),
  );
  const names = new Set(rowsOf(decomposed).keys());
  for (const name of changed) assert.ok(names.has(name), name);
  const [was, is] = [decomposed, pruned].map((graph) => graph.initializers.get(frozen));
  assert.ok(was !== undefined && is !== undefined);
  assert.deepEqual(float32Data(is), float32Data(was));
});

test("no layer costs more than it did, where the pattern alone would leave more", () => {
  const costs = (graph: Graph): readonly number[] =>
    countGraph(fixBatch(graph, 1)).layers.map(({ paperMacs }) => paperMacs);
  const before = costs(original);
  const isMore = (graph: Graph): boolean => costs(graph).some((macs, layer) => macs > (before[layer] ?? 0));
  assert.ok(isMore(apply(decomposed, 5, 6)));
  const pruned = apply(decomposed, 5, 6, none, original);
  assert.ok(!isMore(pruned));
  assert.ok(patternOf(pruned, 5, 6).holds);
});

test("a pattern that leaves everything is refused, and what is advised is accepted", () => {
  const check = (keep: number, of: number): void =>
    pattern
      .of({ rule: "pattern", keep, of })
      .checkReachable?.({ graph: decomposed, original, frozen: none, channelMultiple: 8 });
  check(2, 4);
  assert.throws(() => check(100, 128), {
    code: "bad-option",
    message: /more than 100 coefficients.*at most (\d+).*Give an N of at most (\d+)/,
  });
  try {
    check(100, 128);
  } catch (error) {
    const least = Number(/at most (\d+)$/.exec(String((error as Error).message))?.[1]);
    check(least, least + 1);
    assert.throws(() => check(least + 1, least + 2), { code: "bad-option" });
  }
});

test("the option is N:M", () => {
  const { parse } = pattern.option;
  assert.deepEqual(parse("2:4"), { rule: "pattern", keep: 2, of: 4 });
  assert.deepEqual(parse(" 1:16 "), { rule: "pattern", keep: 1, of: 16 });
  for (const text of [
    "",
    "2",
    "2:",
    ":4",
    "4:2",
    "4:4",
    "0:4",
    "-1:4",
    "1.5:4",
    "2:4:8",
    "2/4",
    "1e0:4",
    "9:1",
  ])
    assert.equal(parse(text), undefined, text);
});

test("penni compress --pattern 2:4 ends in a file with the pattern", async () => {
  const [model, out] = [path.join(folder, "tiny.onnx"), path.join(folder, "run")];
  await writeModel(model, tinyCnn());
  const settings = ["--epochs", "1", "--fine-tune-epochs", "1", "--batch", "16", "--threads", "1"];
  const args = ["compress", model, "--data", "synthetic:100", "-o", out, "--pattern", "2:4", ...settings];
  const run = await penni([...args, "--basis", "3"]);
  assert.equal(run.status, 0, run.stderr);
  const result = await readModel(path.join(out, "model.onnx"));
  const { holds, zeros } = patternOf(result, 2, 4);
  assert.ok(holds);
  assert.ok(rowsOf(result).size >= 4 && zeros >= 0.45, `${zeros}`);
  // Once more, by what the directory says.
  const plan = await penni(["compress", "--resume", out, "--plan"], 500);
  assert.match(plan.stdout, /Pruning: of every 4 consecutive coefficients .* the 2 largest remain/);
  assert.doesNotMatch(plan.stdout, /Were it pruned now/);
  await rm(path.join(out, "stages", "prune.onnx"));
  await rm(path.join(out, "stages", "export.onnx"));
  const resumed = await penni(["compress", "--resume", out]);
  assert.equal(resumed.status, 0, resumed.stderr);
  assert.ok(patternOf(await readModel(path.join(out, "model.onnx")), 2, 4).holds);
});

test("impossible patterns are refused in one line before anything is written", async () => {
  const model = path.join(folder, "tiny-refused.onnx");
  await writeModel(model, tinyCnn());
  const refused = async (...options: readonly string[]): Promise<string> => {
    const args = ["compress", model, "--data", "synthetic:100", "-o", path.join(folder, "no"), ...options];
    const { status, stderr } = await penni(args);
    assert.equal(status, 1);
    assert.equal(stderr.trim().split("\n").length, 1, stderr);
    return stderr;
  };
  assert.match(await refused("--pattern", "4:2"), /expected N:M with whole numbers 0 < N < M, such as 2:4/);
  assert.match(await refused("--pattern", "900:1000"), /leaves every coefficient where it is/);
  assert.match(await refused("--pattern", "2:4", "--target-macs", "0.5"), /cannot be used with option/);
  assert.match(await refused("--pattern", "2:4", "--gradual"), /--gradual.*found --pattern/);
});
