import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { writeFileAtomic } from "../files/atomic.js";
import { orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { RunLock } from "../run/lock.js";
import { JOURNAL, readSweep, SWEEP } from "../sweep/directory.js";
import { describeProgress, progressOf } from "../sweep/progress.js";
import { resultsOf, type TrialRow } from "../sweep/results.js";
import { escapeHtml, type Html, html } from "../text/destinations.js";
import { comparisonPage } from "./comparison_page.js";
import { RunReader, type RunReport } from "./data/run.js";
import { counted } from "./format.js";
import type { LiveSource } from "./live_server.js";
import { linked } from "./plot.js";
import { problemNotes } from "./run_page.js";
import type { LivePage, ReportSection } from "./shell.js";
import { REPORT } from "./sources.js";

/**
 * The page on a sweep: the curves of its trials' runs, each point linked to the run's own page, and what became of every
 * trial. Made again and again, it reads each run once: what is done does not change.
 */
export class SweepSource implements LiveSource {
  private readonly reports = new Map<string, Promise<RunReport>>();

  /** @param folder where the page is, from where links lead */
  constructor(
    private readonly root: string,
    private readonly folder = path.resolve(root),
  ) {}

  async fingerprint(): Promise<string> {
    const files = [SWEEP, JOURNAL].map(async (name) => {
      const found = await stat(path.join(this.root, name)).catch(() => undefined);
      return `${found?.mtimeMs} ${found?.size}`;
    });
    return JSON.stringify([...(await Promise.all(files)), await isWorkedOn(this.root)]);
  }

  /** @throws PenniError "bad-file" if there is no sweep */
  async page(live?: LivePage): Promise<Html> {
    const { root } = this;
    const record = await readSweep(root);
    const isRunning = await isWorkedOn(root);
    const trials = resultsOf(record).trials.map((trial) => shownTrial(trial, isRunning));
    const shown = trials.flatMap((trial) =>
      trial.status === "done" &&
      trial.sameAs === undefined &&
      trial.run !== undefined &&
      isThere(root, trial.run)
        ? [{ trial, run: trial.run }]
        : [],
    );
    const found = await Promise.all(shown.map((one) => this.read(one)));
    const readable = found.flatMap((one) => ("report" in one ? [one] : []));
    const problems = found.flatMap((one) => ("problem" in one ? [one.problem] : []));
    const linkTo = (run: string): string => pageLink(this.folder, path.resolve(root, run));
    const { spec } = record.frozen;
    const progress = progressOf(spec, record.state);
    const axes = Object.keys(spec.axes);
    const isOver = !isRunning && progress.begun === 0 && progress.left === 0;
    const how = describeProgress(progress, isRunning ? "running" : "paused");
    return comparisonPage(
      readable.map(({ report }) => report),
      live,
      {
        names: readable.map(({ trial }) => `trial ${trial.number}`),
        links: readable.map(({ run }) => linkTo(run)),
        title: `${path.basename(path.resolve(root))}: ${counted(progress.all, "trial")} over ${axes.join(", ")}`,
        eyebrow: "Sweep",
        lead: [...(isOver ? [] : [html`<p>${escapeHtml(`${how}.`)}</p>`]), ...problemNotes(problems)],
        more: [trialsSection(trials, axes, linkTo)],
      },
    );
  }

  /** The pages of trials. */
  async linked(name: string): Promise<string | undefined> {
    if (!TRIAL_PAGE.test(name)) return undefined;
    return readFile(path.join(this.root, name), "utf8").catch(() => undefined);
  }

  /** A run that is damaged takes no more than its own point away. */
  private async read(shown: ShownRun): Promise<ReadRun | { readonly problem: string }> {
    try {
      return { ...shown, report: await this.report(path.join(this.root, shown.run)) };
    } catch (error) {
      if (!(error instanceof PenniError)) throw error;
      return { problem: `trial ${shown.trial.number}: ${error.message}` };
    }
  }

  private report(run: string): Promise<RunReport> {
    const known = this.reports.get(run);
    if (known !== undefined) return known;
    const read = new RunReader(run, false).read();
    this.reports.set(run, read);
    // It may just be replaced: the next page will have it.
    read.catch(() => this.reports.delete(run));
    return read;
  }
}

const TRIAL_PAGE = /^trials\/\d+\/report\.html$/;

/**
 * Writes the page on a sweep.
 * @param file where to; in the sweep's directory by default
 * @returns the file
 * @throws PenniError "bad-file" if there is no sweep
 */
export async function writeSweepReport(root: string, file = path.join(root, REPORT)): Promise<string> {
  const source = new SweepSource(root, path.dirname(path.resolve(file)));
  await writeFileAtomic(file, await source.page());
  return file;
}

async function isWorkedOn(root: string): Promise<boolean> {
  try {
    await RunLock.checkFree(root);
    return false;
  } catch (error) {
    if (error instanceof PenniError) return true;
    throw error;
  }
}

/** What was begun is paused, unless somebody works on it. */
function shownTrial(trial: TrialRow, isRunning: boolean): ShownTrial {
  return trial.status === "paused" && isRunning ? { ...trial, status: "running" } : trial;
}

interface ShownRun {
  readonly trial: ShownTrial;
  readonly run: string;
}

type ReadRun = ShownRun & { readonly report: RunReport };

type ShownTrial = Omit<TrialRow, "status"> & { readonly status: TrialRow["status"] | "running" };

/** A run may have been removed to save space; its figures stay. */
const isThere = (root: string, run: string): boolean => existsSync(path.join(root, run, "config.json"));

/** The page of a run, from the folder that leads to it. */
function pageLink(folder: string, run: string): string {
  const relative = path.relative(folder, path.join(run, REPORT));
  return relative.split(path.sep).map(encodeURIComponent).join("/");
}

const shortValue = (value: string | number | boolean): string =>
  typeof value === "number" ? `${Number(value.toPrecision(4))}` : path.basename(String(value));

/** How a state looks, as those of runs. */
const looks: Readonly<Partial<Record<ShownTrial["status"], string>>> = {
  done: "finished",
  stopped: "stopped",
  running: "running",
};

function statePill({ status, sameAs }: ShownTrial): Html {
  const look = looks[status];
  const text = sameAs === undefined ? status : `as trial ${sameAs}`;
  return html`<span class="${escapeHtml(look === undefined ? "pill" : `pill ${look}`)}">${escapeHtml(text)}</span>`;
}

function trialsSection(
  trials: readonly ShownTrial[],
  axes: readonly string[],
  linkTo: (run: string) => string,
): ReportSection {
  const hasFailures = trials.some(({ reason }) => reason !== undefined);
  const rows = trials.map((trial): Html => {
    const { number, values, status, run, reason } = trial;
    const cells = axes.map((axis) => {
      const value = values[axis];
      return html`<td>${escapeHtml(value === undefined ? "\u2013" : shortValue(value))}</td>`;
    });
    const why = hasFailures ? html`<td class="text">${escapeHtml(orDefault(reason, ""))}</td>` : html``;
    const link = run === undefined || status !== "done" ? undefined : linkTo(run);
    return html`<tr><th scope="row">${linked(`${number}`, link)}</th>${cells}<td class="text">${statePill(trial)}</td>${why}</tr>`;
  });
  const headings = axes.map((axis) => html`<th scope="col">${escapeHtml(axis)}</th>`);
  return {
    id: "trials",
    title: "All trials",
    body: html`<div class="card"><div class="scroll" tabindex="0" role="region" aria-label="Table of all trials"><table>
<caption class="hidden">Trials with what they were given and what became of them</caption>
<thead><tr><th scope="col">Trial</th>${headings}<th scope="col" class="text">State</th>${hasFailures ? html`<th scope="col" class="text">Why it failed</th>` : html``}</tr></thead>
<tbody>
${rows}
</tbody>
</table></div></div>`,
  };
}
