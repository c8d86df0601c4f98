import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { owned } from "./own_children.js";

/** For `test(name, { skip: withoutRedis }, ...)`: false, or the reason to skip. */
export const withoutRedis: string | false =
  spawnSync("redis-server", ["--version"]).status === 0 ? false : "needs redis-server (Debian: redis-server)";

/** Below those that a system gives to connections, which could take one before its server is up (again). */
const PORTS = { low: 15_000, high: 32_000 };

/** A port of this machine that nobody listens at. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(PORTS.low, PORTS.high);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

export interface TestRedisOptions {
  readonly password?: string;
  /** When its file is brought to the disk: with every command, so that a kill loses none, or as most servers do. */
  readonly fsync?: "always" | "everysec";
  /** Files of a certificate for 127.0.0.1: the server speaks TLS only. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** A redis-server of a test's own, with its append-only file in a folder of its own. */
export class TestRedis {
  private child: ChildProcess | undefined;

  private constructor(
    readonly port: number,
    private readonly folder: string,
    private readonly options: TestRedisOptions,
  ) {}

  static async start(options: TestRedisOptions = {}): Promise<TestRedis> {
    const redis = await TestRedis.later(options);
    await redis.up();
    return redis;
  }

  /** One that is not there before `up`, but has its address. */
  static async later(options: TestRedisOptions = {}): Promise<TestRedis> {
    return new TestRedis(await freePort(), mkdtempSync(path.join(tmpdir(), "penni-redis-")), options);
  }

  get url(): string {
    return this.database(0);
  }

  /** Its address, with one of its databases: what is in one is nothing to those of another. */
  database(index: number): string {
    const { tls, password } = this.options;
    const user = password === undefined ? "" : `:${encodeURIComponent(password)}@`;
    return `${tls === undefined ? "redis" : "rediss"}://${user}127.0.0.1:${this.port}/${index}`;
  }

  /** Starts the server, again after `down`. */
  async up(): Promise<void> {
    const { password, tls, fsync = "always" } = this.options;
    const words = [
      ...(tls === undefined
        ? ["--port", `${this.port}`]
        : ["--port", "0", "--tls-port", `${this.port}`, "--tls-auth-clients", "no"]),
      ...(tls === undefined ? [] : ["--tls-cert-file", tls.cert, "--tls-key-file", tls.key]),
      ...(tls === undefined ? [] : ["--tls-ca-cert-file", tls.cert]),
      ...["--bind", "127.0.0.1", "--dir", this.folder, "--save", "", "--appendonly", "yes"],
      ...["--appendfsync", fsync, "--daemonize", "no", "--databases", "64"],
      ...(password === undefined ? [] : ["--requirepass", password]),
    ];
    const child = owned(spawn("redis-server", words, { stdio: ["ignore", "pipe", "pipe"] }));
    this.child = child;
    let output = "";
    let hasEnded = false;
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.on("exit", () => {
      hasEnded = true;
    });
    while (!output.includes("Ready to accept connections")) {
      if (hasEnded) throw new Error(`redis-server ended:\n${output}`);
      await sleep(10);
    }
  }

  /** Kills the server; `up` brings it back with what it had. */
  async down(): Promise<void> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  /** Forgets everything that the server had; only when it is down. */
  forget(): void {
    rmSync(path.join(this.folder, "appendonlydir"), { recursive: true, force: true });
  }

  async end(): Promise<void> {
    await this.down();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
