import assert from "node:assert/strict";
import { test } from "node:test";
import { type SettingOptions, settingsFrom } from "../../src/cli/compress_settings.js";
import { presets } from "../../src/method/run/config.js";

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
