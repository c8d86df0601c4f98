import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { describeGoalOutcome } from "../../src/cli/goal_text.js";
import { compileToWasm } from "../../src/compile/index.js";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { int } from "../../src/graph/attributes.js";
import type { Graph } from "../../src/graph/types.js";
import { compress as compressRun, prepareRun, presets, type Settings } from "../../src/index.js";
import { COMPRESSION_KEY } from "../../src/method/compression_record.js";
import { RunDirectory } from "../../src/run/directory.js";
import { type GoalRecord, writeGoalRecord } from "../../src/run/goal_record.js";
import type { GoalOutcome, Summary } from "../../src/run/summary.js";
import { tinyUNet, writeImages } from "../../support/label_free.js";
import { Network } from "../../support/network.js";
import { PenniProcess } from "../../support/penni_process.js";
import { runConfig } from "../../support/run_config.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-goals-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const file = (...parts: string[]): string => path.join(folder, ...parts);

/** Images of 16x16 pixels in ten classes; enough coefficients to lose some. */
function classifier(): Graph {
  const net = new Network(3, [3, 16, 16]);
  const unit = (x: string, channels: number, stride: number): string =>
    net.relu(net.norm(net.conv(x, channels, { pad: 1, stride })));
  const features = unit(unit(unit("x", 16, 1), 24, 2), 24, 1);
  const pooled = net.op("Flatten", [net.op("GlobalAveragePool", [features])], { axis: int(1) });
  return net.graph([net.gemm(pooled, 10)]);
}

/** Trained for seconds, so that there is something to lose. */
async function trainedClassifier(): Promise<string> {
  await writeModel(file("initial.onnx"), classifier());
  const settings = ["--epochs", "5", "--batch", "32", "--threads", "1", "-o", file("training")];
  const training = new PenniProcess(["train", file("initial.onnx"), "--data", "synthetic:2000", ...settings]);
  const { status, stderr } = await training.ended;
  assert.equal(status, 0, stderr);
  return file("training", "model.onnx");
}

const model = await trainedClassifier();
const bytes = readFileSync(model).byteLength;
const data = ["--data", "synthetic:600", "--threads", "1"];

const compress = (out: string, ...more: string[]): PenniProcess =>
  new PenniProcess(["compress", model, ...data, "-o", file(out), ...more]);

const resume = (out: string): PenniProcess => new PenniProcess(["compress", "--resume", file(out), "--json"]);

const shortTraining = ["--epochs", "0.5", "--fine-tune-epochs", "0.5", "--batch", "32", "--basis", "4"];
const calibrate = ["--preset", "calibrate", "--calibration-images", "96"];

async function summaryOf(run: PenniProcess): Promise<Summary & { readonly goal: GoalOutcome }> {
  const { status, stdout, stderr } = await run.ended;
  assert.equal(status, 0, stderr);
  const summary = JSON.parse(stdout) as Summary;
  const { goal } = summary;
  assert.ok(goal !== undefined);
  return { ...summary, goal };
}

const recordOf = (out: string): GoalRecord =>
  JSON.parse(readFileSync(file(out, "search.json"), "utf8")) as GoalRecord;

const triesOf = (out: string): GoalRecord["tries"] =>
  existsSync(file(out, "search.json")) ? recordOf(out).tries : [];

/** Nothing of the tries is left but their record. */
function assertTidy(out: string): void {
  const names = ["stages", "checkpoints"].flatMap((part) => readdirSync(file(out, part)));
  assert.deepEqual(
    [...names, ...readdirSync(file(out))].filter((name) => /-\d+\.|calibration-/.test(name)),
    [],
  );
}

test("--target-size: a trained run's file is as large as asked, or a little smaller", async () => {
  const limit = Math.round(0.4 * bytes);
  const { goal } = await summaryOf(compress("size", ...shortTraining, "--target-size", `${limit}`, "--json"));
  const written = readFileSync(file("size", "model.onnx")).byteLength;
  assert.ok(written <= limit && written > 0.95 * limit, `${written} of ${limit}`);
  assert.deepEqual(goal.asked, { rule: "size", bytes: limit, file: "onnx" });
  assert.deepEqual([goal.reached, goal.isMet], [{ value: written }, true]);
  assert.deepEqual(goal.tries, triesOf("size"));
  const { metadata } = await readModel(file("size", "model.onnx"));
  const record = JSON.parse(metadata.get(COMPRESSION_KEY) ?? "{}");
  assert.deepEqual([record.prune, record.fraction], [goal.asked, goal.fraction]);
  assertTidy("size");
});

test("--target-size wasm: the compiled module of a calibrated result is as large as asked", async () => {
  const whole = compileToWasm(await readModel(model)).byteLength;
  const limit = Math.round(0.6 * whole);
  const run = compress("wasm", ...calibrate, "--target-size", `wasm:${limit}`, "--json");
  const { goal } = await summaryOf(run);
  const module = compileToWasm(await readModel(file("wasm", "model.onnx"))).byteLength;
  // Sizes jump where a layer, of which there are few, changes the way it is computed.
  assert.ok(module <= limit && module > 0.75 * limit, `${module} of ${limit}`);
  assert.deepEqual([goal.reached, goal.isMet], [{ value: module }, true]);
  assert.ok(existsSync(file("wasm", "calibration.json")));
  assertTidy("wasm");
});

/** A run whose search is over before it begins: no time decides what happens. */
async function searchedBefore(
  out: string,
  milliseconds: number,
): Promise<Summary & { readonly goal: GoalOutcome }> {
  const settings: Settings = {
    ...presets.fast,
    retrain: { ...presets.fast.retrain, epochs: 0 },
    fineTune: { ...presets.fast.fineTune, epochs: 0 },
    prune: { rule: "latency", milliseconds },
    basis: 4,
    threads: 1,
  };
  const config = { ...runConfig("fast"), data: "synthetic:100", settings };
  const run = await RunDirectory.create(file(out), config, await readModel(model));
  const tries = [
    { fraction: 0.6, value: 0.7, low: 0.6, high: 0.8, bytes: 9e4, holds: false },
    { fraction: 0.5, value: 0.5, low: 0.4, high: 0.6, bytes: 8e4, holds: true },
    { fraction: 0.5003, value: 0.6, low: 0.5, high: 0.7, bytes: 8e4, holds: false },
  ];
  await writeGoalRecord(run, {
    least: { fraction: 0.2, value: 0.1 },
    most: { fraction: 0.8, value: 1 },
    tries,
  });
  return summaryOf(resume(out));
}

test("--target-latency: what was measured is not measured again, and the result is judged by its own time", async () => {
  for (const [milliseconds, isMet] of [
    [1e9, true],
    [1e-9, false],
  ] as const) {
    const { goal, compressed, original } = await searchedBefore(`latency-${isMet}`, milliseconds);
    assert.deepEqual([goal.fraction, goal.isMet, goal.tries.length], [0.5, isMet, 3]);
    const { lowMs, highMs } = compressed.compiledSpread ?? {};
    assert.deepEqual(goal.reached, { value: compressed.compiledMs, low: lowMs, high: highMs });
    const share = compressed.paperMacs / original.paperMacs;
    assert.ok(share <= 0.5 && share > 0.45, `${share}`);
    const text = describeGoalOutcome(goal, 100);
    assert.match(text, isMet ? /Goal reached: at most/ : /Goal NOT reached: at most 0\.000000001 ms/);
  }
});

test("--max-loss: the smallest calibrated network that held is the result, whatever kills the search", async () => {
  const loss = [...calibrate, "--validation", "0.4", "--max-loss", "12"];
  const whole = compress("loss", ...loss, "--json");
  const { goal, compressed, original } = await summaryOf(whole);
  const said = whole.output;
  const { tries } = goal;
  assert.ok(tries.length >= 2 && tries.length <= 8);
  for (const { value, low, high, holds } of tries) {
    assert.equal(holds, value <= 12);
    assert.ok(low !== undefined && high !== undefined && low <= value && value <= high);
  }
  const held = tries.filter(({ holds }) => holds).map(({ fraction }) => fraction);
  assert.equal(goal.fraction, Math.min(...held));
  assert.ok(
    tries.some(({ holds }) => !holds),
    "smaller ones were tried and lost too much",
  );
  assert.match(said, /the original is right on [\d.]+ % of the \d+ held-out images/);
  assert.ok(compressed.paperMacs <= goal.fraction * original.paperMacs);
  assertTidy("loss");

  const killed = compress("killed", ...loss);
  assert.ok(await killed.until(() => triesOf("killed").length === 1));
  killed.signalGroup("SIGKILL");
  await killed.ended;
  const again = resume("killed");
  assert.ok(await again.until(() => triesOf("killed").length === 2));
  again.signalGroup("SIGKILL");
  await again.ended;
  const before = triesOf("killed");
  assert.ok(!existsSync(file("killed", "model.onnx")));
  const resumed = await summaryOf(resume("killed"));
  assert.deepEqual(triesOf("killed").slice(0, before.length), before);
  assert.deepEqual(resumed.goal, goal);
  for (const name of ["model.onnx", "calibration.json", "search.json"])
    assert.deepEqual(readFileSync(file("killed", name)), readFileSync(file("loss", name)), name);
  assertTidy("killed");
});

test("--max-loss with training: few trainings, each from the best so far, the same when it was killed", async () => {
  const loss = [...shortTraining, "--validation", "0.4", "--max-loss", "15"];
  const run = compress("trained", ...loss, "--json");
  const { goal } = await summaryOf(run);
  assert.match(run.output, /try 1 of at most 4: 42 % of the MACs/);
  assert.ok(goal.tries.length >= 1 && goal.tries.length <= 4);
  assert.equal(goal.isMet, true);
  const stages = readFileSync(file("trained", "metrics.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { stage: string }).stage);
  assert.deepEqual(stages, ["retrain", ...goal.tries.map((_, index) => `fine-tune-${index + 1}`)]);
  assertTidy("trained");

  const killed = compress("trained-killed", ...loss, "--checkpoint-seconds", "0.05");
  assert.ok(await killed.until(() => existsSync(file("trained-killed", "checkpoints", "fine-tune-1.ckpt"))));
  killed.signalGroup("SIGKILL");
  await killed.ended;
  const resumed = await summaryOf(resume("trained-killed"));
  assert.deepEqual(resumed.goal, goal);
  for (const name of ["metrics.jsonl", "search.json", "stages/fine-tune.onnx"])
    assert.deepEqual(readFileSync(file("trained-killed", name)), readFileSync(file("trained", name)), name);
});

test("the library takes the same goals", async () => {
  const limit = Math.round(0.5 * bytes);
  const settings: Settings = {
    ...presets.calibrate,
    calibrationImages: 96,
    prune: { rule: "size", bytes: limit, file: "onnx" },
    threads: 1,
  };
  const request = {
    model,
    data: "synthetic:600",
    out: file("library"),
    preset: "calibrate",
    seed: 0,
    settings,
  };
  const { goal, compressed } = await compressRun(await prepareRun(request));
  assert.ok(compressed.bytes <= limit && compressed.bytes > 0.9 * limit, `${compressed.bytes} of ${limit}`);
  assert.deepEqual(
    [goal?.asked, goal?.isMet, goal?.reached],
    [settings.prune, true, { value: compressed.bytes }],
  );
});

test("--max-loss without labels: an output error", async () => {
  await writeImages(file("images"), 120);
  await writeModel(file("unet.onnx"), tinyUNet());
  const given = ["compress", file("unet.onnx"), "--data", `images:${file("images")}`, "--threads", "1"];
  const run = new PenniProcess([
    ...[...given, ...calibrate, "--validation", "0.3", "-o", file("error"), "--max-loss", "20%", "--json"],
  ]);
  const { goal, agreement } = await summaryOf(run);
  assert.ok(goal.reached.value <= 0.2 && goal.reached.value > 0, `${goal.reached.value}`);
  assert.ok(goal.tries.some(({ holds }) => !holds));
  const [output] = agreement?.outputs ?? [];
  assert.ok(output?.error != null && output.error < 0.3, "other images have errors like those held out");
});

/** Of each preset by turns. */
const refusals: Readonly<Record<string, readonly [args: readonly string[], message: RegExp]>> = {
  "a size below what is left without coefficients": [
    ["--target-size", "900"],
    /cannot be reached by removing coefficients: expected more than [\d,]+ bytes.*found a file of at most 900 bytes/,
  ],
  "a size that the model has": [["--target-size", "1MB"], /keeps to this goal already: .*[\d,]+ bytes/],
  "a latency below what is left": [
    ["--target-latency", "0.01us"],
    /cannot be reached.*expected more than [\d.]+ ms/,
  ],
  "a latency that the model has": [["--target-latency", "100s"], /keeps to this goal already/],
  "an error where there are labels": [["--max-loss", "5%"], /points of top-1 where the images have labels/],
  "a loss without held-out images": [["--max-loss", "1", "--validation", "0"], /--validation above 0/],
  "two goals": [["--max-loss", "1", "--target-size", "20kB"], /cannot be used with/],
  "a goal and a fraction": [["--target-macs", "0.5", "--target-latency", "1ms"], /cannot be used with/],
  "a goal and the paper's rule": [["--deviations", "1", "--max-loss", "1"], /cannot be used with/],
};

for (const [index, [name, [more, message]]] of Object.entries(refusals).entries()) {
  const preset = index % 2 === 0 ? "fast" : "calibrate";
  test(`${name}, --preset ${preset}: refused in one line, nothing written`, async () => {
    const { status, stderr } = await compress("refused", "--preset", preset, ...more).ended;
    assert.equal(status, 1, stderr);
    assert.match(stderr, message);
    assert.match(stderr, /^penni: [^\n]+\n$/);
    assert.ok(!existsSync(file("refused")));
  });
}

test("points where no labels are used: refused", async () => {
  await writeImages(file("few"), 20);
  await writeModel(file("unet2.onnx"), tinyUNet());
  const given = ["compress", file("unet2.onnx"), "--data", `images:${file("few")}`, "-o", file("refused")];
  const { status, stderr } = await new PenniProcess([...given, ...calibrate, "--max-loss", "0.5"]).ended;
  assert.equal(status, 1);
  assert.match(stderr, /an output error where no labels are used: .*--max-loss 5%/);
  assert.ok(!existsSync(file("refused")));
});

test("a loss that no calibration holds: said with the best that was tried, and said again on resuming", async () => {
  // One kernel for each layer loses something even where all coefficients stay.
  const given = [...calibrate, "--validation", "0.4", "--max-loss", "0", "--basis", "1"];
  const said =
    /no fraction that was tried reaches the goal: expected a loss of at most 0 points.*found [\d.]+ points/;
  for (const start of [() => compress("hopeless", ...given), () => resume("hopeless")]) {
    const { status, stderr } = await start().ended;
    assert.equal(status, 1, stderr);
    assert.match(stderr, said);
    assert.ok(!existsSync(file("hopeless", "model.onnx")));
  }
});
