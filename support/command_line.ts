import { Writable } from "node:stream";
import { runCommandLine } from "../src/cli/program.js";

/** How a command line ended and what it printed. */
export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

class Collector extends Writable {
  text = "";
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

/** Runs a command line of `penni` in this process, for a terminal of so many columns if they are given. */
export async function penni(args: readonly string[], columns?: number): Promise<Outcome> {
  const [stdout, stderr] = [new Collector(), new Collector()];
  const before = process.env.COLUMNS;
  if (columns === undefined) delete process.env.COLUMNS;
  else process.env.COLUMNS = `${columns}`;
  const status = await runCommandLine(args, stdout, stderr);
  if (before === undefined) delete process.env.COLUMNS;
  else process.env.COLUMNS = before;
  return { status, stdout: stdout.text, stderr: stderr.text };
}
