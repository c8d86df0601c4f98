import { Worker } from "node:worker_threads";
import type { Html } from "../text/destinations.js";
import type { LiveSource } from "./live_server.js";
import type { PageAnswer, PageRequest } from "./page_worker.js";
import type { LivePage } from "./shell.js";
import { ReportSource } from "./sources.js";

interface Waiting {
  readonly resolve: (page: Html) => void;
  readonly reject: (error: Error) => void;
}

/** Pages that a thread makes: reading and counting a large network takes seconds, in which a run has to go on. */
export class WorkerSource implements LiveSource {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, Waiting>();
  private readonly files: ReportSource;
  private asked = 0;
  private ended: Error | undefined;

  /** @param roots directories of runs. `close` ends the thread, which would keep the process alive. */
  constructor(roots: readonly string[]) {
    this.files = new ReportSource(roots);
    this.worker = new Worker(new URL("./page_worker.js", import.meta.url), { workerData: roots });
    this.worker.on("message", (answer: PageAnswer) => this.take(answer));
    this.worker.on("error", (error) => this.fail(error));
    this.worker.on("exit", () => this.fail(new Error("the thread that makes pages has ended")));
  }

  fingerprint(): Promise<string> {
    return this.files.fingerprint();
  }

  page(live?: LivePage): Promise<Html> {
    if (this.ended !== undefined) return Promise.reject(this.ended);
    const request: PageRequest = { id: this.asked++, live };
    return new Promise((resolve, reject) => {
      this.waiting.set(request.id, { resolve, reject });
      this.worker.postMessage(request);
    });
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }

  private take(answer: PageAnswer): void {
    const waiting = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    // What the thread has made is what `page` would have made here.
    if ("page" in answer) waiting?.resolve(answer.page as Html);
    else waiting?.reject(new Error(answer.problem));
  }

  private fail(error: Error): void {
    this.ended ??= error;
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}
