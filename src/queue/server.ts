import { PenniError } from "../graph/errors.js";
import { type QueueAddress, shownAddress, withoutPassword } from "./address.js";
import { Missing, type Patience, whenThere } from "./awaiting.js";
import { CONNECT_MS, connectionOptions, loadIoRedis } from "./libraries.js";

/** What a queue's server says of itself. */
export interface ServerFacts {
  readonly version: string;
  readonly usedMemoryBytes: number;
  /** Milliseconds by which this machine's clock is before the server's; negative: behind it. */
  readonly clockAheadMs: number;
}

/** By what clocks of workers may differ from the server's, stated in docs/scale.md. */
const MOST_AHEAD_MS = 30_000;

/**
 * When a trial that has failed or was refused is tried again goes by the clocks of workers: one that is far ahead would
 * keep it from all others.
 * @throws PenniError "io" if this machine's clock is not the server's
 */
export function checkClock({ clockAheadMs }: ServerFacts, address: QueueAddress): void {
  if (Math.abs(clockAheadMs) <= MOST_AHEAD_MS) return;
  const seconds = Math.round(Math.abs(clockAheadMs) / 1000);
  throw new PenniError("io", "the clock of this machine is not that of the queue's server", {
    file: shownAddress(address),
    expected: `at most ${MOST_AHEAD_MS / 1000} s between them`,
    found: `${seconds} s ${clockAheadMs > 0 ? "ahead" : "behind"}`,
    advice: "Set the one that is wrong, best by NTP on all machines: timedatectl set-ntp true",
  });
}

/**
 * Finds out whether the queue can be reached and lets us in; takes 10 s at most.
 * @throws PenniError "io" that names the address without its credentials
 */
export async function checkServer(address: QueueAddress): Promise<ServerFacts> {
  try {
    return await facts(address);
  } catch (error) {
    throw unreachable(address, error);
  }
}

/**
 * Waits until the queue's server is there: one that starts later than this, or that is restarted just now.
 * @returns undefined where the bell has rung before
 * @throws PenniError "io" when the time is over, or at once for what no waiting mends: a password that is wrong, a host
 *   that does not exist, something that is no Redis
 */
export async function awaitServer(
  address: QueueAddress,
  patience: Patience,
): Promise<ServerFacts | undefined> {
  const shown = shownAddress(address);
  const started = performance.now();
  const isHopeless = (error: unknown): boolean =>
    !isComing(error) || (isUnresolved(error) && performance.now() - started > NAMING_MS);
  const look = async (): Promise<ServerFacts | Missing> => {
    try {
      return await facts(address);
    } catch (error) {
      if (isHopeless(error)) throw unreachable(address, error);
      const reason = withoutPassword(problemOf(error), address);
      const hint = speaksOtherwise(reason) ? `; ${OTHER_PROTOCOL}` : "";
      return new Missing(`${shown} is not there yet (${reason}${hint}): waiting`, (after) =>
        unreachable(address, error, after),
      );
    }
  };
  return whenThere(look, `${shown} is there`, patience);
}

/** A server that takes the connection and ends it may be about to start, or speak TLS where this does not. */
const speaksOtherwise = (reason: string): boolean => /closed|ECONNRESET|EPIPE/i.test(reason);
const OTHER_PROTOCOL = "if it speaks TLS, its address begins with rediss://";

/** A machine that has just been started may not know names yet; without a network it never will. */
const NAMING_MS = 20_000;
const isUnresolved = (error: unknown): boolean => /EAI_AGAIN/.test(problemOf(error));

/** @throws the client's own error, which may hold the password */
async function facts(address: QueueAddress): Promise<ServerFacts> {
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
  const asked = async (): Promise<ServerFacts> => {
    await client.connect();
    // Otherwise one that does not exist is passed over, and everything goes into the first.
    await client.select(address.db);
    const before = Date.now();
    const [seconds, microseconds] = await client.time();
    const between = (before + Date.now()) / 2;
    const clockAheadMs = Math.round(between - 1000 * Number(seconds) - Number(microseconds) / 1000);
    const info = await client.info();
    const field = (name: string): string | undefined =>
      new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1];
    return {
      version: field("redis_version") ?? "unknown",
      usedMemoryBytes: Number(field("used_memory")),
      clockAheadMs,
    };
  };
  try {
    return await within(asked(), CONNECT_MS);
  } catch (error) {
    throw first ?? error;
  } finally {
    client.disconnect();
  }
}

const NO_ANSWER = "no answer";

/** @throws Error that says that there was no answer in time */
export async function within<Answer>(answer: Promise<Answer>, milliseconds: number): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(NO_ANSWER)), milliseconds);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

interface Trouble {
  readonly said: RegExp;
  readonly problem: string;
  readonly advice: string;
}

/** What a person can do about a server that does not take us. */
const troubles: readonly Trouble[] = [
  {
    said: /NOAUTH|WRONGPASS|NOPERM|invalid password/i,
    problem: "the queue does not let us in",
    advice: "Check user and password",
  },
  {
    said: /ENOTFOUND|EAI_AGAIN/,
    problem: "the queue cannot be reached",
    advice: "Nobody here knows a host of that name: check the address",
  },
  {
    said: /DB index/i,
    problem: "the queue's server has no such database",
    advice: "Check the number at the end of the address",
  },
  {
    said: /Protocol error|unknown command/i,
    problem: "what answers there is no Redis",
    advice: "Check host and port (rediss:// for TLS)",
  },
];

const AWAY: Omit<Trouble, "said"> = {
  problem: "the queue cannot be reached",
  advice: "Check that redis-server runs there and that the address is right (rediss:// for TLS)",
};

/** Never with the error itself as its cause: that holds the command, and the password in it. */
export function unreachable(address: QueueAddress, error: unknown, after = ""): PenniError {
  const found = withoutPassword(problemOf(error), address);
  const { problem, advice } = troubles.find(({ said }) => said.test(found)) ?? AWAY;
  return new PenniError("io", after === "" ? problem : `${problem} ${after}`, {
    file: shownAddress(address),
    found,
    advice,
  });
}

/** What is wrong, in words; errors of Node.js that stand for several have none of their own. */
export function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const all = error instanceof AggregateError ? error.errors.map(problemOf).join(", ") : error.message;
  const code: unknown = "code" in error ? error.code : undefined;
  const text = typeof code === "string" && !all.includes(code) ? `${all} ${code}`.trim() : all;
  return text === "" ? NO_ANSWER : text;
}

/** Whether an error says that Redis is away, which ends by itself. */
export function isAway(error: unknown): boolean {
  return isComing(error) || /ENOTFOUND/.test(problemOf(error));
}

/** As `isAway` before it was ever there: a name that nobody knows is taken for a mistake then. */
function isComing(error: unknown): boolean {
  return /ECONN|EPIPE|ETIMEDOUT|EAI_AGAIN|EHOST|ENETUN|ENETDOWN|closed|disconnected|LOADING|max retries|max number of clients|no answer/i.test(
    problemOf(error),
  );
}
