import {
  describeGoal,
  describeNumber,
  describeValue,
  percentOf,
  unitOf,
} from "../../method/goal/describe.js";
import { type Goal, goalOf } from "../../method/goal/rules.js";
import { escapeHtml, html } from "../../text/destinations.js";
import type { RunReport } from "../data/run.js";
import { bytes } from "../format.js";
import { plot } from "../plot.js";
import type { ReportSection } from "../shell.js";

type GoalOutcome = NonNullable<
  NonNullable<Extract<RunReport["run"], { kind: "compression" }>["outcome"]>["goal"]
>;

/** What was asked for, and everything that was tried for it. */
export function goalSection({ run }: RunReport): readonly ReportSection[] {
  const outcome = run.kind === "compression" ? run.outcome?.goal : undefined;
  const goal = outcome === undefined ? undefined : goalOf(outcome.asked);
  if (outcome === undefined || goal === undefined) return [];
  const said = outcome.isMet ? "It is met" : "It is not met";
  const text = `Asked for: ${describeGoal(goal)}. ${said}: ${describeValue(goal, known(outcome.reached))}, with ${percentOf(outcome.fraction)} of the multiply-accumulates.`;
  const points = outcome.tries.map(({ fraction, value, low, high }) => ({
    x: 100 * fraction,
    y: value,
    ...(low === undefined || high === undefined ? {} : { low, high }),
  }));
  const chart = plot({
    title: "What was tried",
    xLabel: "multiply-accumulates left, %",
    yLabel: unitOf(goal),
    series: [{ name: "try", points: points.toSorted((a, b) => a.x - b.x) }],
  });
  const rows = outcome.tries.map(
    (one, index) =>
      html`<tr><th scope="row">${escapeHtml(`${index + 1}`)}</th><td>${escapeHtml(percentOf(one.fraction))}</td><td>${escapeHtml(describeNumber(goal, known(one)))}</td><td>${escapeHtml(bytes(one.bytes))}</td><td>${escapeHtml(one.holds ? "holds" : "too much")}</td></tr>`,
  );
  return [
    {
      id: "goal",
      title: "The goal",
      body: [
        html`<p>${escapeHtml(text)}</p>`,
        html`<div class="plots">${[chart, triesTable(goal, rows)]}</div>`,
      ],
    },
  ];
}

function triesTable(goal: Goal, rows: readonly ReturnType<typeof html>[]): ReturnType<typeof html> {
  return html`<div class="card"><div class="scroll" tabindex="0" role="region" aria-label="Tries"><table><thead><tr><th scope="col">Try</th><th scope="col">MACs left</th><th scope="col">${escapeHtml(unitOf(goal))}</th><th scope="col">File</th><th scope="col">Goal</th></tr></thead><tbody>
${rows}
</tbody></table></div></div>`;
}

type Value = Pick<GoalOutcome["reached"], "value" | "low" | "high">;

/** Without keys of undefined values. */
function known({ value, low, high }: Value): {
  readonly value: number;
  readonly low?: number;
  readonly high?: number;
} {
  return { value, ...(low === undefined ? {} : { low }), ...(high === undefined ? {} : { high }) };
}
