import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { projectRoot } from "./shared.js";

/** The command line: as compiled, or, under `npm test`, as it is published. */
export const penniMain = path.join(projectRoot, "dist", process.env.PENNI_TEST_MAIN ?? "src/cli/main.js");

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A `penni` command in a process group of its own. */
export class PenniProcess {
  readonly ended: Promise<Ended>;
  private readonly child: ChildProcess;
  private readonly text = { stdout: "", stderr: "" };
  private hasEnded = false;

  /** @param environment beside this process's own */
  constructor(args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
    const env = { ...process.env, ...environment };
    this.child = spawn(process.execPath, [penniMain, ...args], { detached: true, env });
    const { text } = this;
    for (const name of ["stdout", "stderr"] as const) {
      this.child[name]?.on("data", (chunk: Buffer) => {
        text[name] += chunk.toString();
      });
    }
    this.ended = new Promise((resolve, reject) => {
      this.child.on("error", reject);
      this.child.on("close", (status, signal) => {
        this.hasEnded = true;
        resolve({ status, signal, ...text });
      });
    });
  }

  /** Waits until `condition` holds or the process has ended; whether the condition holds. */
  async until(condition: () => boolean): Promise<boolean> {
    while (!this.hasEnded) {
      if (condition()) return true;
      await sleep(5);
    }
    return condition();
  }

  /** What it has said on stderr so far. */
  get output(): string {
    return this.text.stderr;
  }

  get id(): number {
    return this.child.pid ?? 0;
  }

  signal(name: NodeJS.Signals): void {
    if (!this.hasEnded && this.id > 0) process.kill(this.id, name);
  }

  signalGroup(name: NodeJS.Signals): void {
    if (!this.hasEnded && this.id > 0) process.kill(-this.id, name);
  }

  /** The training process that this command has started; undefined if there is none. Linux only. */
  get trainerId(): number | undefined {
    const list = `/proc/${this.id}/task/${this.id}/children`;
    const [first = ""] = existsSync(list) ? readFileSync(list, "utf8").trim().split(" ") : [];
    return first === "" ? undefined : Number(first);
  }

  /** Kills the training process; false if there is none. Linux only. */
  killTrainer(): boolean {
    const id = this.trainerId;
    if (id === undefined) return false;
    process.kill(id, "SIGKILL");
    return true;
  }
}
