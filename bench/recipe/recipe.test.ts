import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { type CompressOptions, withRule } from "../../src/cli/compress_options.js";
import { settingsFrom } from "../../src/cli/compress_settings.js";
import { createProgram } from "../../src/cli/program.js";
import { Output } from "../../src/cli/terminal.js";
import { present } from "../../src/graph/at.js";
import { checkSettings } from "../../src/run/settings_checks.js";
import { armNamed, arms } from "./arms.js";
import { commandOf, type Outcome, outcomeOf, type Place, runFolder } from "./carry_out.js";
import { optionsOf, recordedOptions, recordOptions } from "./recorded.js";
import { tableText } from "./table.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-recipe-"));
after(() => rm(folder, { recursive: true, force: true }));

const place: Place = {
  out: folder,
  model: "/models/resnet20.onnx",
  data: "/cifar10",
  epochs: 3,
  targetMacs: 0.4,
  threads: 2,
};

test("arms have names of their own, which are names of folders, and are compared with arms", () => {
  const names = arms.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.match(name, /^[a-z0-9-]+$/);
  for (const { name, against } of arms)
    for (const other of against) assert.ok(other !== name && names.includes(other), `${name}: ${other}`);
  assert.throws(() => armNamed("none"), { code: "bad-option", message: /fast, calibrated.*none/ });
});

test("every arm is a command line that compress takes, with as many epochs as all others", async () => {
  for (const arm of arms) {
    const command = commandOf(arm, 1, place);
    if (command === undefined) {
      assert.equal(arm.run.by, "pytorch");
      continue;
    }
    let found: CompressOptions | undefined;
    const stream = new Output(process.stdout, "standard output");
    const program = await createProgram({ stdout: stream, stderr: stream }, command);
    const compress = program.commands.find((each) => each.name() === "compress");
    compress?.action((_model, options: CompressOptions, self) => {
      found = withRule(options, self);
    });
    await program.parseAsync(command, { from: "user" });
    assert.ok(found !== undefined);
    assert.deepEqual([found.seed, found.out], [1, runFolder(arm, 1, place)]);
    const settings = await settingsFrom(found);
    checkSettings(settings);
    const { channels, retrain, fineTune } = settings;
    const spent = (channels === undefined ? 0 : channels.training.epochs) + retrain.epochs + fineTune.epochs;
    assert.equal(spent, arm.name === "longer" ? 6 : 3, arm.name);
  }
});

test("a run that was begun is resumed, one that has an outcome is finished", async () => {
  const arm = armNamed("ema");
  assert.equal(commandOf(arm, 0, place)?.includes("--resume"), false);
  const run = runFolder(arm, 0, place);
  await mkdir(run, { recursive: true });
  assert.deepEqual(commandOf(arm, 0, place), ["compress", "--resume", run]);
  assert.equal(await outcomeOf(arm, 0, place), undefined);
  const network = (correct: number, cost: number): object => ({
    test: { correct, total: 200 },
    parameters: cost,
    paperMacs: 2 * cost,
    executedMacs: 4 * cost,
  });
  await writeFile(
    path.join(run, "summary.json"),
    JSON.stringify({ original: network(190, 100), compressed: network(180, 25) }),
  );
  await writeFile(path.join(run, "timing.jsonl"), '{"seconds":40}\n{"seconds":20}\n');
  const expected = { test: 0.9, parameters: 0.25, macs: 0.25, executed: 0.25, seconds: 60 };
  assert.deepEqual(await outcomeOf(arm, 0, place), { ...expected, options: undefined });
  assert.notEqual(runFolder(arm, 0, { ...place, epochs: 6 }), run);
});

test("a line has all seeds, and differences of the seeds that both arms have", () => {
  const outcome = (test: number): Outcome => ({
    test,
    parameters: 0.25,
    macs: 0.4,
    executed: 1,
    seconds: 90,
    options: undefined,
  });
  const text = tableText([
    {
      arm: armNamed("fast"),
      options: [],
      outcomes: new Map([
        [0, outcome(0.905)],
        [1, outcome(0.91)],
      ]),
    },
    { arm: armNamed("calibrated"), options: [], outcomes: new Map([[0, outcome(0.908)]]) },
    { arm: armNamed("ema"), options: [], outcomes: new Map() },
  ]);
  const lines = text.trim().split("\n").slice(2);
  assert.deepEqual(lines, [
    "| fast | 90.50 91.00 | 90.75 | 40.0 | 100.0 | 25.0 |  | 1.5 | not recorded |",
    "| calibrated | 90.80 | 90.80 | 40.0 | 100.0 | 25.0 | fast +0.30 (+0.30) | 1.5 | not recorded |",
  ]);
  assert.equal(present(lines[0]).split("|").length, text.split("\n", 1).join("").split("|").length);
});

test("what a run is made with is recorded where it begins, and others are refused and marked", async () => {
  const arm = armNamed("teacher");
  const run = runFolder(arm, 0, place);
  const options = optionsOf(arm, place);
  assert.equal(await recordedOptions(run), undefined);
  await recordOptions(run, options);
  await mkdir(run);
  assert.deepEqual(await recordedOptions(run), options);
  // The teacher may lie elsewhere.
  const elsewhere = options.map((word) => (word.includes("/") ? `/elsewhere/${path.basename(word)}` : word));
  assert.notDeepEqual(elsewhere, options);
  await recordOptions(run, elsewhere);
  await assert.rejects(recordOptions(run, [...options, "--ema", "0.9"]), {
    code: "bad-option",
    message: /other options than its arm has now: expected .*found --epochs 0/,
  });
  const figures = { parameters: 0.25, macs: 0.4, executed: 1, seconds: 90 };
  const fast = { arm: armNamed("fast"), options: ["--a"] };
  const calibrated = { arm: armNamed("calibrated"), options: ["--b", "/x/y.onnx"] };
  const text = tableText([
    { ...fast, outcomes: new Map([0, 1].map((seed) => [seed, { ...figures, test: 0.9, options: ["--a"] }])) },
    {
      ...calibrated,
      outcomes: new Map([
        [0, { ...figures, test: 0.91, options: ["--b", "/z/y.onnx"] }],
        [1, { ...figures, test: 0.95, options: ["--c"] }],
      ]),
    },
  ]);
  assert.deepEqual(text.trim().split("\n").slice(2), [
    "| fast | 90.00 90.00 | 90.00 | 40.0 | 100.0 | 25.0 |  | 1.5 | --a |",
    "| calibrated | 91.00 95.00 | 93.00 | 40.0 | 100.0 | 25.0 | fast +1.00 (+1.00) | 1.5 | seed 0: --b y.onnx; seed 1: OTHERS THAN TODAY'S: --c |",
  ]);
});
