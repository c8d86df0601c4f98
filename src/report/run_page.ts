import path from "node:path";
import { stageNamesOf } from "../run/stages/left_out.js";
import { escapeHtml, type Html, html } from "../text/destinations.js";
import type { RunReport, RunState } from "./data/run.js";
import { answersSection } from "./parts/answers.js";
import { goalSection } from "./parts/goal.js";
import { kernelsSection } from "./parts/kernels.js";
import { layersSection } from "./parts/layers.js";
import { leftAloneSection } from "./parts/left_alone.js";
import { overview } from "./parts/overview.js";
import { provenanceSection } from "./parts/provenance.js";
import { trainingSection } from "./parts/training.js";
import { type LivePage, reportPage } from "./shell.js";

/** The report of one run. @param live undefined for a file */
export function runPage(report: RunReport, live?: LivePage): Html {
  const { run, state, root } = report;
  const kind = run.kind === "compression" ? "Compression" : "Training";
  return reportPage(
    {
      title: path.basename(run.config.model),
      eyebrow: [
        html`<span>${escapeHtml(`${kind} report`)}</span>`,
        statePill(state),
        html`<span class="mono">${escapeHtml(`${path.basename(path.resolve(root))}/`)}</span>`,
      ],
      lead: [...steps(report), ...problemNotes(report.problems)],
      sections: [
        overview(report),
        ...trainingSection(report),
        ...layersSection(report),
        ...kernelsSection(report),
        ...goalSection(report),
        ...answersSection(report),
        ...leftAloneSection(report),
        provenanceSection(report),
      ],
    },
    live,
  );
}

export function statePill(state: RunState): Html {
  return html`<span class="pill ${escapeHtml(state)}">${escapeHtml(state)}</span>`;
}

/** What could not be read; nothing where all could. */
export function problemNotes(problems: readonly string[]): readonly Html[] {
  if (problems.length === 0) return [];
  return [html`<ul class="notes">${problems.map((text) => html`<li>${escapeHtml(text)}</li>`)}</ul>`];
}

/** The stages of the method, until there is a result. */
function steps({ run, stages, state }: RunReport): readonly Html[] {
  if (run.kind === "training" || run.outcome !== undefined) return [];
  const all = stageNamesOf(run.config.settings);
  const next = all.findIndex((stage) => !stages.includes(stage));
  const done: readonly string[] = stages;
  const items = [...all, "measure"].map((stage, index) => {
    const kind = done.includes(stage) ? "done" : index === next && state === "running" ? "now" : "open";
    const word = kind === "now" ? html` aria-current="step"` : html``;
    return html`<li class="${escapeHtml(kind)}"${word}>${escapeHtml(stage)}</li>`;
  });
  return [html`<ol class="steps">${items}</ol>`];
}
