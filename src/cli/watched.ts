import { PenniError } from "../graph/errors.js";
import type { RunDirectory } from "../run/directory.js";
import type { Summary } from "../run/summary.js";
import { type Reporting, reported } from "./reported.js";
import { type RunView, runView } from "./run_view.js";
import { exitAfter, onStop, StoppedError, type StopSignal } from "./stopping.js";
import type { Output } from "./terminal.js";

/**
 * Does long work under a live view. The first Ctrl-C or SIGTERM aborts the signal that the work gets, so that it stops
 * cleanly; the second ends the process. A terminal that is closed ends nothing: Node.js forgets that `nohup` or a shell
 * had asked for that, so it is always so.
 */
export async function watched<Result>(
  output: Output,
  work: (view: RunView, signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const view = runView(output);
  const controller = new AbortController();
  let stopped: StopSignal | undefined;
  const release = onStop((signal) => {
    view.stop();
    if (stopped !== undefined) exitAfter(signal);
    stopped = signal;
    output.write(`${stopNotice[signal]}\n`);
    controller.abort();
  });
  try {
    return await outlivingTerminal(() => work(view, controller.signal));
  } catch (error) {
    const isStopped = stopped !== undefined && error instanceof PenniError && error.code === "interrupted";
    throw isStopped ? new StoppedError(error, stopped ?? "SIGINT") : error;
  } finally {
    view.stop();
    release();
  }
}

/** Does work that goes on when the terminal is closed, also before there is anything to watch. */
export async function outlivingTerminal<Result>(work: () => Promise<Result>): Promise<Result> {
  process.on("SIGHUP", goOn);
  try {
    return await work();
  } finally {
    process.off("SIGHUP", goOn);
  }
}

function goOn(): void {}

const stopNotice: Readonly<Record<StopSignal, string>> = {
  SIGINT: "stopping after this step; press Ctrl-C again to stop at once",
  SIGTERM: "asked to end: stopping after this step; a second signal ends at once",
};

/** Compresses in a run directory and reports on it; where that stops early, the error says how to go on. */
export async function compressRun(
  run: RunDirectory,
  view: RunView,
  signal: AbortSignal,
  reporting: Reporting,
): Promise<Summary> {
  const { compress } = await import("../run/pipeline.js");
  return advising(`Go on with: penni compress --resume ${run.root}`, () =>
    reported(run, view, reporting, (listener) => compress(run, listener, signal)),
  );
}

/** Does work; where it is interrupted, a training fails or a file cannot be written, the error ends with this advice. */
export async function advising<Result>(advice: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PenniError)) throw error;
    const { code, problem, details } = error;
    if (code !== "interrupted" && code !== "training" && code !== "io") throw error;
    const first = code === "io" && details.advice !== undefined ? `${details.advice}. ` : "";
    throw new PenniError(code, problem, { ...details, advice: `${first}${advice}` }, { cause: error });
  }
}
