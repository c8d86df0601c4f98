import { type ChildProcess, fork } from "node:child_process";
import { collectLargeGarbage } from "../../execute/garbage.js";
import { PenniError } from "../../graph/errors.js";
import type { EpochMetrics, EpochTiming, TrainingPlan, TrainingProgress } from "../../train/plan.js";
import type { FromTrainer, ToTrainer } from "./messages.js";

export interface TrainingListener {
  progress?(progress: TrainingProgress): void;
  epoch?(metrics: EpochMetrics): void;
  timing?(timing: EpochTiming): void;
  /** Given the id of the training process before it begins; it waits until this is done. */
  started?(pid: number): Promise<void>;
  /** Something the user should know, in one line. */
  notice?(text: string): void;
}

/**
 * What makes the memory of a training process flat over its hours: without, glibc keeps what sessions that are
 * gone have freed (16 % more after 30 sessions). The user's own settings come first.
 */
export const trainerEnvironment: NodeJS.ProcessEnv = {
  MALLOC_TRIM_THRESHOLD_: "131072",
  MALLOC_ARENA_MAX: "2",
  ...process.env,
};

/** Options of Node.js for a training process: `Workbench.release` collects what it leaves. */
export const trainerFlags: readonly string[] = ["--expose-gc"];

/**
 * Runs a training stage in a process of its own, so that the caller stays responsive and a crash of the
 * runtime cannot take it down. When `signal` is aborted the process writes a checkpoint and ends.
 *
 * @throws PenniError what the stage threw; "interrupted" after an abort; "training" if the process dies
 */
export async function runTraining(
  plan: TrainingPlan,
  listener: TrainingListener = {},
  signal?: AbortSignal,
): Promise<void> {
  // What the stages before have left is not held for as long as this one takes.
  collectLargeGarbage();
  const child = fork(new URL("./process.js", import.meta.url), {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    serialization: "advanced",
    env: trainerEnvironment,
    execArgv: [...process.execArgv, ...trainerFlags],
  });
  const ended = outcome(child, plan, listener, signal);
  // Awaited below; until then a failure waits there.
  ended.catch(() => undefined);
  const tell = (message: ToTrainer): void => {
    if (child.connected) child.send(message);
  };
  const stop = (): void => tell({ kind: "stop" });
  try {
    if (child.pid !== undefined) await listener.started?.(child.pid);
    signal?.addEventListener("abort", stop, { once: true });
    tell({ kind: "start", plan });
    if (signal?.aborted === true) stop();
    await ended;
  } catch (error) {
    // It heeds no milder signal.
    child.kill("SIGKILL");
    await ended.catch(() => undefined);
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

function outcome(
  child: ChildProcess,
  plan: TrainingPlan,
  listener: TrainingListener,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let result: PenniError | "done" | undefined;
    child.on("message", (message: FromTrainer) => {
      if (message.kind === "progress") listener.progress?.(message.progress);
      else if (message.kind === "epoch") listener.epoch?.(message.metrics);
      else if (message.kind === "timing") listener.timing?.(message.timing);
      else if (message.kind === "notice") listener.notice?.(message.text);
      else if (message.kind === "done") result = "done";
      else if (message.kind === "stopped") result = interrupted(plan);
      else result = new PenniError(message.code, message.problem, message.details);
    });
    child.on("error", (error) => {
      // A process that has started and cannot be told something is ending: "close" follows and says how.
      if (child.pid !== undefined) return;
      reject(new PenniError("training", `cannot start the training process: ${error.message}`));
    });
    // Not "exit", which may come before the last messages.
    child.on("close", (code, killer) => {
      if (result === "done") resolve();
      else if (result !== undefined) reject(result);
      else void endOf(plan, code, killer, signal).then(reject);
    });
  });
}

/** Signals that a terminal or the system sends to a process and all that it has started. */
const toAll: ReadonlySet<NodeJS.Signals | null> = new Set(["SIGINT", "SIGTERM"]);

/** How long after the training process the parent may hear of a signal to both. */
const GRACE_MS = 1000;

/** What a process that said nothing died of: while it loads it does not heed signals yet, and one to all ends it. */
async function endOf(
  plan: TrainingPlan,
  code: number | null,
  killer: NodeJS.Signals | null,
  signal: AbortSignal | undefined,
): Promise<PenniError> {
  if (signal === undefined || !toAll.has(killer) || !(await isAborted(signal))) return died(code, killer);
  return new PenniError("interrupted", `stopped at the start of stage "${plan.stage}"`);
}

function isAborted(signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(true);
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), GRACE_MS);
    const yes = (): void => {
      clearTimeout(timer);
      resolve(true);
    };
    signal.addEventListener("abort", yes, { once: true });
  });
}

function interrupted(plan: TrainingPlan): PenniError {
  return new PenniError("interrupted", `stopped in stage "${plan.stage}"; a checkpoint is written`);
}

function died(code: number | null, killer: NodeJS.Signals | null): PenniError {
  return new PenniError("training", "the training process ended unexpectedly", {
    found: killer === null ? `exit status ${code}` : `signal ${killer}`,
    advice: "The last checkpoint is kept: run again with --resume",
  });
}
