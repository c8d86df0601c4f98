import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { test } from "node:test";
import type { Provider } from "../../src/execute/device.js";
import { nodeEngine } from "../../src/execute/node.js";
import { softwareVulkan } from "../../support/browser.js";
import { assertSameTraining, smallTrainingCase } from "../../support/device_case.js";
import { type TrainingCase, trainCase } from "../../support/device_training.js";
import type { DeviceReply, DeviceRequest } from "../../support/on_device.js";

/** Trains in a process of its own, which a driver may end, and whose environment may name another driver. */
function trainOn(
  provider: Provider,
  trainingCase: TrainingCase,
  env: NodeJS.ProcessEnv = process.env,
): Promise<DeviceReply> {
  const child = fork(new URL("../../support/on_device.js", import.meta.url), {
    env,
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
  const request: DeviceRequest = { provider, trainingCase };
  return new Promise((resolve) => {
    let reply: DeviceReply | undefined;
    child.on("message", (message: DeviceReply) => {
      reply = message;
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      // Also after a reply: values that outlive their session end the process.
      const end = signal ?? code;
      resolve(
        reply !== undefined && end === 0 ? reply : { kind: "failed", reason: `the process ended: ${end}` },
      );
    });
    child.send(request);
  });
}

async function check(trainingCase: TrainingCase, reply: DeviceReply): Promise<void> {
  assert.ok(reply.kind === "trained", JSON.stringify(reply));
  assertSameTraining(reply.outcome, await trainCase(nodeEngine, "cpu", trainingCase));
}

for (const provider of ["webgpu", "cuda"] as const) {
  test(`training steps on ${provider} agree with the CPU's`, async (t) => {
    const trainingCase = smallTrainingCase();
    const reply = await trainOn(provider, trainingCase);
    if (reply.kind === "unusable") return t.skip(reply.reason);
    await check(trainingCase, reply);
  });
}

const software = softwareVulkan();
test("training steps on WebGPU emulated in software agree with the CPU's", {
  skip: software === undefined ? "needs the Vulkan driver that comes with Chromium" : false,
}, async () => {
  const trainingCase = smallTrainingCase();
  await check(trainingCase, await trainOn("webgpu", trainingCase, software));
});
