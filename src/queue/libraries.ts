import { isIP } from "node:net";
import { PenniError } from "../graph/errors.js";
import { type QueueAddress, shownAddress, withoutPassword } from "./address.js";

/** All trials of a Redis database wait in one queue. */
export const QUEUE_NAME = "trials";
export const KEY_PREFIX = "penni";

const CONNECT_MS = 10_000;
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

const loadIoRedis = () => loaded("ioredis", () => import("ioredis"));

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
  readonly retryStrategy: (times: number) => number;
}

/** How to connect: for as long as it takes, once a queue was there. */
export function connectionOptions(address: QueueAddress): Connection {
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
    retryStrategy: (times) => Math.min(100 * times, LONGEST_PAUSE_MS),
  };
}

/** What a queue's server says of itself. */
export interface ServerFacts {
  readonly version: string;
  readonly usedMemoryBytes: number;
}

/**
 * Finds out whether the queue can be reached and lets us in.
 * @throws PenniError "io" that names the address without its credentials
 */
export async function checkServer(address: QueueAddress): Promise<ServerFacts> {
  const { Redis } = await loadIoRedis();
  const client = new Redis({
    ...connectionOptions(address),
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    retryStrategy: () => null,
  });
  let first: unknown;
  client.on("error", (error) => {
    first ??= error;
  });
  try {
    await client.connect();
    const info = await client.info();
    const field = (name: string): string | undefined =>
      new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1];
    return { version: field("redis_version") ?? "unknown", usedMemoryBytes: Number(field("used_memory")) };
  } catch (error) {
    throw unreachable(address, first ?? error);
  } finally {
    client.disconnect();
  }
}

/** Never with the error itself as its cause: that holds the command, and the password in it. */
function unreachable(address: QueueAddress, error: unknown): PenniError {
  const message = withoutPassword(error instanceof Error ? error.message : String(error), address);
  const isRefused = /NOAUTH|WRONGPASS|NOPERM|invalid password/i.test(message);
  return new PenniError("io", isRefused ? "the queue does not let us in" : "the queue cannot be reached", {
    file: shownAddress(address),
    found: message === "" ? "no answer" : message,
    advice: isRefused
      ? "Check user and password"
      : "Check that redis-server runs there and that the address is right (rediss:// for TLS)",
  });
}

/** Whether an error says that Redis is away, which ends by itself. */
export function isAway(error: unknown): boolean {
  const message = error instanceof Error ? error.message : String(error);
  return /ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOST|ENET|Connection is closed|closed|LOADING|max retries/i.test(
    message,
  );
}
