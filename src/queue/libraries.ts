import { isIP } from "node:net";
import { PenniError } from "../graph/errors.js";
import type { QueueAddress } from "./address.js";

/** All trials of a Redis database wait in one queue. */
export const QUEUE_NAME = "trials";
export const KEY_PREFIX = "penni";

/** A server that has said nothing by then does not answer. */
export const CONNECT_MS = 10_000;
const LONGEST_PAUSE_MS = 2000;

/** What is used of BullMQ. */
type BullMq = Pick<
  typeof import("bullmq"),
  "Queue" | "QueueEvents" | "Worker" | "DelayedError" | "UnrecoverableError" | "WaitingError"
>;

/** @throws PenniError "unsupported" where they are not installed: one machine needs neither */
export async function loadBullMq(): Promise<BullMq> {
  await loadIoRedis();
  return loaded("bullmq", () => import("bullmq"));
}

export const loadIoRedis = () => loaded("ioredis", () => import("ioredis"));

async function loaded<Module>(name: string, load: () => Promise<Module>): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "ERR_MODULE_NOT_FOUND" && code !== "MODULE_NOT_FOUND") throw error;
    throw new PenniError("unsupported", `the package ${name}, which queues need, is not installed`, {
      expected: "bullmq 6.7 or later, ioredis 5.11 or later",
      advice: "Install them: npm install bullmq ioredis",
    });
  }
}

interface Connection {
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: { readonly servername?: string };
  readonly connectTimeout: number;
  readonly maxRetriesPerRequest: null;
  readonly retryStrategy: (times: number) => number | null;
}

/** What connections are for. Those of a server that is away try on until it is over, and keep the process alive. */
export interface Purpose {
  isOver: boolean;
}

/** How to connect: for as long as it takes, once a queue was there. */
export function connectionOptions(address: QueueAddress, purpose: Purpose = { isOver: false }): Connection {
  const { host, port, db, username, password, isTls } = address;
  return {
    host,
    port,
    db,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(isTls ? { tls: isIP(host) === 0 ? { servername: host } : {} } : {}),
    connectTimeout: CONNECT_MS,
    maxRetriesPerRequest: null,
    retryStrategy: (times) => (purpose.isOver ? null : Math.min(100 * times, LONGEST_PAUSE_MS)),
  };
}
