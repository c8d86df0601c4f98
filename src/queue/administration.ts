import type { Job, Queue } from "bullmq";
import { orDefault } from "../graph/at.js";
import { type QueueAddress, shownAddress, withoutPassword } from "./address.js";
import {
  CONNECT_MS,
  connectionOptions,
  KEY_PREFIX,
  loadBullMq,
  type Purpose,
  QUEUE_NAME,
} from "./libraries.js";
import { trialOfJob } from "./payload.js";
import { checkServer, isAway, type ServerFacts, unreachable, within } from "./server.js";

/** A trial that a worker has. */
export interface RunningTrial {
  readonly trial: string;
  readonly worker: string;
  /** From 1. */
  readonly attempt: number;
  readonly seconds: number;
}

export interface FailedTrial {
  readonly trial: string;
  readonly reason: string;
  readonly attempts: number;
}

export interface QueueStatus {
  /** Without credentials. */
  readonly queue: string;
  readonly server: ServerFacts;
  readonly isPaused: boolean;
  readonly waiting: number;
  /** Failed, and waiting for another attempt. */
  readonly delayed: number;
  readonly running: readonly RunningTrial[];
  readonly done: number;
  readonly failed: readonly FailedTrial[];
  readonly workers: readonly string[];
}

/** Failed trials that are listed. */
const MOST_FAILED = 20;

export const queueActions = ["status", "pause", "resume", "drain"] as const;

export type QueueAction = (typeof queueActions)[number];

/**
 * Does something with a queue and says how it stands then. "pause": no trial is begun, those that run go on; "drain":
 * trials that wait are taken off, and their sweeps stop waiting for them.
 * @throws PenniError "io" naming the queue without its credentials
 */
export async function administer(action: QueueAction, address: QueueAddress): Promise<QueueStatus> {
  const { Queue } = await loadBullMq();
  const server = await checkServer(address);
  const purpose: Purpose = { isOver: false };
  const queue = new Queue(QUEUE_NAME, {
    connection: connectionOptions(address, purpose),
    prefix: KEY_PREFIX,
  });
  queue.on("error", () => undefined);
  try {
    await actions[action](queue);
    return await answered(statusOf(queue, address, server));
  } catch (error) {
    throw unreachable(address, error);
  } finally {
    purpose.isOver = true;
    await answered(queue.disconnect()).catch(() => undefined);
  }
}

/** The server may go away at any moment, and is not waited for here. */
const answered = <Answer>(answer: Promise<Answer>): Promise<Answer> => within(answer, CONNECT_MS);

const actions: Readonly<Record<QueueAction, (queue: Queue) => Promise<void>>> = {
  status: async () => undefined,
  pause: (queue) => answered(queue.pause()),
  resume: (queue) => answered(queue.resume()),
  drain: async (queue) => {
    // One by one: each is told to whoever waits for it.
    for (const id of await answered(queue.getRanges(["wait", "delayed", "prioritized"])))
      await answered(queue.remove(id)).catch((error: unknown) => {
        // What a worker has just taken stays with it.
        if (isAway(error)) throw error;
      });
  },
};

async function statusOf(queue: Queue, address: QueueAddress, server: ServerFacts): Promise<QueueStatus> {
  const [counts, isPaused, active, failed, workers] = await Promise.all([
    queue.getJobCounts(),
    queue.isPaused(),
    jobsOf(queue, "active"),
    jobsOf(queue, "failed", MOST_FAILED),
    queue.getWorkers(),
  ]);
  const count = (...names: readonly string[]): number =>
    names.reduce((sum, name) => sum + orDefault(counts[name], 0), 0);
  const now = Date.now();
  return {
    queue: shownAddress(address),
    server,
    isPaused,
    waiting: count("waiting", "wait", "prioritized", "paused"),
    delayed: count("delayed"),
    running: active.map((job) => ({
      trial: trialName(job),
      worker: orDefault(job.processedBy, "unknown"),
      attempt: job.attemptsMade + 1,
      seconds: Math.max(0, Math.round((now - orDefault(job.processedOn, now)) / 1000)),
    })),
    done: count("completed"),
    failed: failed.map((job) => ({
      trial: trialName(job),
      reason: withoutPassword(orDefault<string>(job.failedReason, "unknown"), address),
      attempts: job.attemptsMade,
    })),
    workers: workerNames(workers, address.db),
  };
}

/** The jobs of a state that are there, and can be read: others than ours may put anything on a queue. */
async function jobsOf(queue: Queue, state: "active" | "failed", most = 0): Promise<readonly Job[]> {
  const ids = await queue.getRanges([state], 0, most - 1);
  const found = ids.map(
    (id): Promise<Job | undefined> =>
      queue.getJob(id).catch((error: unknown) => {
        if (error instanceof SyntaxError) return undefined;
        throw error;
      }),
  );
  return (await Promise.all(found)).filter((job) => job !== undefined);
}

const trialName = ({ id }: Job): string => orDefault(trialOfJob(id), "another's job");

/** Redis lists the clients of all its databases. */
export function workerNames(
  clients: readonly Readonly<Record<string, string>>[],
  db: number,
): readonly string[] {
  // Some servers do not say.
  const own = clients.filter((client) => client.db === undefined || Number(client.db) === db);
  return [...new Set(own.map(({ rawname, name }) => nameOf(orDefault(rawname ?? name, ""))))].sort();
}

/** Connections of workers are called PREFIX:QUEUE:w:NAME. */
const nameOf = (client: string): string => client.replace(/^.*?:w:/, "");
