import { Worker } from "node:worker_threads";
import { PenniError } from "../graph/errors.js";
import { allocateBatch, type Batch, type BatchBuffers, type BatchPlan, batchMemory } from "./batches.js";

/** Batches in flight: one that the caller works on and two that are ready or in preparation. */
const RING = 3;

/** What the worker is asked to do: write batch number `index` into these buffers, which become its own. */
export interface BatchRequest {
  readonly index: number;
  readonly buffers: BatchBuffers;
}

/**
 * The batches of a plan, the same as `batches` gives, prepared in advance by a worker thread, so that they
 * are ready when a blocking run of the runtime returns. Leaving the loop early stops the worker; a worker
 * that nobody waits for does not keep the process alive.
 *
 * The images are read from shared memory, but the buffers of batches are handed back and forth
 * (transferred): onnxruntime-node refuses tensors over shared memory. So a batch's arrays are detached
 * (length 0) as soon as the next batch is asked for.
 */
export async function* prefetch(plan: BatchPlan): AsyncGenerator<Batch, void, undefined> {
  if (plan.firstBatch >= plan.endBatch) return;
  const worker = new BatchWorker(plan);
  try {
    for (let ahead = 0; ahead < RING; ahead += 1) {
      worker.request(plan.firstBatch + ahead, allocateBatch(plan));
    }
    for (let index = plan.firstBatch; index < plan.endBatch; index += 1) {
      const batch = await worker.next();
      yield batch;
      worker.request(index + RING, batch);
    }
  } finally {
    await worker.stop();
  }
}

interface Waiter {
  readonly resolve: (batch: Batch) => void;
  readonly reject: (cause: Error) => void;
}

/** A worker thread that makes batches, in the order in which they are asked for. */
class BatchWorker {
  readonly #worker: Worker;
  readonly #endBatch: number;
  readonly #ready: Batch[] = [];
  #waiter: Waiter | undefined;
  #failure: Error | undefined;

  constructor(plan: BatchPlan) {
    this.#endBatch = plan.endBatch;
    // Without execArgv the worker inherits options such as --input-type, which it cannot start with.
    const options = { workerData: plan, execArgv: [] };
    this.#worker = new Worker(new URL("./prefetch_worker.js", import.meta.url), options);
    this.#worker.unref();
    this.#worker.on("message", (batch: Batch) => this.#receive(batch));
    this.#worker.on("error", (cause) => this.#fail(cause));
    this.#worker.on("exit", (code) => this.#fail(stopped(code)));
  }

  /** Asks for a batch, handing the buffers over; does nothing beyond the end of the epoch. */
  request(index: number, { images, labels }: BatchBuffers): void {
    if (index >= this.#endBatch) return;
    const request: BatchRequest = { index, buffers: { images, labels } };
    this.#worker.postMessage(request, batchMemory(request.buffers));
  }

  next(): Promise<Batch> {
    const batch = this.#ready.shift();
    if (batch !== undefined) return Promise.resolve(batch);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    // Referenced only while somebody waits, or the process would end in the middle of the wait.
    this.#worker.ref();
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }

  #receive(batch: Batch): void {
    const waiter = this.#takeWaiter();
    if (waiter === undefined) this.#ready.push(batch);
    else waiter.resolve(batch);
  }

  #fail(cause: Error): void {
    this.#failure ??= cause;
    this.#takeWaiter()?.reject(cause);
  }

  #takeWaiter(): Waiter | undefined {
    const waiter = this.#waiter;
    if (waiter === undefined) return undefined;
    this.#waiter = undefined;
    this.#worker.unref();
    return waiter;
  }
}

function stopped(code: number): PenniError {
  return new PenniError("internal", "the thread that prepares batches has stopped", {
    found: `exit code ${code}`,
  });
}
