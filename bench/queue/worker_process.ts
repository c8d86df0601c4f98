import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Compute } from "../../src/queue/computation.js";
import type { Workshop } from "../../src/queue/perform.js";
import { fakeSummary } from "../../support/fake_trials.js";
import { owned } from "../../support/own_children.js";
import { startWorker } from "../../support/queue.js";

/** Ends at once with a run that is as small as one can be. */
const nothing: Compute = (words) => {
  const root = words[words.indexOf("-o") + 1] ?? "";
  mkdirSync(root);
  writeFileSync(path.join(root, "config.json"), "{}");
  writeFileSync(path.join(root, "summary.json"), JSON.stringify(fakeSummary({ basis: 3, l1: 0.3 })));
  return {
    ended: Promise.resolve({ status: 0, signal: null, said: "" }),
    stop: () => undefined,
    kill: () => undefined,
  };
};

/** What a worker of a measurement does with its trials: "fake" ones are processes that wait (`support/fake_trial.ts`). */
const workshops = {
  nothing: { compute: nothing },
  fake: { lookMs: 500, uploadMs: 15_000 },
} as const satisfies Readonly<Record<string, Partial<Workshop>>>;

export type WorkerKind = keyof typeof workshops;

export const isWorkerKind = (name: string): name is WorkerKind => Object.hasOwn(workshops, name);

const READY = "ready";
const CPU = "cpu ";

/**
 * A worker in this process, with the times that `penni worker` has by default, until SIGTERM. Prints what it says, and
 * at its end the CPU that it took, in milliseconds.
 */
export async function serve(kind: WorkerKind, store: string, jobs: number, name: string): Promise<void> {
  const print = (line: string): boolean => process.stdout.write(`${line}\n`);
  const url = process.env.PENNI_QUEUE ?? "";
  const notice = kind === "fake" ? { notice: print } : {};
  const workshop = { ...workshops[kind], ...notice, worker: name };
  const worker = await startWorker(url, store, { jobs, lostAfterMs: 90_000, workshop });
  const before = process.cpuUsage();
  process.once("SIGTERM", () => worker.leave());
  print(READY);
  await worker.report;
  const { user, system } = process.cpuUsage(before);
  print(`${CPU}${(user + system) / 1000}`);
}

/** A worker in a process of its own. */
export class WorkerProcess {
  private said = "";
  private readonly ended: Promise<void>;

  private constructor(private readonly child: ChildProcess) {
    child.stdout?.on("data", (chunk: Buffer) => {
      this.said += chunk.toString();
    });
    this.ended = new Promise((resolve) => child.once("close", () => resolve()));
  }

  /** Ready to take trials. */
  static async start(
    kind: WorkerKind,
    url: string,
    store: string,
    jobs: number,
    name = "worker",
  ): Promise<WorkerProcess> {
    const script = fileURLToPath(new URL("../queue.js", import.meta.url));
    const words = ["worker", "--kind", kind, "--store", store, "--jobs", `${jobs}`, "--name", name];
    const child = spawn(process.execPath, [script, ...words], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, PENNI_QUEUE: url },
    });
    const worker = new WorkerProcess(owned(child));
    await new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", () => reject(new Error("the worker has ended")));
      child.stdout.on("data", () => {
        if (worker.lines.includes(READY)) resolve();
      });
    });
    return worker;
  }

  /** What it has said so far. */
  get lines(): readonly string[] {
    return this.said.split("\n").slice(0, -1);
  }

  /** @returns the CPU that it took, in milliseconds */
  async end(): Promise<number> {
    this.child.kill("SIGTERM");
    await this.ended;
    return Number(this.lines.find((line) => line.startsWith(CPU))?.slice(CPU.length));
  }
}
