import { escapeHtml, type Html, html } from "../text/destinations.js";
import type { Chart } from "./chart.js";

export interface PageTable {
  readonly caption: string;
  readonly head: readonly string[];
  /** The first cell of each row names it; the others are numbers. */
  readonly rows: readonly (readonly string[])[];
}

/** All texts are plain: they are escaped here. */
export interface PageSection {
  readonly title: string;
  readonly paragraphs?: readonly string[];
  readonly charts?: readonly Chart[];
  readonly table?: PageTable;
}

export interface PageSpec {
  readonly title: string;
  readonly sections: readonly PageSection[];
}

/** Nothing is loaded and nothing runs, whatever a name in the page holds. */
const POLICY = html`default-src 'none'; style-src 'unsafe-inline'`;

const lightColours = html`
  --surface: #fff; --ink: #1c1e21; --muted: #5b6168; --rule: #d8dce0; --cell: #f1f4f6; --loss: #b3261e;
  --series-1: #0059b3; --series-2: #c2410c; --series-3: #15803d; --series-4: #9333a8;
  --series-5: #0e7490; --series-6: #a16207; --series-7: #be185d; --series-8: #4b5563;`;

const darkColours = html`
  --surface: #16181b; --ink: #e6e8ea; --muted: #a3a9b0; --rule: #3a3f45; --cell: #24282c; --loss: #d43c31;
  --series-1: #6cb2ff; --series-2: #ff9a62; --series-3: #5fd38a; --series-4: #d59bea;
  --series-5: #58cfe3; --series-6: #e3bd4a; --series-7: #ff8abb; --series-8: #b6bec8;`;

const STYLE = html`
:root { color-scheme: light dark; ${lightColours} }
@media screen and (prefers-color-scheme: dark) { :root { ${darkColours} } }
body { margin: 0 auto; padding: 1.5rem; max-width: 60rem; background: var(--surface); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
p { max-width: 48rem; }
figure { margin: 1.5rem 0; overflow-x: auto; }
figcaption, caption { color: var(--muted); text-align: left; margin-bottom: .5rem; }
svg { display: block; width: 100%; min-width: 40rem; height: auto; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .8rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: .2rem .5rem; border-bottom: 1px solid var(--rule); text-align: right; white-space: nowrap; }
th:first-child { text-align: left; } tbody th { font-weight: normal; font-family: monospace; }
@media print {
  :root { color-scheme: light; } body { padding: 0; max-width: none; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  figure, tr { break-inside: avoid; } h2 { break-after: avoid; }
  figure, .table { overflow: visible; } svg { min-width: 0; max-height: 92vh; }
  table { font-size: 7pt; } th, td { padding: 1pt 3pt; }
}`;

/** A whole HTML document in one file: no scripts, nothing from the net; light, dark and for printing. */
export function page({ title, sections }: PageSpec): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
${sections.flatMap(sectionLines)}
</body>
</html>
`;
}

function sectionLines({ title, paragraphs = [], charts = [], table }: PageSection): readonly Html[] {
  return [
    html`<section>`,
    html`<h2>${escapeHtml(title)}</h2>`,
    ...paragraphs.map((text) => html`<p>${escapeHtml(text)}</p>`),
    ...charts.map(
      (chart) => html`<figure><figcaption>${escapeHtml(chart.title)}</figcaption>\n${chart.svg}</figure>`,
    ),
    ...(table === undefined ? [] : tableLines(table)),
    html`</section>`,
  ];
}

function tableLines({ caption, head, rows }: PageTable): readonly Html[] {
  const heading = head.map((text) => html`<th scope="col">${escapeHtml(text)}</th>`);
  const body = rows.map(([name = "", ...cells]) => {
    const numbers = cells.map((text) => html`<td>${escapeHtml(text)}</td>`);
    return html`<tr><th scope="row">${escapeHtml(name)}</th>${numbers}</tr>`;
  });
  return [
    html`<div class="table"><table>`,
    html`<caption>${escapeHtml(caption)}</caption>`,
    html`<thead><tr>${heading}</tr></thead>`,
    html`<tbody>${body}</tbody>`,
    html`</table></div>`,
  ];
}
