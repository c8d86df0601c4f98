import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Queue, QueueEvents, Worker } from "bullmq";
import { Redis } from "ioredis";
import { queueAddress } from "../../src/queue/address.js";
import type { Compute } from "../../src/queue/computation.js";
import { connectionOptions, KEY_PREFIX, QUEUE_NAME } from "../../src/queue/libraries.js";
import { checkVersions, JOB_NAME, jobIdOf, readPayload } from "../../src/queue/payload.js";
import { openQueueRunner } from "../../src/queue/queue_runner.js";
import { fakeSummary } from "../../support/fake_trials.js";
import { owned } from "../../support/own_children.js";
import { ownVersions, startWorker, TrialMaker, WatchedEpochs } from "../../support/queue.js";
import { TestRedis } from "../../support/redis_server.js";
import { describeWork, workOf } from "./server_work.js";

export interface ThroughputOptions {
  readonly folder: string;
  readonly trials: number;
  /** At a time. */
  readonly jobs: number;
  /** Seconds for which an idle worker is looked at. */
  readonly idle: number;
  readonly print: (line: string) => void;
}

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

/** A worker in this process whose trials compute nothing, until SIGTERM; prints the CPU that it took, in milliseconds. */
export async function idleWorker(store: string, jobs: number): Promise<void> {
  const url = process.env.PENNI_QUEUE ?? "";
  const worker = await startWorker(url, store, { jobs, lostAfterMs: 90_000, workshop: { compute: nothing } });
  const before = process.cpuUsage();
  process.once("SIGTERM", () => worker.leave());
  process.stdout.write("ready\n");
  await worker.report;
  const { user, system } = process.cpuUsage(before);
  process.stdout.write(`${(user + system) / 1000}\n`);
}

/** From a runner through Redis and the store to a worker in a process of its own and back. */
export async function throughput({
  folder,
  trials: count,
  jobs,
  idle,
  print,
}: ThroughputOptions): Promise<void> {
  const redis = await TestRedis.start({ fsync: "everysec" });
  const client = new Redis(redis.url);
  const store = path.join(folder, "store");
  const maker = new TrialMaker(path.join(folder, "sweep"));
  await maker.prepare();
  const runner = await openQueueRunner({ url: redis.url, store, places: jobs });
  const worker = await startProcess(redis.url, store, jobs);
  const trials = Array.from({ length: count }, (_, index) => maker.real({ seed: index }));
  const before = await workOf(client);
  const started = performance.now();
  const cpu = process.cpuUsage();
  const left = [...trials];
  const lane = async (): Promise<void> => {
    for (let trial = left.pop(); trial !== undefined; trial = left.pop()) {
      const outcome = await runner.run(trial, maker.directory(trial), new WatchedEpochs());
      if (outcome.status !== "done") throw new Error(JSON.stringify(outcome));
    }
  };
  await Promise.all(Array.from({ length: 2 * jobs }, lane));
  const seconds = (performance.now() - started) / 1000;
  print(
    `${count} trials in ${seconds.toFixed(2)} s: ${(count / seconds).toFixed(0)} trials/s, ${jobs} at a time`,
  );
  const { user, system } = process.cpuUsage(cpu);
  print(`${((user + system) / 1000 / count).toFixed(2)} ms of CPU per trial in the sweep's process`);
  print(`per trial: ${describeWork(before, await workOf(client), count)}`);
  const memory = await client.info("memory");
  print(`Redis: ${/used_memory_human:(\S+)/.exec(memory)?.[1]}`);
  await runner.close();
  const quiet = await workOf(client);
  await sleep(1000 * idle);
  print(`an idle worker, per second: ${describeWork(quiet, await workOf(client), Math.max(idle, 1))}`);
  print(`${((await worker.end()) / count).toFixed(2)} ms of CPU per trial in the worker's process`);
  client.disconnect();
  await redis.end();
}

async function startProcess(
  url: string,
  store: string,
  jobs: number,
): Promise<{ readonly end: () => Promise<number> }> {
  const script = fileURLToPath(new URL("../queue.js", import.meta.url));
  const child = owned(
    spawn(process.execPath, [script, "idle-worker", "--store", store, "--jobs", `${jobs}`], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, PENNI_QUEUE: url },
    }),
  );
  let said = "";
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => reject(new Error("the worker has ended")));
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (said.startsWith("ready")) resolve();
    });
  });
  const end = async (): Promise<number> => {
    child.kill("SIGTERM");
    await ended;
    return Number(said.split("\n")[1]);
  };
  return { end };
}

/** Jobs as a sweep puts them on the queue, checked as a worker checks them, and nothing besides. */
export async function engine({
  trials: count,
  jobs,
  print,
}: Pick<ThroughputOptions, "trials" | "jobs" | "print">): Promise<void> {
  const own = ownVersions();
  const redis = await TestRedis.start({ fsync: "everysec" });
  const client = new Redis(redis.url);
  const connection = { connection: connectionOptions(queueAddress(redis.url)), prefix: KEY_PREFIX };
  const queue = new Queue(QUEUE_NAME, { ...connection, streams: { events: { maxLen: 1000 } } });
  const events = new QueueEvents(QUEUE_NAME, connection);
  await events.waitUntilReady();
  const worker = new Worker(
    QUEUE_NAME,
    async (job) => {
      checkVersions(readPayload(job).versions, own, "bench");
      return { status: "done" };
    },
    { ...connection, concurrency: jobs },
  );
  await worker.waitUntilReady();
  const before = await workOf(client);
  const started = performance.now();
  const finished = new Promise<void>((resolve) => {
    let left = count;
    events.on("completed", () => {
      left -= 1;
      if (left === 0) resolve();
    });
  });
  for (let index = 0; index < count; index++) {
    const trial = createHash("sha256").update(`${index}`).digest("hex");
    const payload = { format: 1, trial, document: trial, versions: own, store: trial.slice(0, 32) };
    const added = queue.add(JOB_NAME, payload, { jobId: jobIdOf(trial), attempts: 3 });
    if (index % jobs === 0) await added;
  }
  await finished;
  const seconds = (performance.now() - started) / 1000;
  print(`engine: ${count} trials in ${seconds.toFixed(2)} s: ${(count / seconds).toFixed(0)} trials/s`);
  print(`per trial: ${describeWork(before, await workOf(client), count)}`);
  await Promise.all([worker.close(), events.close(), queue.close()]);
  client.disconnect();
  await redis.end();
}
