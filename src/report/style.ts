import { html } from "../text/destinations.js";

const light = html`
  --bg: #f6f6f4; --card: #fff; --ink: #17191c; --muted: #5c626b; --line: #e4e4df; --strong: #c6c7c1;
  --accent: #1557c0; --accent-soft: #e3edfb; --before: #b4b8be; --track: #ecece8; --code: #f0f0ec;
  --kept: #d3d6da; --removed: #1557c0; --worse: #e02b1d;
  --good: #11663f; --good-soft: #e3f3ea; --fair: #7a4d00; --fair-soft: #fbf0d9; --poor: #a3211a; --poor-soft: #fbe7e5;
  --plus: #2563be; --minus: #de6914;
  --series-1: #1557c0; --series-2: #c2410c; --series-3: #15803d; --series-4: #9333a8;
  --series-5: #0e7490; --series-6: #94600a; --series-7: #be185d; --series-8: #4b5563;`;

const dark = html`
  --bg: #101215; --card: #181b1f; --ink: #eceef0; --muted: #a0a7b1; --line: #2b2f36; --strong: #474d57;
  --accent: #7db3ff; --accent-soft: #1b2b45; --before: #6a717c; --track: #262a30; --code: #21252a;
  --kept: #3b4048; --removed: #7db3ff; --worse: #f0453a;
  --good: #6fd6a1; --good-soft: #12301f; --fair: #f0c266; --fair-soft: #33270c; --poor: #ff9a92; --poor-soft: #3d1a18;
  --plus: #5b94e6; --minus: #ea8440;
  --series-1: #7db3ff; --series-2: #ff9a62; --series-3: #5fd38a; --series-4: #d59bea;
  --series-5: #58cfe3; --series-6: #e3bd4a; --series-7: #ff8abb; --series-8: #b6bec8;`;

const base = html`
*, *::before { box-sizing: border-box; }
:root { color-scheme: light dark; ${light} }
@media screen and (prefers-color-scheme: dark) { :root { ${dark} } }
html { scroll-behavior: smooth; scroll-padding-top: 4rem; -webkit-text-size-adjust: 100%; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } * { animation: none !important; } }
body { margin: 0; background: var(--bg); color: var(--ink); overflow-wrap: anywhere;
  font: 1rem/1.55 ui-sans-serif, system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
.wrap { max-width: 77rem; margin: 0 auto; padding: 0 1.5rem; }
h1, h2, h3 { line-height: 1.2; letter-spacing: -.012em; text-wrap: balance; }
h1 { font-size: clamp(1.6rem, 1.1rem + 2vw, 2.3rem); margin: .2rem 0 0; }
h2 { font-size: 1.35rem; margin: 0 0 .3rem; }
h3 { font-size: 1rem; margin: 0; letter-spacing: 0; }
p { max-width: 46rem; margin: .4rem 0 1rem; } .muted, figcaption, caption { color: var(--muted); }
a { color: var(--accent); text-underline-offset: .15em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
code, .mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .86em; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: 1rem; background: var(--card); padding: .5rem; z-index: 9; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
[hidden] { display: none !important; }
header.top { padding-block: 2.2rem 1.2rem; }
.eyebrow { display: flex; flex-wrap: wrap; gap: .4rem .8rem; align-items: center; color: var(--muted); font-size: .9rem; margin: 0; max-width: none; }
.pill { display: inline-flex; gap: .45em; align-items: center; border-radius: 99px; padding: .1rem .65rem; white-space: nowrap; font-size: .82rem; font-weight: 600; background: var(--accent-soft); color: var(--accent); }
.pill.finished { background: var(--good-soft); color: var(--good); } .pill.stopped { background: var(--fair-soft); color: var(--fair); }
.pill.running::before { content: ""; width: .5em; height: .5em; border-radius: 50%; background: currentColor; animation: beat 1.4s infinite; }
@keyframes beat { 50% { opacity: .25; } }
nav.contents { position: sticky; top: 0; z-index: 5; background: color-mix(in srgb, var(--bg) 92%, transparent); backdrop-filter: blur(8px); border-block: 1px solid var(--line); }
nav.contents ul { display: flex; gap: 0; margin-block: 0; padding-block: 0; list-style: none; overflow-x: auto; scrollbar-width: none; }
nav.contents a { display: block; padding: .65rem .9rem; color: var(--muted); text-decoration: none; font-size: .9rem; white-space: nowrap; }
nav.contents li:first-child a { padding-left: 0; } nav.contents a:hover { color: var(--ink); }
main > section { margin: 0 0 3.2rem; } main.wrap { padding-top: 1.8rem; }
.card, figure.plot, article { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.1rem 1.2rem; }
.scroll { overflow-x: auto; }
.notes { border-left: 3px solid var(--fair); padding: .3rem 0 .3rem 1rem; margin: 0 0 1.5rem; list-style: none; font-size: .92rem; }
footer { border-top: 1px solid var(--line); color: var(--muted); font-size: .85rem; padding: 1.2rem 0 3rem; }
button, input { font: inherit; color: inherit; }
`;

const overview = html`
.judgement { display: grid; grid-template-columns: auto 1fr; gap: .2rem 1rem; border: 1px solid var(--line); border-radius: 14px; background: var(--card); padding: 1.3rem 1.4rem; margin-bottom: 1rem; }
.judgement .sign { grid-row: span 2; width: 2.5rem; height: 2.5rem; border-radius: 50%; display: grid; place-items: center; }
.judgement .sign svg { width: 1.35rem; height: 1.35rem; fill: none; stroke: currentColor; stroke-width: 2.4; stroke-linecap: round; stroke-linejoin: round; }
.judgement.good .sign { background: var(--good-soft); color: var(--good); } .judgement.fair .sign { background: var(--fair-soft); color: var(--fair); }
.judgement.poor .sign { background: var(--poor-soft); color: var(--poor); } .judgement.open .sign { background: var(--accent-soft); color: var(--accent); }
.judgement h3 { margin: 0; font-size: 1.3rem; } .judgement p { margin: .15rem 0 0; }
.next { grid-column: 2; margin-top: .9rem; } .next .command { margin-bottom: 0; } .next .muted { margin: 0 0 .3rem; font-size: .9rem; }
.command { margin-bottom: 1rem; display: flex; align-items: start; background: var(--code); border-radius: 8px; }
.command pre { margin: 0; padding: .65rem .9rem; white-space: pre-wrap; flex: 1; min-width: 0; } .command code { font-size: .85rem; }
.command button { border: 0; background: none; padding: .65rem .9rem; color: var(--accent); cursor: pointer; font-size: .85rem; font-weight: 600; }
.figures { display: grid; grid-template-columns: repeat(3, 1fr); gap: 1rem; margin: 0; }
.figures > div { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1rem 1.2rem; display: flex; flex-direction: column; }
.figures dt { color: var(--muted); font-size: .9rem; } .figures dd { margin: 0; }
.figures .big { font-size: 1.75rem; font-weight: 650; letter-spacing: -.02em; line-height: 1.3; font-variant-numeric: tabular-nums; }
.figures .big small { font-size: .95rem; font-weight: 500; letter-spacing: 0; color: var(--muted); }
.figures .pair { font-variant-numeric: tabular-nums; font-size: .95rem; } .figures .sure { color: var(--muted); font-size: .83rem; line-height: 1.4; }
.versus { display: block; width: 100%; height: 26px; margin: .55rem 0 .45rem; overflow: visible; }
.versus .old { fill: var(--before); } .versus .new { fill: var(--accent); } .versus .whisker { vector-effect: non-scaling-stroke; stroke: var(--ink); stroke-width: 1.5; fill: none; } .versus .ground { stroke: var(--line); }
.steps { display: flex; flex-wrap: wrap; gap: .35rem .4rem; list-style: none; padding: 0; margin: 1rem 0 0; font-size: .85rem; counter-reset: step; }
.steps li { border: 1px solid var(--line); border-radius: 99px; padding: .15rem .7rem; color: var(--muted); }
.steps .done { background: var(--card); color: var(--ink); } .steps .done::before { content: "\u2713\u2002"; color: var(--good); }
.steps .now { border-color: var(--accent); color: var(--accent); font-weight: 600; }
@media (max-width: 62rem) { .figures { grid-template-columns: repeat(2, 1fr); } }
@media (max-width: 38rem) {
  .wrap { padding: 0 1rem; } .figures { grid-template-columns: 1fr; gap: .7rem; } header.top { padding-top: 1.4rem; }
  .judgement { grid-template-columns: 1fr; padding: 1.1rem; } .next { grid-column: 1; } .judgement .sign { grid-row: auto; width: 2rem; height: 2rem; }
}
`;

const plots = html`
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 1rem; }
figure.plot { margin: 0; min-width: 0; } figure.plot figcaption { color: var(--ink); font-weight: 600; font-size: .95rem; margin-bottom: .3rem; } figure.plot figcaption span { color: var(--muted); font-weight: 400; }
figure.plot > svg { display: block; width: 100%; height: auto; } svg.narrow { display: none !important; }
@media (max-width: 38rem) { svg.wide { display: none !important; } figure.plot > svg.narrow { display: block !important; } figure.plot { padding: .9rem .7rem; } }
svg text { font-family: inherit; font-size: 12px; fill: var(--muted); } svg .tick.y { text-anchor: end; dominant-baseline: central; } svg .tick.x, svg .name, svg .band-name { text-anchor: middle; }
svg .band-name { font-size: 11px; } svg .grid { stroke: var(--line); } svg .axis, svg .mark { stroke: var(--strong); fill: none; }
svg .band { fill: var(--track); opacity: .55; } svg .band.odd { opacity: 0; }
svg .curve { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; } svg .dot { fill: currentColor; stroke: var(--card); stroke-width: .8; } svg .point-name { font-size: 11px; }
svg .whisker { stroke: currentColor; fill: none; stroke-width: 1.3; }
.hit { fill: transparent; } .tip { opacity: 0; pointer-events: none; } .at:hover .tip, .at.on .tip { opacity: 1; }
.tip .rule { stroke: var(--muted); stroke-dasharray: 3 3; } .tip .box { fill: var(--card); stroke: var(--strong); } .tip .head { fill: var(--muted); font-size: 11.5px; } .tip .value { fill: var(--ink); }
.legend { display: flex; flex-wrap: wrap; gap: .15rem 1rem; list-style: none; margin: 0 0 .3rem; padding: 0; font-size: .85rem; }
.legend svg { width: 26px; height: 12px; margin-right: .4rem; vertical-align: -1px; } .legend li { display: inline-flex; align-items: center; } .legend li { color: var(--muted); }
.series-1 { --s: var(--series-1); } .series-2 { --s: var(--series-2); } .series-3 { --s: var(--series-3); } .series-4 { --s: var(--series-4); }
.series-5 { --s: var(--series-5); } .series-6 { --s: var(--series-6); } .series-7 { --s: var(--series-7); } .series-8 { --s: var(--series-8); }
g[class^=series], .legend svg { color: var(--s); }
.numbers { font-size: .85rem; margin-top: .3rem; } .numbers summary { color: var(--muted); cursor: pointer; width: fit-content; } .numbers .scroll { max-height: 16rem; overflow: auto; }
`;

const tables = html`
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; width: 100%; }
caption { text-align: left; padding-bottom: .5rem; } th { font-weight: 600; text-align: left; } tbody th { font-weight: 400; }
th, td { padding: .4rem .7rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: middle; } td { white-space: nowrap; } td.text { white-space: normal; } th:first-child, th.text, td.text { text-align: left; }
thead th { color: var(--muted); font-size: .82rem; vertical-align: bottom; white-space: nowrap; } tbody tr:last-child > * { border-bottom: 0; } tfoot th, tfoot td { border-top: 1px solid var(--strong); border-bottom: 0; font-weight: 600; }
thead button { all: unset; cursor: pointer; color: inherit; } thead button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; } thead button::after { content: "\u2002\u2195"; opacity: .45; }
th[aria-sort=ascending] button::after { content: "\u2002\u2191"; opacity: 1; } th[aria-sort=descending] button::after { content: "\u2002\u2193"; opacity: 1; }
.tools { display: flex; flex-wrap: wrap; gap: .6rem 1.2rem; align-items: center; margin: .6rem 0 .8rem; font-size: .9rem; }
.tools input[type=search] { background: var(--card); border: 1px solid var(--strong); border-radius: 8px; padding: .4rem .7rem; width: 16rem; max-width: 100%; } .tools label { color: var(--muted); display: inline-flex; gap: .4rem; align-items: center; }
.tools output { color: var(--muted); }
.network { padding: .3rem 0; } .network .scroll { padding: 0 .4rem; }
.network td, .network th { border-bottom: 0; padding-block: .32rem; } .network tbody tr:hover { background: color-mix(in srgb, var(--accent-soft) 45%, transparent); } .network tbody tr:target { background: var(--accent-soft); }
.network td.rail { position: relative; padding: 0; height: 2.9rem; } .network .join td.rail, .network .port td.rail { height: 1.7rem; } .network .join > *, .network .port > * { padding-block: .05rem; color: var(--muted); }
.rail svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; } .rail path { fill: none; stroke: var(--strong); stroke-width: 2; vector-effect: non-scaling-stroke; }
.network th.links { padding: 0; } .links i { display: block; height: 1px; }
.rail i { position: absolute; top: 50%; border-radius: 50%; transform: translate(-50%, -50%); background: color-mix(in oklab, var(--removed) var(--r), var(--kept)); box-shadow: 0 0 0 2px var(--card), inset 0 0 0 1px color-mix(in srgb, var(--ink) 25%, transparent); }
.rail i.join, .rail i.port { background: var(--card); box-shadow: inset 0 0 0 2px var(--strong); width: 9px; height: 9px; } .rail i.port { border-radius: 2px; } table.sorted .rail svg { visibility: hidden; }
.network .layer-name { display: block; font-weight: 500; } .sub { display: block; color: var(--muted); font-size: .8rem; } .only-narrow, .only-small { display: none; }
.bar { display: block; position: relative; height: 9px; border-radius: 3px; min-width: 7rem; margin-bottom: .2rem; } .bar::before, .bar::after { content: ""; position: absolute; left: 0; top: 0; bottom: 0; border-radius: 2px; }
.bar::before { width: max(var(--b), 1.5px); background: var(--before); opacity: .7; } .bar::after { width: var(--a); background: var(--accent); top: 1.5px; bottom: 1.5px; } .bar.open::after { display: none; }
td.cost { min-width: 9rem; text-align: left; font-size: .82rem; } td.cost span { white-space: nowrap; }
.scale { display: inline-flex; align-items: center; gap: .5rem; } .scale i { width: 6rem; height: .7rem; border-radius: 3px; background: linear-gradient(90deg in oklab, var(--kept), var(--removed)); } .key { display: inline-flex; gap: .4rem; align-items: center; } .key i { width: .9rem; height: .7rem; border-radius: 2px; background: var(--accent); } .key.old i { background: var(--before); }
@media (max-width: 56rem) { .wide-only { display: none; } .only-narrow { display: inline; } }
@media (max-width: 38rem) { th, td { padding-inline: .4rem; } .mid-only { display: none; } .only-small { display: block; } .network .bar { margin: .35rem 0 .1rem; min-width: 0; } .network .scroll { padding: 0; } .network th[scope=row] { width: 99%; } }
`;

const pictures = html`
.kernels, .answers { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); }
.kernels article { padding: .9rem 1rem; break-inside: avoid; min-width: 0; } .kernels h3 { font-size: .92rem; font-weight: 600; } .kernels h3 a { color: inherit; text-decoration: none; } .kernels p { margin: 0 0 .5rem; font-size: .84rem; }
.strip { display: flex; flex-wrap: wrap; gap: .5rem; list-style: none; margin: 0 0 .7rem; padding: 0; } .strip li { font-size: .75rem; color: var(--muted); text-align: center; width: 2.9rem; }
.strip svg { display: block; width: 2.9rem; border: 1px solid var(--line); border-radius: 3px; background: var(--bg); shape-rendering: crispEdges; } .p { fill: var(--plus); } .n { fill: var(--minus); }
.map { display: block; width: 100%; height: 7rem; border: 1px solid var(--line); border-radius: 3px; background: var(--bg); } .map.sharp { image-rendering: pixelated; } .map-note { font-size: .78rem !important; margin: .25rem 0 0 !important; }
.energy { display: flex; align-items: end; gap: 2px; height: 1.5rem; margin-left: auto; } .energy i { width: 5px; background: var(--before); border-radius: 1px; height: var(--h); } .energy i.in { background: var(--accent); }
.title-row { display: flex; gap: .8rem; align-items: start; justify-content: space-between; }
.answers { grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); list-style: none; padding: 0; margin: 1rem 0; } .answers li { background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow: hidden; font-size: .85rem; break-inside: avoid; }
.answers img { width: 100%; height: auto; aspect-ratio: 1; object-fit: contain; display: block; background: var(--track); image-rendering: pixelated; } .answers div { padding: .5rem .7rem .6rem; line-height: 1.4; } .answers b { font-weight: 600; } .answers .lost b.after { color: var(--poor); } .answers .gained b.after { color: var(--good); }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.5rem; margin: 0; } .facts dt { color: var(--muted); } .facts dd { margin: 0; min-width: 0; } @media (max-width: 38rem) { .facts { grid-template-columns: 1fr; gap: 0; } .facts dd { margin-bottom: .6rem; } }
.reasons { padding-left: 1.1rem; margin: 0; } .reasons li { margin-bottom: .5rem; }
details.more summary { cursor: pointer; color: var(--accent); margin: .8rem 0; width: fit-content; } details.more pre { background: var(--code); border-radius: 8px; padding: 1rem; overflow-x: auto; font-size: .8rem; }
.heat td { text-align: center; padding: 0; min-width: 3.1rem; } .heat td span { display: block; padding: .4rem .3rem; margin: 1px; border-radius: 3px; background: color-mix(in oklab, var(--worse) var(--h), var(--track)); } .heat td.pick span { box-shadow: inset 0 0 0 2px var(--ink); font-weight: 650; }
.heat th[scope=row] { position: sticky; left: 0; background: var(--card); max-width: 22rem; min-width: 9rem; } .heat td.advice, .heat th.text { text-align: left; padding-inline: .7rem; } .heat .group { border-left: 1px solid var(--strong); } .heat thead th { text-align: center; } .heat thead th:first-child { text-align: left; position: sticky; left: 0; background: var(--card); }
.swatches { display: inline-flex; border-radius: 3px; overflow: hidden; } .swatches i { width: 1.4rem; height: .8rem; background: color-mix(in oklab, var(--worse) var(--h), var(--track)); }
`;

const print = html`
@media print {
  :root { color-scheme: light; --bg: #fff; } body { font-size: 9.5pt; } .wrap { max-width: none; padding: 0; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  thead button::after { content: none !important; } nav.contents, .tools, .command button, .numbers, .js { display: none !important; } main > section { margin-bottom: 1.6rem; } h2, h3 { break-after: avoid; }
  figure, tr, article, .judgement, .figures > div { break-inside: avoid; } .scroll { overflow: visible; }
  .figures { grid-template-columns: repeat(3, 1fr); gap: .5rem; } .figures > div { padding: .6rem .8rem; } .kernels { grid-template-columns: repeat(3, 1fr); gap: .6rem; } .plots { grid-template-columns: 1fr 1fr; } .answers { grid-template-columns: repeat(6, 1fr); gap: .5rem; }
  th, td { padding: 2pt 4pt; } table { font-size: 8pt; } .wide-only, .mid-only { display: table-cell; } .only-narrow, .only-small { display: none; } .strip { gap: 3pt; } .strip li, .strip svg { width: 1.9rem; } .bar { min-width: 4rem; } .heat td { min-width: 0; } .heat { font-size: 7pt; } .heat th[scope=row] { min-width: 0; position: static; }
  figure.plot > svg.wide { display: none !important; } figure.plot > svg.narrow { display: block !important; } a { color: inherit; text-decoration: none; }
}
`;

/** The look of every report: light and dark, from 320 pixels to the widest screen, and on paper. */
export const STYLE = html`${[base, overview, plots, tables, pictures, print]}`;
