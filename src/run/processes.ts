import { readFileSync } from "node:fs";

/** A process that can be told from a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in the system's own units; absent where the system (any but Linux) does not say. */
  readonly started?: string | undefined;
}

export function identify(pid: number): ProcessIdentity {
  return { pid, started: readStatus(pid)?.started };
}

/** Tells one boot of this machine from the next; undefined where the system does not say. */
export function bootIdentity(): string | undefined {
  return readText("/proc/sys/kernel/random/boot_id")?.trim();
}

/** Whether a process of this machine and boot is still running; a number that another one has now does not count. */
export function isRunning({ pid, started }: ProcessIdentity): boolean {
  if (!exists(pid)) return false;
  const status = readStatus(pid);
  if (status === undefined) return true;
  return !status.hasEnded && (started === undefined || status.started === started);
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // Anything but "no such process" means that there is one which is not ours.
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}

interface Status {
  /** Ended, but not yet collected by its parent. */
  readonly hasEnded: boolean;
  readonly started: string | undefined;
}

/** Linux's /proc/PID/stat: "pid (name) state ...", the start time in field 22; the name may hold anything. */
function readStatus(pid: number): Status | undefined {
  const text = readText(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { hasEnded: fields[0] === "Z" || fields[0] === "X", started: fields[19] };
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
