import { orDefault } from "../../graph/at.js";
import { pushTo } from "../../graph/push_to.js";
import { escapeHtml, type Html, html } from "../../text/destinations.js";
import type { Layer } from "../data/network.js";
import type { RunReport } from "../data/run.js";
import { counted } from "../format.js";
import type { ReportSection } from "../shell.js";

/** Names that a reason is given with at once. */
const NAMES_SHOWN = 6;

/** What was not compressed, or not matched, and why. */
export function leftAloneSection({ network, run }: RunReport): readonly ReportSection[] {
  if (run.kind === "training") return [];
  const layers = orDefault(network?.rows, []).flatMap(({ name, layer }): (readonly [string, string])[] => {
    const reason = layer === undefined ? undefined : reasonOf(layer);
    return reason === undefined ? [] : [[reason, name]];
  });
  const outputs = orDefault(run.config.leftOut, []).map(
    ({ output, reason }) => `Output ${output} is not matched to the original's: ${reason}.`,
  );
  const byReason = new Map<string, string[]>();
  for (const [reason, name] of layers) pushTo(byReason, reason, name);
  const items = [
    ...[...byReason].map(([reason, names]) => group(reason, names)),
    ...outputs.map((text) => html`<li>${escapeHtml(text)}</li>`),
  ];
  if (items.length === 0) return [];
  return [
    {
      id: "left",
      title: "Left alone, and why",
      short: "Left alone",
      body: html`<ul class="reasons">\n${items}\n</ul>`,
    },
  ];
}

function reasonOf({ basis, reason, before, after }: Layer): string | undefined {
  if (after === undefined || basis !== undefined) return undefined;
  const isPruned = after.macs < before.macs;
  if (reason !== undefined)
    return isPruned ? `${reason}; single weights or channels of it were removed` : reason;
  return isPruned
    ? "no basis saves arithmetic here: single weights or channels were removed, or the file holds the dense kernels because they are smaller"
    : "no basis saves arithmetic here, and nothing else was removed";
}

function group(reason: string, names: readonly string[]): Html {
  const sentence = `${reason.slice(0, 1).toUpperCase()}${reason.slice(1)}`;
  const list = (some: readonly string[]): Html =>
    html`<span class="mono">${escapeHtml(some.join(", "))}</span>`;
  const rest = names.slice(NAMES_SHOWN);
  const more =
    rest.length === 0
      ? html``
      : html`<details class="more"><summary>${escapeHtml(counted(rest.length, "more layer"))}</summary>${list(rest)}</details>`;
  return html`<li><b>${escapeHtml(sentence)}</b> (${escapeHtml(counted(names.length, "layer"))}): ${list(names.slice(0, NAMES_SHOWN))}${more}</li>`;
}
