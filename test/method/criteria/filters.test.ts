import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { readModel, writeModel } from "../../../src/files/model_files.js";
import { int } from "../../../src/graph/attributes.js";
import { float32Data } from "../../../src/graph/tensor.js";
import type { Graph } from "../../../src/graph/types.js";
import { findDecompositions } from "../../../src/layers/weights.js";
import { filters } from "../../../src/method/criteria/filters.js";
import { decompose } from "../../../src/method/decompose.js";
import { layerChannels, shrink } from "../../../src/method/shrink.js";
import { penni } from "../../../support/command_line.js";
import { Network } from "../../../support/network.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-filters-"));
after(() => rm(folder, { recursive: true, force: true }));

/** Stem and an inner layer whose outputs are added (16 channels), a layer of 24, a 1x1 of 20, and ten class maps. */
function residual(): Graph {
  const net = new Network(3, [3, 16, 16]);
  const stem = net.relu(net.norm(net.conv("x", 16, { pad: 1 })));
  const inner = net.norm(net.conv(stem, 16, { pad: 1 }));
  const sum = net.relu(net.op("Add", [inner, stem]));
  const down = net.relu(net.norm(net.conv(sum, 24, { pad: 1, stride: 2 })));
  const mixed = net.relu(net.norm(net.conv(down, 20, { kernel: 1 })));
  const maps = net.conv(mixed, 10, { kernel: 1, bias: true });
  return net.graph([net.op("Flatten", [net.op("GlobalAveragePool", [maps])], { axis: int(1) })]);
}

type By = "norm" | "median";

const original = residual();
const decomposed = decompose(original, { basis: 4 });
const none: ReadonlySet<string> = new Set();

const apply = (graph: Graph, share: number, by: By, channelMultiple = 1, frozen = none): Graph =>
  filters.of({ rule: "filters", share, by }).apply({ graph, original: graph, frozen, channelMultiple });

/** The filters of each layer, [K][C * R * S], multiplied out here. */
function kernelsOf(graph: Graph): readonly (readonly (readonly number[])[])[] {
  const found = new Map(findDecompositions(graph).map((layer) => [layer.coefs, layer]));
  return layerChannels(graph).map(({ weight }) => {
    const values = (name: string): Float32Array => {
      const tensor = graph.initializers.get(name);
      assert.ok(tensor !== undefined);
      return float32Data(tensor);
    };
    const [K = 0, ...inner] = graph.initializers.get(weight)?.dims ?? [];
    const size = inner.reduce((product, dim) => product * dim, 1);
    const layer = found.get(weight);
    return Array.from({ length: K }, (_, k) => {
      const row = [...values(weight).subarray(k * size, (k + 1) * size)];
      if (layer === undefined) return row;
      const { C, R, S, d, basis } = layer;
      const kernels: number[] = [];
      for (let c = 0; c < C; c++)
        for (let tap = 0; tap < R * S; tap++) {
          let sum = 0;
          for (let b = 0; b < d; b++) sum += (row[c * d + b] ?? 0) * (values(basis)[b * R * S + tap] ?? 0);
          kernels.push(sum);
        }
      return kernels;
    });
  });
}

const dead = (rows: readonly (readonly number[])[]): readonly number[] =>
  rows.flatMap((row, k) => (row.every((value) => value === 0) ? [k] : []));

const distance = (a: readonly number[], b: readonly number[]): number =>
  Math.hypot(...a.map((value, at) => value - (b[at] ?? 0)));

/** What every filter is worth, the simplest way. */
const worth: Readonly<Record<By, (filters: readonly (readonly number[])[]) => readonly number[]>> = {
  norm: (all) => all.map((filter) => Math.hypot(...filter)),
  median: (all) => all.map((filter) => all.reduce((sum, other) => sum + distance(filter, other), 0)),
};

function least(all: readonly (readonly number[])[], by: By, count: number): readonly number[] {
  const values = worth[by](all);
  const order = [...values.keys()].sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
  return order.slice(0, count).sort((a, b) => a - b);
}

for (const by of ["norm", "median"] as const) {
  for (const share of [0.25, 0.5, 0.8]) {
    test(`the ${share} least filters by ${by} go, those that are added together as one`, () => {
      const [stem = [], inner = [], down = [], mixed = []] = kernelsOf(decomposed);
      const left = kernelsOf(apply(decomposed, share, by));
      const count = (size: number): number => Math.floor(share * size + 1e-9);
      const together = stem.map((filter, k) => [...filter, ...(inner[k] ?? [])]);
      const both = least(together, by, count(16));
      assert.deepEqual(dead(left[0] ?? []), both);
      assert.deepEqual(dead(left[1] ?? []), both);
      assert.deepEqual(dead(left[2] ?? []), least(down, by, count(24)));
      assert.deepEqual(dead(left[3] ?? []), least(mixed, by, count(20)));
      // Classes stay.
      assert.deepEqual(dead(left[4] ?? []), []);
      const narrow = layerChannels(shrink(apply(decomposed, share, by)));
      const widths = narrow.map(({ inputs, outputs }) => [inputs, outputs]);
      const [a, b, c] = [16 - count(16), 24 - count(24), 20 - count(20)];
      assert.deepEqual(widths, [
        [3, a],
        [a, a],
        [a, b],
        [b, c],
        [c, 10],
      ]);
    });
  }
}

test("what stays is untouched but for what read the channels that went", () => {
  const pruned = apply(decomposed, 0.5, "norm");
  for (const [name, tensor] of decomposed.initializers) {
    const now = pruned.initializers.get(name);
    assert.ok(now !== undefined);
    if (tensor.type !== "float32") continue;
    const before = float32Data(tensor);
    float32Data(now).forEach((value, at) => {
      assert.ok(value === 0 || value === before[at], name);
    });
  }
});

test("channels stay in multiples, and no more than the share goes", () => {
  const widths = (share: number): readonly number[] =>
    layerChannels(shrink(apply(decomposed, share, "norm", 8), { multiple: 8 })).map(({ outputs }) => outputs);
  assert.deepEqual(widths(0.5), [8, 8, 16, 16, 10]);
  assert.deepEqual(widths(0.34), [16, 16, 16, 16, 10]);
  assert.deepEqual(widths(0.99), [8, 8, 8, 8, 10]);
});

test("filters that are frozen stay, and so do those that are added to them", () => {
  const [stem] = layerChannels(decomposed);
  const left = kernelsOf(apply(decomposed, 0.5, "norm", 1, new Set([stem?.weight ?? ""])));
  assert.deepEqual(
    left.map((rows) => dead(rows).length),
    [0, 0, 12, 10, 0],
  );
});

test("a depthwise convolution loses the channels that its input loses", () => {
  const net = new Network(9, [3, 8, 8]);
  const wide = net.relu(net.norm(net.conv("x", 12, { kernel: 1 })));
  const depthwise = net.relu(net.norm(net.conv(wide, 12, { pad: 1, group: 12 })));
  const pooled = net.op("GlobalAveragePool", [net.relu(net.conv(depthwise, 8, { kernel: 1 }))]);
  const graph = net.graph([net.gemm(net.op("Flatten", [pooled], { axis: int(1) }), 10)]);
  const [first = []] = kernelsOf(graph);
  const pruned = apply(graph, 0.5, "norm");
  assert.deepEqual(dead(kernelsOf(pruned)[0] ?? []), least(first, "norm", 6));
  const widths = layerChannels(shrink(pruned)).map(({ inputs, outputs }) => [inputs, outputs]);
  assert.deepEqual(widths, [
    [3, 6],
    [6, 6],
    [6, 4],
    [4, 10],
  ]);
});

test("a share by which nothing goes is refused, and what is advised is accepted", () => {
  const check = (graph: Graph, share: number): void =>
    filters
      .of({ rule: "filters", share, by: "norm" })
      .checkReachable?.({ graph, original: graph, frozen: none, channelMultiple: 8 });
  check(decomposed, 0.5);
  assert.throws(() => check(decomposed, 0.1), {
    code: "bad-option",
    message: /a share from 0\.2, as channels stay in multiples of 8, found 0\.1. Give --filters 0\.2/,
  });
  check(decomposed, 0.2);
  const net = new Network(1, [3, 8, 8]);
  const pooled = net.op("GlobalAveragePool", [net.conv("x", 10)]);
  const classesOnly = net.graph([net.op("Flatten", [pooled], { axis: int(1) })]);
  assert.throws(() => check(classesOnly, 0.5), { message: /no whole filter can go.*--target-macs/ });
});

test("the option is a share, and by what", () => {
  const { parse } = filters.option;
  assert.deepEqual(parse("0.5"), { rule: "filters", share: 0.5, by: "norm" });
  assert.deepEqual(parse("norm:.25"), { rule: "filters", share: 0.25, by: "norm" });
  assert.deepEqual(parse(" median:0.3"), { rule: "filters", share: 0.3, by: "median" });
  for (const text of [
    "",
    "0",
    "1",
    "1.5",
    "-0.5",
    "50%",
    "median",
    "median:",
    "mean:0.5",
    "0.5:median",
    "half",
  ])
    assert.equal(parse(text), undefined, text);
});

for (const option of ["0.5", "median:0.5"]) {
  test(`penni compress --filters ${option} ends in a file with fewer channels`, async () => {
    const name = option.replace(/\W/g, "-");
    const [model, out] = [path.join(folder, `${name}.onnx`), path.join(folder, name)];
    await writeModel(model, original);
    const settings = ["--basis", "4", "--epochs", "1", "--fine-tune-epochs", "1", "--batch", "16"];
    const data = ["--data", "synthetic:100", "--threads", "1", "-o", out];
    const run = await penni(["compress", model, ...data, ...settings, "--filters", option]);
    assert.equal(run.status, 0, run.stderr);
    const result = layerChannels(await readModel(path.join(out, "model.onnx")));
    const of = result.map(({ inputs, outputs }) => [inputs, outputs]);
    assert.deepEqual(of, [
      [3, 8],
      [8, 8],
      [8, 16],
      [16, 16],
      [16, 10],
    ]);
    const plan = await penni(["compress", "--resume", out, "--plan"], 500);
    const what = option === "0.5" ? "of the smallest L2 norm" : "nearest to the geometric median of all";
    assert.ok(plan.stdout.includes(`Pruning: of each layer's filters up to 50 % go, those ${what}.`));
  });
}

test("a share that is none is refused in one line", async () => {
  const model = path.join(folder, "refused.onnx");
  await writeModel(model, original);
  const refused = async (option: string): Promise<string> => {
    const out = path.join(folder, "no");
    const { status, stderr } = await penni([
      "compress",
      model,
      "--data",
      "synthetic",
      "-o",
      out,
      "--filters",
      option,
    ]);
    assert.equal(status, 1);
    assert.equal(stderr.trim().split("\n").length, 1, stderr);
    return stderr;
  };
  assert.match(
    await refused("1"),
    /expected a share above 0 and below 1 such as 0\.5 or median:0\.5, found "1"/,
  );
  assert.match(await refused("0.01"), /no whole filter can go: expected a share from 0\.2/);
});
