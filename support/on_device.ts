/** Entry of a process that trains a case on a provider: a message with both in, one with the outcome out. */
import type { Provider } from "../src/execute/device.js";
import { nodeEngine } from "../src/execute/node.js";
import { resolveDevice } from "../src/execute/resolve.js";
import { PenniError } from "../src/graph/errors.js";
import { type TrainingCase, type TrainingOutcome, trainCase } from "./device_training.js";

export interface DeviceRequest {
  readonly provider: Provider;
  readonly trainingCase: TrainingCase;
}

export type DeviceReply =
  | { readonly kind: "trained"; readonly outcome: TrainingOutcome }
  | { readonly kind: "unusable"; readonly reason: string }
  | { readonly kind: "failed"; readonly reason: string };

async function answer({ provider, trainingCase }: DeviceRequest): Promise<DeviceReply> {
  try {
    await resolveDevice(provider);
  } catch (error) {
    if (error instanceof PenniError) return { kind: "unusable", reason: error.message };
    throw error;
  }
  try {
    return { kind: "trained", outcome: await trainCase(nodeEngine, provider, trainingCase) };
  } catch (error) {
    return { kind: "failed", reason: error instanceof Error ? `${error.stack}` : String(error) };
  }
}

process.once("message", (request: DeviceRequest) => {
  void answer(request).then((reply) =>
    process.send?.(reply, undefined, undefined, () => process.disconnect()),
  );
});
