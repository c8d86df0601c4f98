/**
 * What the queue itself costs, with a redis-server of its own:
 * `node dist/bench/queue.js throughput [--trials 1000] [--jobs 16] [--idle 20]`: trials that compute nothing, from a
 * runner through Redis and the store to a worker and back; commands and bytes of Redis per trial and of idle workers.
 * `node dist/bench/queue.js engine [--trials 2000] [--jobs 16]`: the same without store and files: Redis and BullMQ alone.
 * `node dist/bench/queue.js chaos [--trials 6] [--workers 2] [--every 20] [--model FILE --data SPEC]`: trials on workers
 * that are killed (SIGKILL) in turn, with Redis restarted twice, against the same trials undisturbed. Ends with status 1
 * where a network differs.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Queue, QueueEvents, Worker } from "bullmq";
import { Redis } from "ioredis";
import { queueAddress } from "../src/queue/address.js";
import type { Compute } from "../src/queue/computation.js";
import { connectionOptions, KEY_PREFIX, QUEUE_NAME } from "../src/queue/libraries.js";
import { checkVersions, JOB_NAME, jobIdOf, readPayload } from "../src/queue/payload.js";
import { openQueueRunner } from "../src/queue/queue_runner.js";
import type { Trial, TrialOutcome } from "../src/sweep/trial.js";
import { ownVersions, startWorker, TrialMaker, WatchedEpochs } from "../support/queue.js";
import { TestRedis } from "../support/redis_server.js";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    trials: { type: "string" },
    jobs: { type: "string", default: "16" },
    idle: { type: "string", default: "20" },
    workers: { type: "string", default: "2" },
    every: { type: "string", default: "20" },
    model: { type: "string" },
    data: { type: "string", default: "synthetic:2000" },
  },
});
const folder = mkdtempSync(path.join(tmpdir(), "penni-bench-queue-"));
const main = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const print = (line: string): boolean => process.stdout.write(`${line}\n`);

/** Ends at once with a run that is as small as one can be. */
const nothing: Compute = (words) => {
  const root = words[words.indexOf("-o") + 1] ?? "";
  mkdirSync(root);
  writeFileSync(path.join(root, "config.json"), "{}");
  writeFileSync(path.join(root, "summary.json"), "{}");
  return {
    ended: Promise.resolve({ status: 0, signal: null, said: "" }),
    stop: () => undefined,
    kill: () => undefined,
  };
};

/** What a server has done so far. */
interface Work {
  readonly commands: ReadonlyMap<string, number>;
  readonly inBytes: number;
  readonly outBytes: number;
  readonly cpuSeconds: number;
}

async function workOf(client: Redis): Promise<Work> {
  const sections = ["stats", "commandstats", "cpu"] as const;
  const [stats = "", commands = "", cpu = ""] = await Promise.all(sections.map((name) => client.info(name)));
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:([\\d.]+)`, "m").exec(`${stats}\n${cpu}`)?.[1]);
  return {
    commands: new Map(
      [...commands.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)].map(([, name = "", calls]) => [
        name,
        Number(calls),
      ]),
    ),
    inBytes: field("total_net_input_bytes"),
    outBytes: field("total_net_output_bytes"),
    cpuSeconds: field("used_cpu_user") + field("used_cpu_sys"),
  };
}

/** Commands that clients send; what scripts call within Redis is counted apart. */
const SENT = new Set([
  "evalsha",
  "eval",
  "bzpopmin",
  "xread",
  "info",
  "client",
  "hgetall",
  "hmget",
  "exists",
  "ping",
]);

function describeWork(before: Work, after: Work, units: number): string {
  const all = [...after.commands].map(
    ([name, calls]) => [name, (calls - (before.commands.get(name) ?? 0)) / units] as const,
  );
  const shown = all.filter(([, calls]) => calls >= 0.05).sort((a, b) => b[1] - a[1]);
  const sum = (isSent: boolean): string =>
    all.reduce((total, [name, calls]) => total + (SENT.has(name) === isSent ? calls : 0), 0).toFixed(1);
  const bytes = (from: number, to: number): string => ((to - from) / units).toFixed(0);
  return [
    `${sum(true)} commands sent, ${sum(false)} more within scripts`,
    `${((1000 * (after.cpuSeconds - before.cpuSeconds)) / units).toFixed(2)} ms of Redis's CPU`,
    `${bytes(before.inBytes, after.inBytes)} bytes to Redis, ${bytes(before.outBytes, after.outBytes)} from it`,
    shown.map(([name, calls]) => `${name} ${calls.toFixed(2)}`).join(", "),
  ].join("; ");
}

async function throughput(): Promise<void> {
  const count = Number(options.trials ?? 1000);
  const jobs = Number(options.jobs);
  const redis = await TestRedis.start();
  const client = new Redis(redis.url);
  const maker = new TrialMaker(path.join(folder, "sweep"));
  await maker.prepare();
  const runner = await openQueueRunner({ url: redis.url, store: path.join(folder, "store"), places: jobs });
  const worker = await startWorker(redis.url, path.join(folder, "store"), {
    jobs,
    lostAfterMs: 90_000,
    workshop: { compute: nothing },
  });
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
  print(
    `${((user + system) / 1000 / count).toFixed(2)} ms of CPU per trial in the process of runner and worker`,
  );
  print(`per trial: ${describeWork(before, await workOf(client), count)}`);
  const memory = await client.info("memory");
  print(`Redis: ${/used_memory_human:(\S+)/.exec(memory)?.[1]}`);
  await runner.close();
  const idle = Number(options.idle);
  const quiet = await workOf(client);
  await sleep(1000 * idle);
  print(`an idle worker, per second: ${describeWork(quiet, await workOf(client), idle)}`);
  worker.leave();
  await worker.report;
  client.disconnect();
  await redis.end();
}

/** Jobs as a sweep puts them on the queue, checked as a worker checks them, and nothing besides. */
async function engine(): Promise<void> {
  const count = Number(options.trials ?? 2000);
  const jobs = Number(options.jobs);
  const own = ownVersions();
  const redis = await TestRedis.start();
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
    const payload = { format: 1, trial, document: trial, versions: own };
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

class Fleet {
  private readonly children: ChildProcess[] = [];
  private next = 0;

  constructor(
    private readonly url: string,
    private readonly store: string,
  ) {}

  grow(): void {
    const words = ["--store", this.store, "--work", path.join(folder, "work"), "--lost-after", "5"];
    const child = spawn(process.execPath, [main, "worker", ...words, "--checkpoint-every", "1"], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, PENNI_QUEUE: this.url },
    });
    this.children.push(child);
  }

  /** Kills one of them, each in turn, and starts another. */
  kill(): void {
    const [child] = this.children.splice(this.next++ % this.children.length, 1);
    child?.kill("SIGKILL");
    this.grow();
  }

  async end(): Promise<void> {
    const ended = this.children.map((child) => new Promise((resolve) => child.once("exit", resolve)));
    for (const child of this.children) child.kill("SIGTERM");
    await Promise.all(ended);
  }
}

/** The digests of the networks of all trials. */
async function fleetRun(name: string, disturb: boolean): Promise<readonly string[]> {
  const count = Number(options.trials ?? 6);
  const redis = await TestRedis.start();
  const store = path.join(folder, `store-${name}`);
  const maker = new TrialMaker(path.join(folder, name));
  await maker.prepare();
  const runner = await openQueueRunner({ url: redis.url, store, notice: print });
  const fleet = new Fleet(redis.url, store);
  for (let index = 0; index < Number(options.workers); index++) fleet.grow();
  const trials = Array.from({ length: count }, (_, index) =>
    maker.real({
      ...(options.model === undefined ? {} : { model: path.resolve(options.model) }),
      data: options.data,
      targetMacs: 0.75 + 0.01 * index,
      threads: 1,
      checkpointSeconds: 1,
    }),
  );
  const started = performance.now();
  const ended = Promise.all(
    trials.map((trial) => runner.run(trial, maker.directory(trial), new WatchedEpochs())),
  );
  const isOver = ended.then(() => true);
  for (let kills = 1; disturb; kills++) {
    if (await Promise.race([isOver, sleep(1000 * Number(options.every)).then(() => false)])) break;
    fleet.kill();
    if (kills > 2) continue;
    await redis.down();
    await sleep(3000);
    await redis.up();
    print("  Redis was restarted");
  }
  const outcomes = await ended;
  print(
    `${name}: ${((performance.now() - started) / 1000).toFixed(0)} s, ${outcomes.map(statusOf).join(", ")}`,
  );
  await runner.close();
  await fleet.end();
  await redis.end();
  return trials.map((trial) => networkOf(maker, trial));
}

const statusOf = ({ status }: TrialOutcome): string => status;

function networkOf(maker: TrialMaker, trial: Trial): string {
  const file = path.join(maker.directory(trial), "stages/shrink.onnx");
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

async function chaos(): Promise<void> {
  const plain = await fleetRun("undisturbed", false);
  const disturbed = await fleetRun("disturbed", true);
  const different = plain.filter((digest, index) => digest !== disturbed[index]);
  print(`${different.length} of ${plain.length} networks differ`);
  if (different.length > 0) process.exitCode = 1;
}

const [what = "throughput"] = positionals;
try {
  if (what === "throughput") await throughput();
  else if (what === "engine") await engine();
  else if (what === "chaos") await chaos();
  else throw new Error(`expected throughput, engine or chaos, found ${what}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
