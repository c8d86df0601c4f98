import assert from "node:assert/strict";
import { test } from "node:test";
import {
  compressionDefaults,
  compressionLoss,
  recoveryDefaults,
  trainingDefaults,
} from "../../src/method/defaults.js";
import { channelTraining, configSchema, presets } from "../../src/run/config.js";
import { defaultTraining } from "../../src/run/training_config.js";
import { penni } from "../../support/command_line.js";

test("presets and trainings have the numbers that their documentation states", () => {
  const losses = Object.values(presets).map(({ loss }) => loss);
  assert.deepEqual(losses, [
    { crossEntropy: 1, labelSmoothing: 0, distillation: 0, temperature: 4 },
    { crossEntropy: 0.3, labelSmoothing: 0, distillation: 0.7, temperature: 4 },
    { crossEntropy: 0.3, labelSmoothing: 0, distillation: 0.7, temperature: 4 },
    { crossEntropy: 0, labelSmoothing: 0, distillation: 1, temperature: 4 },
  ]);
  for (const preset of Object.values(presets)) {
    const { optimizer, batch, augmentation, validation, calibrationImages, checkpointSeconds } = preset;
    assert.deepEqual(optimizer, { momentum: 0.9, weightDecay: 1e-4 });
    assert.deepEqual(augmentation, { padding: 4, flip: true });
    assert.deepEqual([batch, validation, calibrationImages, checkpointSeconds], [128, 0.05, 512, 30]);
  }
  assert.deepEqual(
    Object.values(presets).map(({ prune }) => prune),
    [
      { rule: "deviation", factor: 1 },
      { rule: "macs", fraction: 0.42 },
      { rule: "macs", fraction: 0.42 },
      { rule: "macs", fraction: 0.58 },
    ],
  );
  const { best } = presets;
  assert.deepEqual(
    [best.fineTune.epochs, best.averaging, best.start, best.basis],
    [30, 0.998, "calibrate", "auto"],
  );
  assert.deepEqual(channelTraining, {
    epochs: 8,
    schedule: { kind: "one-cycle", peak: 0.05, warmUp: 0.15, fall: "linear" },
    phases: "joint",
    phaseEpochs: 1,
  });
  assert.deepEqual(defaultTraining, {
    schedule: { kind: "one-cycle", peak: 0.1, warmUp: 0.15, fall: "linear" },
    labelSmoothing: 0.05,
    optimizer: { momentum: 0.9, weightDecay: 5e-4 },
    resolutions: [],
    batch: 128,
    augmentation: { padding: 4, flip: true },
    validation: 0.02,
    device: "cpu",
    checkpointSeconds: 60,
  });
});

test("a configuration from before there were calibrated starts means what it meant", () => {
  const { calibrationImages: _, start: __, device: ___, ...old } = { ...presets.fast, threads: 1 };
  const { settings } = configSchema.pick({ settings: true }).parse({ settings: old });
  assert.deepEqual([settings.calibrationImages, settings.start, settings.device], [512, "svd", "cpu"]);
});

/** The line or lines that the help text has for an option. */
async function help(command: string, option: string): Promise<string> {
  const { stdout } = await penni([command, "--help"]);
  const [, rest = ""] = stdout.split(`  ${option} `);
  return rest.split("\n  -")[0] ?? "";
}

test("help texts name the defaults that hold", async () => {
  const named: readonly (readonly [string, string, number])[] = [
    ["compress", "--calibration-images", compressionDefaults.calibrationImages],
    ["compress", "--temperature", compressionLoss("mixed").temperature],
    ["compress", "--channel-epochs", recoveryDefaults.epochs],
    ["compress", "--channel-lr", recoveryDefaults.schedule.peak],
    ["compress", "--checkpoint-seconds", compressionDefaults.checkpointSeconds],
    ["train", "--lr", trainingDefaults.schedule.peak],
    ["train", "--warm-up", trainingDefaults.schedule.warmUp],
    ["train", "--label-smoothing", trainingDefaults.labelSmoothing],
    ["train", "--weight-decay", trainingDefaults.optimizer.weightDecay],
    ["train", "--momentum", trainingDefaults.optimizer.momentum],
    ["train", "--batch", trainingDefaults.batch],
    ["train", "--validation", trainingDefaults.validation],
  ];
  for (const [command, option, value] of named) {
    const text = await help(command, option);
    assert.ok(text.includes(`(${value})`), `${command} ${option}: ${text}`);
  }
});
