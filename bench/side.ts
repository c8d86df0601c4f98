import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { z } from "zod";
import { PenniError } from "../src/graph/errors.js";

const answerSchema = z.object({ milliseconds: z.array(z.number()) });

/** A process that runs training steps when asked, one of the sides of a comparison. */
export class Side {
  private constructor(
    private readonly name: string,
    private readonly child: ChildProcess,
    private readonly lines: AsyncIterator<string>,
    private readonly closed: Promise<unknown>,
  ) {}

  /**
   * Starts a side and waits until its warm-up is done.
   * @throws PenniError "training" if it ends before
   */
  static async start(
    name: string,
    program: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = process.env,
  ): Promise<Side> {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"], env });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const closed = new Promise((resolve) => child.once("close", resolve));
    const side = new Side(name, child, lines, closed);
    await side.answer();
    return side;
  }

  /** Runs steps; returns the milliseconds of each. @throws PenniError "training" if the process ends */
  async run(steps: number): Promise<readonly number[]> {
    this.child.stdin?.write(`${steps}\n`);
    return this.answer();
  }

  /** Largest resident memory of the whole process so far; undefined where the system does not tell (no /proc). */
  peakMiB(): number | undefined {
    return processMiB(this.child.pid, "VmHWM");
  }

  /** Ends the process. */
  async stop(): Promise<void> {
    this.child.stdin?.end();
    await this.closed;
  }

  private async answer(): Promise<readonly number[]> {
    const line = await this.lines.next();
    if (line.done !== true) return answerSchema.parse(JSON.parse(line.value)).milliseconds;
    await this.closed;
    throw new PenniError("training", `the process of ${this.name} ended unexpectedly`, {
      found: `exit status ${this.child.exitCode}, signal ${this.child.signalCode}`,
      advice: "What it printed stands above",
    });
  }
}

/** A line of /proc/PID/status in MiB: VmHWM is the peak, VmRSS the present resident memory. */
export function processMiB(pid: number | undefined, field: "VmHWM" | "VmRSS"): number | undefined {
  const file = `/proc/${pid}/status`;
  if (!existsSync(file)) return undefined;
  const line = new RegExp(`^${field}:\\s*(\\d+) kB`, "m").exec(readFileSync(file, "utf8"));
  return line === null ? undefined : Number(line[1]) / 1024;
}
