import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { InvalidArgumentError } from "commander";
import { type SettingOptions, settingsFrom } from "../../src/cli/compress_settings.js";
import { describeSummary } from "../../src/cli/compress_text.js";
import { outputLoss } from "../../src/cli/output_loss.js";
import { allIndices, imagenetPreprocessing, openDataset } from "../../src/data/index.js";
import { readModel, writeModel } from "../../src/files/model_files.js";
import type { Graph } from "../../src/graph/types.js";
import { type OutputAgreement, OutputComparison } from "../../src/measure/output_comparison.js";
import { runPair } from "../../src/measure/pair.js";
import { answersSchema } from "../../src/run/answers.js";
import { configSchema, presets } from "../../src/run/config.js";
import { type CompressRequest, prepareRun } from "../../src/run/prepare.js";
import type { Summary } from "../../src/run/summary.js";
import { comparedOutput } from "../../src/train/outputs.js";
import type { EpochMetrics } from "../../src/train/plan.js";
import {
  SIZE,
  tinyDetector,
  tinyMatting,
  tinyMixedDetector,
  tinyRegressor,
  tinyUNet,
  writeImages,
} from "../../support/label_free.js";
import { type Ended, PenniProcess } from "../../support/penni_process.js";
import { node } from "../../support/small_models.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-distill-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (...parts: string[]): string => path.join(folder, ...parts);

const images = file("images");
await writeImages(images, 120);

async function modelFile(name: string, graph: Graph): Promise<string> {
  const target = file(`${name}.onnx`);
  await writeModel(target, graph);
  return target;
}

/** One thread, so that sums are always made in the same order. */
function compressArguments(model: string, out: string, more: readonly string[] = []): string[] {
  const settings = {
    "--loss": "distill",
    "--basis": 6,
    "--deviations": 0.5,
    "--epochs": 0.5,
    "--fine-tune-epochs": 3,
    "--batch": 16,
    "--validation": 0.1,
    "--threads": 1,
    "--checkpoint-seconds": 0.05,
  };
  const data = ["--data", `folder:${images}`, "-o", out, "--json"];
  return ["compress", model, ...data, ...Object.entries(settings).flat().map(String), ...more];
}

interface Run {
  readonly root: string;
  readonly ended: Ended;
  readonly summary: Summary;
  readonly epochs: readonly EpochMetrics[];
}

async function compressed(name: string, graph: Graph, more: readonly string[] = []): Promise<Run> {
  const root = file(`run-${name}`);
  const ended = await new PenniProcess(compressArguments(await modelFile(name, graph), root, more)).ended;
  assert.equal(ended.status, 0, ended.stderr);
  const lines = readFileSync(path.join(root, "metrics.jsonl"), "utf8").trimEnd().split("\n");
  return { root, ended, summary: JSON.parse(ended.stdout), epochs: lines.map((line) => JSON.parse(line)) };
}

const readConfig = (root: string) =>
  configSchema.parse(JSON.parse(readFileSync(path.join(root, "config.json"), "utf8")));

/** Errors of the outputs of a stage's network on the test images, by output. */
async function errorsAfter(root: string, stage: string): Promise<ReadonlyMap<string, number>> {
  const found = await agreementAfter(root, stage);
  return new Map(found.map(({ output, error }) => [output, error ?? Number.NaN]));
}

/** Those of the parts of the first output. */
async function partErrorsAfter(root: string, stage: string): Promise<readonly number[]> {
  const [first] = await agreementAfter(root, stage);
  return first?.parts?.map(({ error }) => error ?? Number.NaN) ?? [];
}

async function agreementAfter(root: string, stage: string): Promise<readonly OutputAgreement[]> {
  const stageFile = (name: string): string => path.join(root, "stages", `${name}.onnx`);
  const [first, second] = [await readModel(stageFile("original")), await readModel(stageFile(stage))];
  const split = await (
    await openDataset(`folder:${images}`, { imageSize: { width: SIZE, height: SIZE } })
  ).test();
  const outputs = (readConfig(root).settings.loss.outputs ?? []).map(comparedOutput);
  const comparison = new OutputComparison(outputs);
  const pair = { first, second, split, preprocessing: imagenetPreprocessing, indices: allIndices(split) };
  for await (const batch of runPair(
    pair,
    outputs.map(({ output }) => output),
  ))
    comparison.add(batch);
  return comparison.results;
}

/** Fine-tuning from the original's outputs brings every output nearer to it than pruning had left it. */
async function assertLearned(root: string, most: number): Promise<void> {
  const [before, now] = [await errorsAfter(root, "prune"), await errorsAfter(root, "fine-tune")];
  assert.ok(before.size > 0);
  for (const [output, error] of now) {
    const start = before.get(output) ?? Number.NaN;
    assert.ok(error <= most * start, `${output}: ${error}, ${start} before`);
  }
}

test("a detector is compressed from images alone", async () => {
  const { root, ended, summary, epochs } = await compressed("detector", tinyDetector(), [
    "--output-loss",
    "boxes=smooth-l1:2",
  ]);
  const config = readConfig(root);
  assert.equal(config.reference, "original");
  const described = config.settings.loss.outputs?.map(({ deviation: _deviation, ...loss }) => loss);
  assert.deepEqual(described, [
    { output: "boxes", weight: 2, measure: "smooth-l1" },
    { output: "scores", weight: 1, measure: "kl", axis: 2 },
  ]);
  assert.match(ended.stderr, /output "best" is left out: it is int64/);
  for (const { accuracy, validation, outputs } of epochs) {
    assert.deepEqual([accuracy, validation], [undefined, undefined]);
    assert.deepEqual(
      outputs?.map(({ output, sameClass }) => [output, sameClass]),
      [
        ["boxes", undefined],
        ["scores", undefined],
      ],
    );
  }
  assert.match(ended.stderr, /epoch 3 \(joint\): loss [\d.]+, zeros [\d.]+ %, validation error of boxes/);
  assert.equal(summary.original.test, undefined);
  assert.equal(summary.agreement?.images, 24);
  const exported = await readModel(path.join(root, "model.onnx"));
  assert.deepEqual(
    exported.outputs.map(({ name }) => name),
    ["boxes", "scores", "best"],
  );
  await assertLearned(root, 0.95);
});

test("coordinates and scores in one output are learned and judged each by its own scale", async () => {
  const { root, ended, summary, epochs } = await compressed("mixed", tinyMixedDetector());
  const [loss] = readConfig(root).settings.loss.outputs ?? [];
  assert.ok(loss?.measure === "mse");
  assert.deepEqual(
    loss.parts?.map(({ ranges }) => ranges),
    [
      [
        [0, 4],
        [0, 128],
      ],
      [
        [4, 7],
        [0, 128],
      ],
    ],
  );
  const [places = 0, scores = 0] = loss.parts?.map(({ deviation }) => deviation) ?? [];
  assert.ok(places > 100 * scores, `${places}, ${scores}`);
  assert.match(
    ended.stderr,
    /"found" is matched by mse in units of [\d.]+ for \[:, 0:4, :\], [\d.]+ for \[:, 4:7, :\]/,
  );
  // Fine-tuning brings both nearer to the original's.
  const [before, now] = [await partErrorsAfter(root, "prune"), await partErrorsAfter(root, "fine-tune")];
  assert.equal(now.length, 2);
  now.forEach((error, part) => {
    assert.ok(error <= 0.95 * (before[part] ?? 0), `part ${part}: ${error}, ${before[part]} before`);
  });
  // What is told of the output is the part that is worse.
  for (const outputs of [summary.agreement?.outputs, ...epochs.map((epoch) => epoch.outputs)]) {
    const [found] = outputs ?? [];
    const errors = found?.parts?.map(({ error }) => error ?? Number.NaN) ?? [];
    assert.equal(errors.length, 2);
    assert.equal(found?.error, Math.max(...errors));
  }
  const shown = describeSummary(summary, 100);
  assert.match(shown, /error, found\[:, 4:7, :\]/);
});

test("killed in fine-tuning and resumed, it ends the same to the bit", async () => {
  const [whole, root] = [file("run-detector"), file("killed")];
  const args = compressArguments(file("detector.onnx"), root, ["--output-loss", "boxes=smooth-l1:2"]);
  const killed = new PenniProcess(args);
  assert.ok(await killed.until(() => existsSync(path.join(root, "checkpoints", "fine-tune.previous.ckpt"))));
  killed.signalGroup("SIGKILL");
  assert.equal((await killed.ended).signal, "SIGKILL");
  const last = await new PenniProcess(["compress", "--resume", root]).ended;
  assert.equal(last.status, 0, last.stderr);
  const same = ["metrics.jsonl", ...["retrain", "prune", "fine-tune"].map((stage) => `stages/${stage}.onnx`)];
  for (const name of same) {
    const [one, other] = [whole, root].map((run) => readFileSync(path.join(run, name)));
    assert.ok(one && other && one.equals(other), `${name} is the same`);
  }
});

test("a U-Net is compressed from images alone", async () => {
  const { root, summary } = await compressed("unet", tinyUNet(), ["--epochs", "0"]);
  assert.deepEqual(
    summary.agreement?.outputs.map(({ output, classOf }) => [output, classOf]),
    [["mask_logits", "position"]],
  );
  await assertLearned(root, 0.95);
});

test("without labels a classifier is reported by how often it chooses the original's class", async () => {
  const { root, ended, summary } = await compressed("classifier", tinyCnn(), [
    "--epochs",
    "0",
    "--output-loss",
    "gemm=kl",
  ]);
  const [output] = summary.agreement?.outputs ?? [];
  assert.ok(output?.sameClass !== undefined && output.sameClass >= 0 && output.sameClass <= 1);
  assert.doesNotMatch(ended.stderr, /top-1/);
  // Which images those are that have another class now is kept, for the report.
  const answers = answersSchema.parse(JSON.parse(readFileSync(path.join(root, "answers.json"), "utf8")));
  assert.equal(answers.images, summary.agreement?.images);
  const changed = (1 - output.sameClass) * answers.images;
  assert.ok(Math.abs((answers.counts.changed ?? -1) - changed) < 1e-6, `${answers.counts.changed}`);
  for (const { before, after, label } of answers.examples) assert.ok(before !== after && label === undefined);
  await assertLearned(root, 0.95);
});

/** A request that prepares a run without starting it. */
async function request(graph: Graph, changes: Partial<CompressRequest> = {}): Promise<CompressRequest> {
  const loss = { crossEntropy: 0, labelSmoothing: 0, distillation: 1, temperature: 4 };
  const prune = { rule: "deviation", factor: 0.5 } as const;
  return {
    model: await modelFile("asked", graph),
    data: `folder:${images}`,
    out: file("asked"),
    preset: "fast",
    seed: 0,
    settings: { ...presets.fast, loss, prune, batch: 16, threads: 1 },
    ...changes,
  };
}

async function prepared(graph: Graph, changes: Partial<CompressRequest> = {}) {
  const { config } = await prepareRun(await request(graph, changes));
  rmSync(file("asked"), { recursive: true });
  return config;
}

const measures = (config: Awaited<ReturnType<typeof prepared>>) =>
  config.settings.loss.outputs?.map((loss) => [
    loss.output,
    loss.measure,
    loss.measure === "kl" && loss.axis,
  ]);

test("outputs are matched by what they are", async () => {
  assert.deepEqual(measures(await prepared(tinyMatting())), [["mask", "kl", "each"]]);
  const regressor = await prepared(tinyRegressor());
  assert.deepEqual(measures(regressor), [["position", "mse", false]]);
  assert.deepEqual(regressor.leftOut, [{ output: "anchors", reason: "it is the same for every image" }]);
  assert.deepEqual(measures(await prepared(tinyCnn())), [["gemm", "mse", false]]);
  const named = new Map(tinyCnn().metadata).set("penni.classNames", JSON.stringify([..."abcdefghij"]));
  assert.deepEqual(measures(await prepared({ ...tinyCnn(), metadata: named })), [["gemm", "kl", 1]]);
});

test("labels stay the judge of a classifier, and of nothing else", async () => {
  const data = "synthetic:100";
  const classifier = await prepared(tinyCnn(), { data });
  assert.deepEqual([measures(classifier), classifier.reference], [[["gemm", "kl", 1]], undefined]);
  assert.equal((await prepared(tinyRegressor(), { data })).reference, "original");
  const outputs = new Map([["gemm", { measure: "mse", weight: 1 } as const]]);
  assert.equal((await prepared(tinyCnn(), { data, outputs })).reference, "original");
});

test("where no picture changes an output, the pictures are doubted, and not the model's export", async () => {
  const same = file("same");
  mkdirSync(same);
  const [picture = ""] = readdirSync(images, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".png"),
  );
  for (let count = 0; count < 40; count++)
    copyFileSync(path.join(images, picture), path.join(same, `${count}.png`));
  await assert.rejects(
    prepared(tinyCnn(), { data: `images:${same}` }),
    /"gemm": it is the same for every image\. See whether the pictures differ, .*--mean/,
  );
});

test("of so few pictures that one is left to look at, more are asked for", async () => {
  const few = file("few");
  mkdirSync(few);
  const pictures = readdirSync(images, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".png"),
  );
  for (const [index, picture] of pictures.slice(0, 3).entries())
    copyFileSync(path.join(images, picture), path.join(few, `${index}.png`));
  await assert.rejects(
    prepared(tinyCnn(), { data: `images:${few}`, settings: { ...presets.calibrate, threads: 1 } }),
    { code: "bad-data", message: /too few pictures.*expected 2 or more .*, found 1\. Give more pictures/ },
  );
});

test("an output behind an operator that cannot be differentiated is left out, with the operator", async () => {
  const detector = tinyDetector();
  // One that Penni does not know, and the runtime does.
  const bent = node("Sinh", ["scores"], "bent");
  const { leftOut, settings } = await prepared({
    ...detector,
    nodes: [...detector.nodes, bent],
    outputs: [...detector.outputs, { name: "bent", type: undefined }],
  });
  assert.deepEqual(
    leftOut?.map(({ output }) => output),
    ["best", "bent"],
  );
  assert.match(leftOut?.[1]?.reason ?? "", /"bent\/Sinh" \(Sinh\)/);
  assert.equal(settings.loss.outputs?.length, 2);
});

const choices = (text: string) => outputLoss(text);

const refusals: readonly (readonly [string, Graph, Partial<CompressRequest>, object])[] = [
  [
    "an unknown output",
    tinyDetector(),
    { outputs: choices("box=mse") },
    { code: "bad-option", message: /no such output: expected "boxes", "scores", "best", found "box"/ },
  ],
  [
    "an output of integers",
    tinyDetector(),
    { outputs: choices("best=mse") },
    { code: "bad-option", message: /"best": it is int64, not float32/ },
  ],
  [
    "classes along an axis that has none",
    tinyDetector(),
    { outputs: choices("boxes=kl@3") },
    { code: "bad-option", message: /"boxes" cannot be matched by kl over axis 3: .*found \[1, 128, 4\]/ },
  ],
  [
    "another axis than the softmax's",
    tinyDetector(),
    { outputs: choices("scores=kl@1") },
    { code: "bad-option", message: /expected axis 2, that of its softmax/ },
  ],
  [
    "nothing left to match",
    tinyUNet(),
    { outputs: choices("mask_logits=mse:0") },
    { code: "unsupported", message: /no output.*its weight is 0/ },
  ],
  [
    "a loss with labels for images without",
    tinyCnn(),
    { settings: { ...presets.fast, prune: { rule: "deviation", factor: 1 }, batch: 16, threads: 1 } },
    { code: "bad-data", message: /the images have no labels.*--loss distill/ },
  ],
];

for (const [name, graph, changes, error] of refusals) {
  test(`refused before anything is written: ${name}`, async () => {
    await assert.rejects(prepareRun(await request(graph, changes)), error);
    assert.ok(!existsSync(file("asked")));
  });
}

test("options of the loss that contradict each other are refused", async () => {
  const base = { preset: "fast", shrinkWhileTraining: true, device: "cpu" } as const;
  const cases: readonly (readonly [Partial<SettingOptions>, RegExp])[] = [
    [
      { loss: "mixed", outputLoss: outputLoss("gemm=mse") },
      /--output-loss.*expected --loss distill, found --loss mixed/,
    ],
    [{ outputLoss: outputLoss("gemm=mse") }, /--output-loss.*found the loss with labels of --preset fast/],
    [{ loss: "labels", distillation: 0.5 }, /--distillation.*found --loss labels/],
    [{ loss: "distill", labelSmoothing: 0.1 }, /--label-smoothing.*expected a loss with labels/],
  ];
  for (const [options, message] of cases)
    await assert.rejects(settingsFrom({ ...base, ...options }), { code: "bad-option", message });
  const { loss } = await settingsFrom({ ...base, preset: "paper", loss: "distill" });
  assert.deepEqual([loss.crossEntropy, loss.distillation], [0, 1]);
});

test("--output-loss: names may hold anything, weights and axes are checked", () => {
  assert.deepEqual(
    [...outputLoss("a=b:0=kl@2:0.5", outputLoss("x=mse"))],
    [
      ["x", { measure: "mse", weight: 1 }],
      ["a=b:0", { measure: "kl", weight: 0.5, axis: 2 }],
    ],
  );
  for (const bad of [
    "x",
    "=mse",
    "x=l2",
    "x=mse:-1",
    "x=mse:",
    "x=mse:x",
    "x=mse@1",
    "x=kl@a",
    "x=kl:Infinity",
  ])
    assert.throws(() => outputLoss(bad), InvalidArgumentError, bad);
  assert.throws(() => outputLoss("x=kl", outputLoss("x=mse")), /given twice/);
});

test("contradicting options on the command line: one line, status 1, nothing written", async () => {
  const model = await modelFile("plain", tinyCnn());
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["--loss", "labels", "--data", `folder:${images}`], /no labels.*--loss distill/],
    [["--output-loss", "gemm=mse:-2"], /expected NAME=kl\|mse\|smooth-l1.*found "gemm=mse:-2"/],
  ];
  const out = file("refused");
  const processes = cases.map(([args, message]) => {
    const line = compressArguments(model, out, args).filter((part) => part !== "--json");
    return { ended: new PenniProcess(line).ended, message };
  });
  for (const { ended, message } of processes) {
    const { status, stderr, stdout } = await ended;
    assert.deepEqual([status, stdout], [1, ""], stderr);
    assert.match(stderr, /^penni: [^\n]+\n$/);
    assert.match(stderr, message);
  }
  assert.ok(readdirSync(folder).every((entry) => !entry.startsWith("refused")));
});
