import assert from "node:assert/strict";
import { test } from "node:test";
import { imagenetPreprocessing } from "../../src/graph/image_metadata.js";
import { runTraining } from "../../src/run/training/launch.js";
import type { TrainingPlan } from "../../src/train/plan.js";

/** Nothing of it is read: the process is ended before. */
const plan: TrainingPlan = {
  stage: "retrain",
  network: "/nowhere/network.onnx",
  result: "/nowhere/result.onnx",
  checkpoint: "/nowhere/ckpt",
  data: {
    spec: "synthetic:20",
    preprocessing: imagenetPreprocessing,
    augmentation: { padding: 0, flip: false },
    validation: 0.1,
  },
  seed: 1,
  batch: 2,
  epochs: 1,
  phases: [],
  phaseEpochs: 1,
  schedule: { kind: "cosine", initial: 0.1 },
  l1Strength: 0,
  optimizer: { momentum: 0, weightDecay: 0 },
  loss: { crossEntropy: 1, labelSmoothing: 0, distillation: 0, temperature: 1 },
  batchNormalization: "frozen",
  sparse: [],
  threads: 1,
  checkpointSeconds: 1000,
};

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  test(`${signal} to parent and training process while that is being loaded is a stop, whoever is first`, async () => {
    const controller = new AbortController();
    const started = async (pid: number): Promise<void> => {
      process.kill(pid, signal);
    };
    const stopped = runTraining(plan, { started }, controller.signal);
    setImmediate(() => controller.abort());
    await assert.rejects(stopped, {
      code: "interrupted",
      message: 'stopped at the start of stage "retrain"',
    });
  });
}

test("a training process that is ended alone has died", async () => {
  const started = async (pid: number): Promise<void> => {
    process.kill(pid, "SIGKILL");
  };
  const died = runTraining(plan, { started }, new AbortController().signal);
  await assert.rejects(died, { code: "training", message: /ended unexpectedly: found signal SIGKILL/ });
});
