import path from "node:path";
import type { Command } from "commander";
import { messageOf } from "../graph/errors.js";
import type { RunView } from "./run_view.js";

/** How a run is reported on. */
export interface Reporting {
  /** The words of the command line, without "penni". */
  readonly words: readonly string[];
  /** Whether the report is shown in a browser while the run goes on. */
  readonly isOpened: boolean;
}

/** The words that a command was called with, without "penni". */
export function wordsOf(command: Command): readonly string[] {
  const root: Command & { readonly rawArgs?: unknown } = outermost(command);
  return Array.isArray(root.rawArgs) ? root.rawArgs.map(String) : [];
}

function outermost(command: Command): Command {
  return command.parent === null ? command : outermost(command.parent);
}

/** What of a run a report is about. */
interface ReportedRun {
  readonly root: string;
  readonly config: { readonly versions: { readonly penni: string } };
}

/**
 * Does the work of a run and keeps the run's `report.html` up to date meanwhile. A report that cannot be made is no
 * reason for a run to fail: that is said, once.
 */
export async function reported<Result>(
  run: ReportedRun,
  view: RunView,
  { words, isOpened }: Reporting,
  work: (listener: RunView) => Promise<Result>,
): Promise<Result> {
  const [{ ReportKeeper }, { REPORT }] = await Promise.all([
    import("../report/keeper.js"),
    import("../report/sources.js"),
  ]);
  let hasFailed = false;
  const failed = (error: unknown): void => {
    if (!hasFailed) view.notice?.(`no report: ${messageOf(error)}`);
    hasFailed = true;
  };
  const keeper = await ReportKeeper.start(run.root, words, run.config.versions.penni, failed);
  keeper.renew();
  const server = isOpened
    ? await openServed(keeper.source, (text) => view.notice?.(text)).catch(failed)
    : undefined;
  try {
    return await work({
      ...view,
      stage: (name) => {
        view.stage(name);
        keeper.renew();
      },
      epoch: (metrics) => {
        view.epoch?.(metrics);
        keeper.renew();
      },
    });
  } finally {
    await keeper.finish();
    if (!hasFailed) view.notice?.(`report: ${path.join(run.root, REPORT)}`);
    await server?.close();
    await keeper.close();
  }
}

type LiveSource = import("../report/live_server.js").LiveSource;
type LiveServer = import("../report/live_server.js").LiveServer;

/** Serves a report on this machine and opens it. @param say told where it is */
export async function openServed(source: LiveSource, say: (text: string) => void): Promise<LiveServer> {
  const [{ LiveServer }, { openBrowser }] = await Promise.all([
    import("../report/live_server.js"),
    import("../report/open_browser.js"),
  ]);
  const server = await LiveServer.start(source);
  say(`the report is at ${server.url}`);
  if (!(await openBrowser(server.url))) say("no browser could be opened: open that address yourself");
  return server;
}
