import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { imagenetPreprocessing } from "../../src/data/preprocessing.js";
import { runGraph } from "../../src/execute/node.js";
import { writeModel } from "../../src/files/model_files.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { presets, type Settings } from "../../src/run/config.js";
import type { RunDirectory } from "../../src/run/directory.js";
import { compress } from "../../src/run/pipeline.js";
import { prepareRun } from "../../src/run/prepare.js";
import { teacherFor } from "../../src/run/teacher.js";
import { Network } from "../../support/network.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-teacher-"));
after(() => rm(folder, { recursive: true, force: true }));

interface Shape {
  readonly seed: number;
  readonly width: number;
  readonly classes?: number;
  readonly size?: number;
}

function classifier({ seed, width, classes = 10, size = 8 }: Shape): Graph {
  const net = new Network(seed, [3, size, size]);
  const hidden = net.relu(net.norm(net.conv("x", width, { pad: 1 })));
  const second = net.relu(net.norm(net.conv(hidden, width, { pad: 1 })));
  return net.graph([net.gemm(net.op("Flatten", [net.op("GlobalAveragePool", [second])]), classes)]);
}

/** With other names for what goes in and comes out, one of them a name of the other network. */
function renamed(graph: Graph): Graph {
  const [input = "", output = ""] = [graph.inputs[0]?.name, graph.outputs[0]?.name];
  const names = new Map([
    [input, "picture"],
    [output, "scores"],
    // An inner value has the name that the model's scores have.
    [graph.nodes[0]?.outputs[0] ?? "", output],
  ]);
  const rename = (name: string): string => names.get(name) ?? name;
  return {
    ...graph,
    nodes: graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(rename),
      outputs: node.outputs.map(rename),
    })),
    inputs: graph.inputs.map((info) => ({ ...info, name: rename(info.name) })),
    outputs: graph.outputs.map((info) => ({ ...info, name: rename(info.name) })),
  };
}

const model = classifier({ seed: 1, width: 8 });
const other = renamed(classifier({ seed: 2, width: 12 }));

const files = { model: path.join(folder, "model.onnx"), teacher: path.join(folder, "other.onnx") };
await writeModel(files.model, model);
await writeModel(files.teacher, other);

test("a teacher's scores have the model's name and its own values", async () => {
  const teacher = teacherFor(model, other, imagenetPreprocessing);
  assert.deepEqual(
    teacher.outputs.map(({ name }) => name),
    model.outputs.map(({ name }) => name),
  );
  const feeds = new Network(3, [3, 8, 8]).feeds();
  const images = feeds.get("x");
  assert.ok(images !== undefined);
  const picture = new Map([["picture", images]]);
  const [want] = (await runGraph(other, picture)).values();
  const [got] = (await runGraph(teacher, picture)).values();
  assert.ok(want !== undefined && got !== undefined);
  const expected = float32Data(want);
  float32Data(got).forEach((value, at) => {
    assert.ok(Math.abs(value - (expected[at] ?? Number.NaN)) < 1e-4);
  });
});

const refused: Readonly<Record<string, readonly [Graph, RegExp]>> = {
  "of other classes": [classifier({ seed: 2, width: 8, classes: 7 }), /10 class scores.*7 class scores/],
  "of other pictures": [
    {
      ...classifier({ seed: 2, width: 8 }),
      metadata: new Map([
        ["penni.preprocessing", JSON.stringify({ ...imagenetPreprocessing, mean: [0, 0, 0] })],
      ]),
    },
    /other pictures.*mean/,
  ],
};

for (const [name, [given, message]] of Object.entries(refused)) {
  test(`a teacher ${name} is refused`, () => {
    assert.throws(() => teacherFor(model, given, imagenetPreprocessing), { code: "bad-option", message });
  });
}

function prepare(
  out: string,
  teacher: string | undefined,
  epochs = 1,
  loss: Partial<Settings["loss"]> = {},
): Promise<RunDirectory> {
  const { fast } = presets;
  return prepareRun({
    model: files.model,
    data: "synthetic:120",
    out: path.join(folder, out),
    preset: "fast",
    seed: 1,
    ...(teacher === undefined ? {} : { teacher }),
    settings: {
      ...fast,
      retrain: { ...fast.retrain, epochs: 0 },
      fineTune: { ...fast.fineTune, epochs },
      prune: { rule: "macs", fraction: 0.8 },
      loss: { ...fast.loss, ...loss },
      batch: 16,
      validation: 0,
      threads: 1,
    },
  });
}

test("a run learns from the teacher that was given, also when its file is gone", async () => {
  const plain = await prepare("plain", undefined);
  await compress(plain);
  const taught = await prepare("taught", files.teacher);
  await rm(files.teacher);
  const notices: string[] = [];
  await compress(taught, { notice: (text) => void notices.push(text) });
  assert.ok(notices.includes(`learning from the scores of ${files.teacher}, not the original's`));
  const [[own], [others]] = await Promise.all([plain.readMetrics(), taught.readMetrics()]);
  assert.ok(own !== undefined && others !== undefined);
  assert.notEqual(own.loss, others.loss);
  assert.equal(taught.config.teacher, files.teacher);
  await writeModel(files.teacher, other);
});

test("a teacher without a training is refused", async () => {
  await assert.rejects(prepare("untrained", files.teacher, 0), {
    code: "bad-option",
    message: /no use for another network.*no training/,
  });
});

test("a teacher that is no model is named", async () => {
  await assert.rejects(prepare("missing", path.join(folder, "missing.onnx")), /missing\.onnx/);
});

test("a run learns where a wider teacher's maps are strong, with its scores and without them", async () => {
  const scores = await prepare("scores", files.teacher);
  const both = await prepare("both", files.teacher, 1, { features: 3 });
  const maps = await prepare("maps", files.teacher, 1, { features: 3, distillation: 0, crossEntropy: 0.3 });
  const own = await prepare("own", undefined, 1, { features: 3 });
  const losses: number[] = [];
  for (const run of [scores, both, maps, own]) {
    await compress(run);
    const [first] = await run.readMetrics();
    assert.ok(first !== undefined && Number.isFinite(first.loss));
    losses.push(first.loss);
  }
  assert.equal(new Set(losses).size, losses.length, `${losses}`);
});

test("maps without a training, or of other sizes, are refused before the run starts", async () => {
  await assert.rejects(prepare("still", undefined, 0, { features: 3 }), {
    code: "bad-option",
    message: /--teacher-features.*a training.*none/,
  });
  const flat = new Network(4, [3, 8, 8]);
  const pooled = flat.op("Flatten", [flat.op("GlobalAveragePool", ["x"])]);
  const file = path.join(folder, "flat.onnx");
  await writeModel(file, flat.graph([flat.gemm(pooled, 10)]));
  await assert.rejects(prepare("flat", file, 1, { features: 3 }), {
    code: "bad-option",
    message: /no maps of the same size.*8x8.*none/,
  });
});
