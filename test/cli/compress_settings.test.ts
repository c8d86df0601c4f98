import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { type SettingOptions, settingsFrom, teacherOption } from "../../src/cli/compress_settings.js";
import { createProgram } from "../../src/cli/program.js";
import { Output } from "../../src/cli/terminal.js";
import { channelTraining, gradualPruning, presets } from "../../src/run/config.js";
import { presetNames } from "../../src/run/names.js";
import { checkSettings } from "../../src/run/settings_checks.js";
import { projectRoot } from "../../support/shared.js";

const base: SettingOptions = { preset: "fast", device: "cpu", shrinkWhileTraining: true };

test("a penalty on channels is ten times as strong as the preset's, or as strong as is said", async () => {
  const { l1, l1Form } = await settingsFrom({ ...base, penalty: "channels" });
  assert.deepEqual([l1, l1Form], [10 * presets.fast.l1, "channels"]);
  assert.equal((await settingsFrom({ ...base, penalty: "channels", l1: 0.5 })).l1, 0.5);
});

test("a penalty on coefficients has the preset's form and strength", async () => {
  for (const preset of ["fast", "paper"] as const) {
    const { l1, l1Form } = await settingsFrom({ ...base, preset, penalty: "coefficients" });
    assert.deepEqual([l1, l1Form], [presets[preset].l1, presets[preset].l1Form]);
  }
});

const refused: Readonly<Record<string, readonly [Partial<SettingOptions>, RegExp]>> = {
  "without retraining": [{ epochs: 0 }, /--epochs above 0/],
  "in a preset without retraining": [{ preset: "calibrate" }, /--epochs above 0/],
  "of no strength": [{ l1: 0 }, /--l1 above 0/],
};

for (const [name, [options, message]] of Object.entries(refused)) {
  test(`a penalty on channels ${name} is refused`, async () => {
    await assert.rejects(settingsFrom({ ...base, penalty: "channels", ...options }), {
      code: "bad-option",
      message,
    });
  });
}

test("channels go first if that is asked for, with what is said of their training in place of the defaults", async () => {
  assert.equal((await settingsFrom(base)).channels, undefined);
  const defaults = await settingsFrom({ ...base, channels: 0.5 });
  assert.deepEqual(defaults.channels, { fraction: 0.5, training: channelTraining, teaches: false });
  const { channels } = await settingsFrom({
    ...base,
    channels: 0.25,
    channelEpochs: 3,
    channelLr: 0.2,
    channelLoss: "labels",
    teacher: teacherOption("recovered"),
  });
  assert.equal(channels?.training.epochs, 3);
  assert.deepEqual(channels?.training.schedule, { ...channelTraining.schedule, peak: 0.2 });
  assert.deepEqual([channels?.loss?.crossEntropy, channels?.loss?.distillation], [1, 0]);
  assert.equal(channels?.teaches, true);
});

test("coefficients go gradually if that is asked for; the weight decay is the one that is given", async () => {
  assert.equal((await settingsFrom(base)).gradual, undefined);
  assert.deepEqual((await settingsFrom({ ...base, gradual: true })).gradual, gradualPruning);
  const { optimizer } = await settingsFrom({ ...base, weightDecay: 5e-4 });
  assert.deepEqual(optimizer, { ...presets.fast.optimizer, weightDecay: 5e-4 });
});

test("the best preset is a calibrated start, a long averaged fine-tuning, and the original as its teacher", async () => {
  const best = await settingsFrom({ ...base, preset: "best" });
  assert.deepEqual([best.start, best.basis, best.retrain.epochs], ["calibrate", "auto", 0]);
  assert.deepEqual([best.fineTune.phases, best.fineTune.schedule.kind], ["joint", "cosine"]);
  assert.ok(best.fineTune.epochs >= 5 * presets.fast.fineTune.epochs);
  assert.equal(best.averaging, 0.998);
  assert.ok(best.loss.distillation > 0 && best.loss.crossEntropy > 0);
});

test("every preset is complete, as settings, in the schema of configuration files and in the manual", async () => {
  const manual = readFileSync(path.join(projectRoot, "docs/compress.md"), "utf8");
  const [, documented = ""] = manual.split("## Presets");
  const rows = [...documented.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
  assert.deepEqual(rows, [...presetNames]);
  const stream = new Output(process.stdout, "standard output");
  const program = await createProgram({ stdout: stream, stderr: stream }, ["compress"]);
  const compress = program.commands.find((command) => command.name() === "compress");
  const choices = compress?.options.find(({ long }) => long === "--preset")?.argChoices;
  assert.deepEqual(choices, [...presetNames]);
  for (const preset of presetNames) checkSettings(await settingsFrom({ ...base, preset }));
});

test("what is learned from a teacher besides its scores, and how soft these are, is said by options", async () => {
  const plain = await settingsFrom(base);
  assert.deepEqual([plain.loss.features, plain.loss.temperature], [undefined, 4]);
  const { loss } = await settingsFrom({ ...base, teacherFeatures: 5, temperature: 2 });
  assert.deepEqual([loss.features, loss.temperature], [5, 2]);
});

test("what goes first is a setting where it is not magnitude", async () => {
  assert.equal((await settingsFrom({ ...base, saliency: "magnitude" })).saliency, undefined);
  assert.equal((await settingsFrom({ ...base, saliency: "fisher" })).saliency, "fisher");
  const rule = { rule: { rule: "loss", measure: "top1", most: 1 }, option: "--max-loss" } as const;
  assert.equal((await settingsFrom({ ...base, saliency: "taylor", rule })).saliency, "taylor");
});

test("channels of residual streams go where that is asked for", async () => {
  const { channels } = await settingsFrom({ ...base, channels: 0.5, residualChannels: true });
  assert.equal(channels?.sums, "tied");
});

const contradictions: Readonly<Record<string, readonly [Partial<SettingOptions>, RegExp]>> = {
  "epochs for channels without channels": [{ channelEpochs: 2 }, /--channel-epochs.*--channels/],
  "a rate for channels without channels": [{ channelLr: 0.1 }, /--channel-lr.*--channels/],
  "a loss for channels without channels": [{ channelLoss: "labels" }, /--channel-loss.*--channels/],
  "another teacher without channels": [{ teacher: teacherOption("recovered") }, /--teacher.*--channels/],
  "labels for channels in a run without labels": [
    { channels: 0.5, channelLoss: "labels", loss: "distill" },
    /--channel-loss labels.*a loss with labels/,
  ],
  "residual channels without channels": [{ residualChannels: true }, /--residual-channels.*--channels/],
  "a temperature without scores": [{ temperature: 2, loss: "labels" }, /--temperature.*labels alone/],
  "a saliency with a calibrated start": [
    { saliency: "fisher", preset: "best" },
    /--saliency fisher.*--start svd.*--start calibrate/,
  ],
  "a saliency with gradual pruning": [{ saliency: "fisher", gradual: true }, /--saliency fisher.*--gradual/],
  "a saliency without a target": [
    { saliency: "taylor", preset: "paper" },
    /--saliency taylor.*--target-macs.*--preset paper/,
  ],
  "a saliency with a size": [
    {
      saliency: "fisher",
      rule: { rule: { rule: "size", bytes: 1e5, file: "onnx" }, option: "--target-size" },
    },
    /--saliency fisher.*--max-loss.*--target-size/,
  ],
  "gradual pruning without retraining": [{ gradual: true, epochs: 0 }, /--gradual.*--epochs above 0/],
  "gradual pruning without a target": [
    { gradual: true, rule: { rule: { rule: "deviation", factor: 1 }, option: "--deviations" } },
    /--gradual.*--target-macs.*--deviations/,
  ],
  "gradual pruning by a preset's rule without a target": [
    { gradual: true, preset: "paper" },
    /--gradual.*--target-macs.*--preset paper/,
  ],
};

for (const [name, [options, message]] of Object.entries(contradictions)) {
  test(`${name} is refused`, async () => {
    await assert.rejects(settingsFrom({ ...base, ...options }), { code: "bad-option", message });
  });
}
