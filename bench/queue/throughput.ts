import { createHash } from "node:crypto";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Queue, QueueEvents, Worker } from "bullmq";
import { Redis } from "ioredis";
import { queueAddress } from "../../src/queue/address.js";
import { connectionOptions, KEY_PREFIX, QUEUE_NAME } from "../../src/queue/libraries.js";
import { checkVersions, JOB_NAME, jobIdOf, readPayload } from "../../src/queue/payload.js";
import { openQueueRunner } from "../../src/queue/queue_runner.js";
import { ownVersions, TrialMaker, WatchedEpochs } from "../../support/queue.js";
import { TestRedis } from "../../support/redis_server.js";
import { describeWork, workOf } from "./server_work.js";
import { WorkerProcess } from "./worker_process.js";

export interface ThroughputOptions {
  readonly folder: string;
  readonly trials: number;
  /** At a time. */
  readonly jobs: number;
  /** Seconds for which an idle worker is looked at. */
  readonly idle: number;
  readonly print: (line: string) => void;
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
  const worker = await WorkerProcess.start("nothing", redis.url, store, jobs);
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
