import path from "node:path";
import { escapeHtml, type Html, html } from "../../text/destinations.js";
import type { RunReport } from "../data/run.js";
import type { Session } from "../data/sessions.js";
import { bytes, counted } from "../format.js";
import type { ReportSection } from "../shell.js";
import { shellLine } from "../shell_words.js";
import { commandBlock } from "./overview.js";

/** Command, versions, machine and settings: what it takes to do it again. */
export function provenanceSection({ run, sessions, root }: RunReport): ReportSection {
  const { config } = run;
  const [first] = sessions;
  const commands = sessions.map(({ command }) => commandBlock(shellLine(command)));
  const { penni, node, onnxruntime } = config.versions;
  const facts: readonly (readonly [string, Html])[] = [
    ["Model", code(config.model)],
    ["Images", code(config.data)],
    ...(run.kind === "compression" ? [["Preset", escapeHtml(run.config.preset)] as const] : []),
    ...(config.teacher === undefined ? [] : [["Learned from", code(config.teacher)] as const]),
    ["Seed", escapeHtml(`${config.seed}`)],
    ["Versions", escapeHtml(`Penni ${penni}, Node.js ${node}, ONNX Runtime ${onnxruntime}`)],
    ...machineFacts(sessions),
    ["Directory", code(path.resolve(root))],
  ];
  const json = JSON.stringify(config, null, 2);
  return {
    id: "made",
    title: "How it was made",
    body: [
      first === undefined
        ? html`<p class="muted">The command is not recorded: the run is older than reports, or was started from a program.</p>`
        : html`${commands}`,
      html`<div class="card made"><dl class="facts">${facts.map(([name, value]) => html`<dt>${escapeHtml(name)}</dt><dd>${value}</dd>`)}</dl></div>`,
      html`<details class="more"><summary>All settings</summary><pre tabindex="0"><code>${escapeHtml(json)}</code></pre></details>`,
    ],
  };
}

const code = (text: string): Html => html`<code>${escapeHtml(text)}</code>`;

function machineFacts(sessions: readonly Session[]): readonly (readonly [string, Html])[] {
  const machines = sessions.map(
    ({ machine }) =>
      `${machine.processor}, ${counted(machine.cores, "core")}, ${bytes(machine.memoryBytes)} of memory, ${machine.system}`,
  );
  const times = sessions.map(({ started }) => started.replace("T", " ").replace(/\.\d+Z$/, " UTC"));
  return [
    ...[...new Set(machines)].map((text) => ["Machine", escapeHtml(text)] as const),
    ...(times.length === 0 ? [] : [["Started", escapeHtml(times.join(", then "))] as const]),
  ];
}
