import { existsSync } from "node:fs";
import path from "node:path";
import { writeFileAtomic } from "../files/atomic.js";
import { readSweep } from "../sweep/directory.js";
import { resultsOf, type TrialRow } from "../sweep/results.js";
import { escapeHtml, type Html, html } from "../text/destinations.js";
import { comparisonPage } from "./comparison_page.js";
import { RunReader } from "./data/run.js";
import { counted } from "./format.js";
import { linked } from "./plot.js";
import type { ReportSection } from "./shell.js";
import { REPORT } from "./sources.js";

/**
 * Writes the page on a sweep: the curves of its trials' runs, each point linked to the run's own page, and what became
 * of every trial.
 * @param file where to; in the sweep's directory by default
 * @returns the file
 * @throws PenniError "bad-file" if there is no sweep
 */
export async function writeSweepReport(root: string, file = path.join(root, REPORT)): Promise<string> {
  const record = await readSweep(root);
  const { trials } = resultsOf(record);
  const shown = trials.flatMap((trial) =>
    trial.status === "done" &&
    trial.sameAs === undefined &&
    trial.run !== undefined &&
    isThere(root, trial.run)
      ? [{ trial, run: trial.run }]
      : [],
  );
  const reports = await Promise.all(
    shown.map(({ run }) => new RunReader(path.join(root, run), false).read()),
  );
  const linkTo = (run: string): string => pageLink(path.dirname(path.resolve(file)), path.resolve(root, run));
  const axes = Object.keys(record.frozen.spec.axes);
  const page = comparisonPage(reports, undefined, {
    names: shown.map(({ trial }) => `trial ${trial.number}`),
    links: shown.map(({ run }) => linkTo(run)),
    title: `${path.basename(path.resolve(root))}: ${counted(trials.length, "trial")} over ${axes.join(", ")}`,
    eyebrow: "Sweep",
    more: [trialsSection(trials, axes, linkTo)],
  });
  await writeFileAtomic(file, page);
  return file;
}

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
const looks: Readonly<Partial<Record<TrialRow["status"], string>>> = { done: "finished", stopped: "stopped" };

function statePill({ status, sameAs }: TrialRow): Html {
  const look = looks[status];
  const text = sameAs === undefined ? status : `as trial ${sameAs}`;
  return html`<span class="${escapeHtml(look === undefined ? "pill" : `pill ${look}`)}">${escapeHtml(text)}</span>`;
}

function trialsSection(
  trials: readonly TrialRow[],
  axes: readonly string[],
  linkTo: (run: string) => string,
): ReportSection {
  const rows = trials.map((trial): Html => {
    const { number, values, status, run, reason } = trial;
    const cells = axes.map((axis) => {
      const value = values[axis];
      return html`<td>${escapeHtml(value === undefined ? "\u2013" : shortValue(value))}</td>`;
    });
    const link = run === undefined || status !== "done" ? undefined : linkTo(run);
    return html`<tr><th scope="row">${linked(`${number}`, link)}</th>${cells}<td>${statePill(trial)}</td><td class="text">${escapeHtml(reason === undefined ? "" : reason)}</td></tr>`;
  });
  const headings = axes.map((axis) => html`<th scope="col">${escapeHtml(axis)}</th>`);
  return {
    id: "trials",
    title: "All trials",
    body: html`<div class="card"><div class="scroll" tabindex="0" role="region" aria-label="Table of all trials"><table>
<caption class="hidden">Trials with what they were given and what became of them</caption>
<thead><tr><th scope="col">Trial</th>${headings}<th scope="col">State</th><th scope="col" class="text">Why it failed</th></tr></thead>
<tbody>
${rows}
</tbody>
</table></div></div>`,
  };
}
