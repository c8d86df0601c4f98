import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { QueueEvents } from "bullmq";
import { Redis } from "ioredis";
import { queueAddress } from "../../src/queue/address.js";
import { connectionOptions, KEY_PREFIX, QUEUE_NAME } from "../../src/queue/libraries.js";
import { jobIdOf } from "../../src/queue/payload.js";
import { openQueueRunner } from "../../src/queue/queue_runner.js";
import type { Trial, TrialOutcome } from "../../src/sweep/trial.js";
import { TrialMaker, WatchedEpochs } from "../../support/queue.js";
import { TestRedis } from "../../support/redis_server.js";
import { WorkerProcess } from "./worker_process.js";

/** Faults of which the tests only have shorter ones, with the times that users have. */
export interface TrueScaleOptions {
  readonly folder: string;
  readonly print: (line: string) => void;
}

const NAMES = ["first", "second"] as const;

/** What a queue has told of its jobs. */
class Told {
  private readonly counts = new Map<string, number>();
  private readonly events: QueueEvents;

  constructor(url: string) {
    const connection = connectionOptions(queueAddress(url));
    this.events = new QueueEvents(QUEUE_NAME, { connection, prefix: KEY_PREFIX });
    // Redis is away for a while.
    this.events.on("error", () => undefined);
    for (const name of ["completed", "stalled", "failed"] as const)
      this.events.on(name, () => this.counts.set(name, this.of(name) + 1));
  }

  async ready(): Promise<void> {
    await this.events.waitUntilReady();
  }

  of(name: "completed" | "stalled" | "failed"): number {
    return this.counts.get(name) ?? 0;
  }

  async close(): Promise<void> {
    await this.events.close();
  }
}

/** Two workers, a sweep's runner and what the queue tells, on a Redis of their own. */
class Scene {
  private constructor(
    readonly redis: TestRedis,
    readonly maker: TrialMaker,
    readonly workers: readonly WorkerProcess[],
    readonly told: Told,
    private readonly runner: Awaited<ReturnType<typeof openQueueRunner>>,
    readonly notices: readonly string[],
  ) {}

  static async open(folder: string, jobs: number): Promise<Scene> {
    const redis = await TestRedis.start();
    const maker = new TrialMaker(path.join(folder, "sweep"));
    await maker.prepare();
    const store = path.join(folder, "store");
    const notices: string[] = [];
    const notice = (text: string): void => void notices.push(text);
    const runner = await openQueueRunner({ url: redis.url, store, notice });
    const told = new Told(redis.url);
    await told.ready();
    const workers = await Promise.all(
      NAMES.map((name) => WorkerProcess.start("fake", redis.url, store, jobs, name)),
    );
    return new Scene(redis, maker, workers, told, runner, notices);
  }

  run(trial: Trial): Promise<TrialOutcome> {
    return this.runner.run(trial, this.maker.directory(trial), new WatchedEpochs());
  }

  /** Whether a trial was begun once, and each of its epochs computed once. */
  isUndisturbed(trial: Trial, epochs: number): boolean {
    const all = this.maker.log(trial).map((line) => line.split(" ")[0]);
    return all.join() === ["begin", ...Array.from({ length: epochs }, () => "epoch")].join();
  }

  /** @returns the CPU that the workers took, in milliseconds */
  async close(): Promise<readonly number[]> {
    await this.runner.close();
    const cpu = await Promise.all(this.workers.map((worker) => worker.end()));
    await this.told.close();
    await this.redis.end();
    return cpu;
  }
}

const expected = (isSo: boolean, what: string): string => {
  if (!isSo) process.exitCode = 1;
  return `${isSo ? "as it must be" : "NOT AS IT MUST BE"}: ${what}`;
};

const isDone = (outcome: TrialOutcome): boolean =>
  outcome.status === "done" && outcome.provenance.attempts === 1;

/** Redis is away while trials run, end and wait. */
export async function outage({
  folder,
  seconds,
  print,
}: TrueScaleOptions & { readonly seconds: number }): Promise<void> {
  const scene = await Scene.open(folder, 2);
  const BEFORE = 5;
  // Two that end while it is away, two that go on through it, and two that wait meanwhile.
  const lengths = [0.5, 0.5, 1.5, 1.5, 0.2, 0.2].map((share) => BEFORE + Math.ceil(share * seconds));
  const trials = lengths.map((epochs) => scene.maker.fake({ epochs, milliseconds: 1000 }));
  const outcomes = trials.map((trial) => scene.run(trial));
  const begun = (): number => trials.filter((trial) => scene.maker.log(trial).length > 0).length;
  while (begun() < 4) await sleep(100);
  await sleep(1000 * BEFORE);
  print(`${begun()} trials run; Redis goes away for ${seconds} s`);
  await scene.redis.down();
  await sleep(1000 * seconds);
  const during = trials.filter((trial, index) => scene.isUndisturbed(trial, lengths[index] ?? 0)).length;
  print(`Redis comes back; ${during} trials have come to their end meanwhile`);
  await scene.redis.up();
  const ended = await Promise.all(outcomes);
  // For events that are on their way.
  await sleep(2000);
  const once = trials.filter((trial, index) => scene.isUndisturbed(trial, lengths[index] ?? 0)).length;
  const { told } = scene;
  print(
    expected(
      ended.every(isDone),
      `${ended.filter(isDone).length} of ${trials.length} trials done at the first attempt`,
    ),
  );
  print(expected(once === trials.length, `${once} begun once, and each epoch computed once`));
  print(
    expected(
      told.of("stalled") + told.of("failed") === 0,
      `${told.of("stalled")} stalled, ${told.of("failed")} failed`,
    ),
  );
  print(
    expected(told.of("completed") === trials.length, `${told.of("completed")} were told to be completed`),
  );
  const waiting = scene.workers.filter(({ lines }) =>
    [/is away .*: waiting$/, /is back$/].every((said) => lines.some((line) => said.test(line))),
  ).length;
  print(
    expected(waiting === NAMES.length, `${waiting} workers said that Redis was away, and that it was back`),
  );
  print(`the sweep said: ${scene.notices.join("; ")}`);
  await scene.close();
}

const LOOK_MS = 2000;

/** A trial whose process does not let anything else happen for as long as it takes. */
export async function long({
  folder,
  minutes,
  print,
}: TrueScaleOptions & { readonly minutes: number }): Promise<void> {
  const scene = await Scene.open(folder, 1);
  const client = new Redis(scene.redis.url);
  const trial = scene.maker.fake({ epochs: 1, milliseconds: 60_000 * minutes, isBlocking: true });
  const started = performance.now();
  const outcome = scene.run(trial);
  const lock = `${KEY_PREFIX}:${QUEUE_NAME}:${jobIdOf(trial.id)}:lock`;
  let hasEnded = false;
  void outcome.then(() => {
    hasEnded = true;
  });
  while ((await client.pttl(lock)) < 0 && !hasEnded) await sleep(100);
  print(`a trial of ${minutes} minutes has begun`);
  let least = Number.POSITIVE_INFINITY;
  let longest = 0;
  for (let before = performance.now(); !hasEnded; await sleep(LOOK_MS)) {
    const now = performance.now();
    longest = Math.max(longest, now - before);
    before = now;
    const left = await client.pttl(lock);
    // It is released at the very end.
    if (scene.maker.log(trial).length < 2) least = Math.min(least, left);
  }
  const ended = await outcome;
  const took = (performance.now() - started) / 60_000;
  const { told } = scene;
  print(expected(isDone(ended), `${ended.status} at the first attempt after ${took.toFixed(1)} minutes`));
  print(expected(scene.isUndisturbed(trial, 1), "begun once, by one of two workers"));
  print(expected(told.of("stalled") === 0, `${told.of("stalled")} times marked stalled`));
  print(expected(least > 0, `its lock of 90 s never had less than ${(least / 1000).toFixed(1)} s left`));
  // A machine that is stopped meanwhile has lost the lock without a fault of the queue.
  print(
    `between two looks at it, ${LOOK_MS / 1000} s apart, there were ${(longest / 1000).toFixed(1)} s at most`,
  );
  client.disconnect();
  const cpu = await scene.close();
  print(`the workers took ${cpu.map((one) => `${(one / 1000).toFixed(1)} s`).join(" and ")} of CPU`);
}
