import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { owned } from "../../support/own_children.js";

export const main = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));

/** Runs a command line of `penni` to its end. @throws Error with what it has said if it fails */
export async function penni(words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<void> {
  const child = owned(
    spawn(process.execPath, [main, ...words], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...env },
    }),
  );
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said = `${said}${chunk.toString()}`.slice(-4000);
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (status !== 0) throw new Error(`penni ${words.join(" ")}: status ${status}\n${said}`);
}

/** Workers of a queue, each a `penni worker`. */
export class Fleet {
  private readonly children: ChildProcess[] = [];
  private readonly waiting: Promise<void>[] = [];

  constructor(
    private readonly url: string,
    /** Where they compute. */
    private readonly folder: string,
    private readonly store: string,
    /** Options of each worker. */
    private readonly words: readonly string[] = [],
  ) {}

  grow(): void {
    const words = ["--store", this.store, "--work", path.join(this.folder, "work"), ...this.words];
    const child = owned(
      spawn(process.execPath, [main, "worker", ...words], {
        stdio: ["ignore", "ignore", "pipe"],
        env: { ...process.env, PENNI_QUEUE: this.url },
      }),
    );
    const waits = new Promise<void>((resolve, reject) => {
      let said = "";
      child.once("close", () => reject(new Error(`a worker has ended:\n${said.slice(-4000)}`)));
      child.stderr.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes("waiting for a sweep")) resolve();
      });
    });
    // Only of interest to who asks for it.
    waits.catch(() => undefined);
    this.waiting.push(waits);
    this.children.push(child);
  }

  /** Until all wait for the sweep, which makes the store. */
  async ready(): Promise<void> {
    await Promise.all(this.waiting);
  }

  /** Kills the one that is there for longest, and starts another. */
  kill(): void {
    this.children.shift()?.kill("SIGKILL");
    this.grow();
  }

  async end(): Promise<void> {
    const ended = this.children
      .filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
      .map((child) => new Promise((resolve) => child.once("exit", resolve)));
    for (const child of this.children) child.kill("SIGTERM");
    await Promise.all(ended);
  }
}
