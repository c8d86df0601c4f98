import { parentPort, workerData } from "node:worker_threads";
import { type BatchPlan, batchMemory, writeBatch } from "./batches.js";
import type { BatchRequest } from "./prefetch.js";

// The other end of `prefetch`: writes the batches it is asked for and hands them over.
const plan: BatchPlan = workerData;
parentPort?.on("message", ({ index, buffers }: BatchRequest) => {
  const batch = writeBatch(plan, index, buffers);
  parentPort?.postMessage(batch, batchMemory(batch));
});
