import assert from "node:assert/strict";
import { test } from "node:test";
import { type SettingOptions, settingsFrom, teacherOption } from "../../src/cli/compress_settings.js";
import { idleOptions } from "../../src/cli/effects.js";

const base: SettingOptions = { preset: "fast", device: "cpu", shrinkWhileTraining: true };

const idle = async (options: Partial<SettingOptions>): Promise<readonly string[]> => {
  const all = { ...base, ...options };
  return idleOptions(all, await settingsFrom(all));
};

const untrained = { epochs: 0, fineTuneEpochs: 0 } as const;
const teacher = teacherOption("other.onnx");

const cases: Readonly<Record<string, readonly [Partial<SettingOptions>, Partial<SettingOptions>]>> = {
  lr: [{ epochs: 0 }, { epochs: 1 }],
  l1: [{ epochs: 0 }, {}],
  phases: [{ epochs: 0 }, {}],
  phaseEpochs: [{ phases: "joint" }, { phases: "alternating" }],
  fineTuneLr: [{ fineTuneEpochs: 0 }, {}],
  ema: [{ fineTuneEpochs: 0 }, {}],
  weightDecay: [untrained, {}],
  temperature: [{ preset: "calibrate" }, { preset: "best" }],
  schedule: [untrained, {}],
  calibrationImages: [{}, { start: "calibrate" }],
  teacher: [{ loss: "labels" }, {}],
  channelLr: [
    { channels: 0.5, channelEpochs: 0 },
    { channels: 0.5, channelEpochs: 1 },
  ],
};

const values: Partial<SettingOptions> = {
  lr: 0.1,
  l1: 0.1,
  phases: "joint",
  phaseEpochs: 1,
  fineTuneLr: 0.1,
  ema: 0.9,
  weightDecay: 0.1,
  temperature: 2,
  schedule: "one-cycle",
  calibrationImages: 8,
  teacher,
  channelLr: 0.1,
};

for (const [name, [without, withIt]] of Object.entries(cases)) {
  const given = { [name]: values[name as keyof SettingOptions] };

  test(`${name} is said to change nothing where it does not, and only there`, async () => {
    const [sentence, ...others] = await idle({ ...without, ...given });
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    assert.ok(sentence?.startsWith(`${flag} changes nothing here: `), sentence);
    assert.deepEqual(others, []);
    assert.deepEqual(await idle({ ...withIt, ...given }), []);
  });
}

test("nothing is said of what was not given", async () => {
  for (const preset of ["fast", "best", "calibrate", "paper"] as const)
    assert.deepEqual(await idle({ preset }), []);
});
