import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeEngine } from "../../src/execute/node.js";
import { inBrowser, withoutChromium } from "../../support/browser.js";
import { assertSameTraining, smallTrainingCase } from "../../support/device_case.js";
import { trainCase } from "../../support/device_training.js";
import type { PageAnswer } from "./page.js";

test("training steps in Chromium agree with the CPU's in Node", { skip: withoutChromium }, async (t) => {
  const trainingCase = smallTrainingCase();
  const expected = await trainCase(nodeEngine, "cpu", trainingCase);
  const answer = (await inBrowser("dist/test/browser/page.js", trainingCase)) as PageAnswer;

  await t.test("in WebAssembly", () => {
    const { cpu } = answer;
    assert.ok(cpu?.kind === "trained", JSON.stringify(cpu));
    assertSameTraining(cpu.outcome, expected);
  });

  const { webgpu } = answer;
  const skip = webgpu?.kind === "no adapter" ? "this Chromium offers no WebGPU adapter" : false;
  await t.test("on WebGPU, the state kept in its buffers", { skip }, () => {
    assert.ok(webgpu?.kind === "trained", JSON.stringify(webgpu));
    assertSameTraining(webgpu.outcome, expected);
  });
});
