import { type ChildProcess, spawn } from "node:child_process";
import { at } from "../graph/at.js";
import { QUEUE_VARIABLE } from "./address.js";

/** How a command line ended. */
export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last line that it said of an error. */
  readonly said: string;
}

/** A command line of `penni` at work. */
export interface Computation {
  readonly ended: Promise<Ended>;
  /** Asks it to end with a checkpoint. */
  stop(): void;
  /** Ends it at once, with all its processes. */
  kill(): void;
}

/** Starts a command line of `penni` in a folder. */
export type Compute = (words: readonly string[], folder: string) => Computation;

const LONGEST_OUTPUT = 8192;
const hasGroups = process.platform !== "win32";

/**
 * Runs command lines in processes of their own: what happens there neither keeps this one from answering nor ends it.
 * They end when this process does, of whatever: the channel between them is closed then.
 * @param command the program and its first words
 */
export function inProcess(command: readonly string[]): Compute {
  return (words, folder) => {
    const child = spawn(at(command, 0), [...command.slice(1), ...words], {
      cwd: folder,
      // A terminal's Ctrl-C is for this process, which asks for the stop.
      detached: hasGroups,
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      env: withoutQueue(process.env),
    });
    return {
      ended: endOf(child),
      stop: () => void child.kill("SIGTERM"),
      kill: () => killGroup(child),
    };
  };
}

/** What it does not know it cannot tell. */
function withoutQueue({ [QUEUE_VARIABLE]: _, ...others }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return others;
}

function endOf(child: ChildProcess): Promise<Ended> {
  let output = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    output = `${output}${chunk.toString()}`.slice(-LONGEST_OUTPUT);
  });
  return new Promise((resolve) => {
    child.on("error", (error) => resolve({ status: null, signal: null, said: error.message }));
    child.on("close", (status, signal) => resolve({ status, signal, said: lastLine(output) }));
  });
}

function lastLine(output: string): string {
  const line = output.trimEnd().split("\n").at(-1);
  return line === undefined ? "" : line.replace(/^penni: /, "");
}

function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(hasGroups ? -pid : pid, "SIGKILL");
  } catch {
    // It has just ended.
  }
}
