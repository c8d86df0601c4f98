import { type ChildProcess, fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Failure, Report, Task } from "./protocol.js";

/** The most processor time of one case. The clock on the wall would call cases slow on a busy machine. */
const LIMIT_SECONDS = 5;
/** A case may also wait for something that never comes; on a busy machine it gets little of the processor. */
const LIMIT_WALL_SECONDS = 300;
const POLL_MS = 500;
const HEAP_MEGABYTES = 1024;
/** A process is replaced after this many cases, so that memory of one is not taken for that of another. */
const CASES_PER_PROCESS = 500;
/** Clock ticks per second in /proc, on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

const script = fileURLToPath(new URL("case_process.js", import.meta.url));

/** Processor time of a process so far, in seconds; the wall clock's where the system does not tell. */
function processorSeconds(pid: number | undefined): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return performance.now() / 1000;
  }
}

/** Runs cases in a process that is thrown away when one of them hangs or kills it. */
export class CaseRunner {
  private child: ChildProcess | undefined;
  private count = 0;

  stop(): void {
    this.child?.kill("SIGKILL");
    this.child = undefined;
    this.count = 0;
  }

  run(task: Task): Promise<Report> {
    if (this.count >= CASES_PER_PROCESS) this.stop();
    this.count += 1;
    this.child ??= fork(script, [], {
      execArgv: [`--max-old-space-size=${HEAP_MEGABYTES}`],
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    const { child } = this;
    return new Promise((resolve) => {
      const end = (report: Report): void => {
        clearInterval(timer);
        child.off("message", end).off("exit", onExit);
        if (report.kind === "failed") this.stop();
        resolve(report);
      };
      const onExit = (status: number | null, signal: string | null): void =>
        end(failure("crash", `the process died: ${signal ?? `status ${status}`}`));
      const [started, begun] = [processorSeconds(child.pid), performance.now()];
      const timer = setInterval(() => {
        const seconds = processorSeconds(child.pid) - started;
        const wall = (performance.now() - begun) / 1000;
        if (seconds > LIMIT_SECONDS) end(failure("hang", `no answer after ${seconds.toFixed(1)} s`));
        else if (wall > LIMIT_WALL_SECONDS) end(failure("hang", `it waits, for ${Math.round(wall)} s now`));
      }, POLL_MS);
      child.on("message", end).on("exit", onExit);
      child.send(task);
    });
  }
}

function failure(signature: string, problem: string): Failure {
  return { kind: "failed", signature, problem };
}
