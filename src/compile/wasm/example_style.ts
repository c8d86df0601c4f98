/** Styles of the example's page, light and dark, from 380 pixels on. */
export const pageStyle = `*, ::before { box-sizing: border-box; }
:root {
  color-scheme: light dark;
  --back: #f6f6f4; --card: #fff; --ink: #17191c; --muted: #5c626b; --line: #d9d9d3; --track: #e9e9e4;
  --accent: #1557c0; --soft: #e3edfb; --on-accent: #fff; --poor: #a3211a; --poor-soft: #fbe7e5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #101215; --card: #181b1f; --ink: #eceef0; --muted: #a0a7b1; --line: #343941; --track: #2a2f36;
    --accent: #7db3ff; --soft: #1b2b45; --on-accent: #0b1626; --poor: #ff9a92; --poor-soft: #3d1a18;
  }
}
body {
  margin: 0; background: var(--back); color: var(--ink); overflow-wrap: anywhere;
  font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 76rem; margin: 0 auto; padding: 2rem 1.5rem 3rem; }
[hidden] { display: none !important; }
h1 { font-size: clamp(1.5rem, 1.1rem + 1.6vw, 2.1rem); line-height: 1.2; margin: 0; }
h2 { font-size: 1.15rem; margin: 0 0 .8rem; }
p { margin: 0 0 1rem; }
.muted, #about, #note, #time, #hint { color: var(--muted); font-size: .9rem; }
#about { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .82rem; margin: .4rem 0 1.4rem; }
#problem { background: var(--poor-soft); color: var(--poor); border-radius: .6rem; padding: .7rem 1rem; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.columns { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1.2rem; align-items: start; }
.columns > section { background: var(--card); border: 1px solid var(--line); border-radius: .9rem; padding: 1.2rem; }
#pictures { display: flex; flex-wrap: wrap; gap: .5rem; margin-bottom: 1rem; }
.button, button {
  font: inherit; font-weight: 600; font-size: .92rem; padding: .5rem .95rem; border-radius: .55rem; cursor: pointer;
  color: var(--accent); background: var(--soft); border: 1px solid transparent;
}
.button { background: var(--accent); color: var(--on-accent); }
.button:hover, button:hover { border-color: var(--ink); }
.button:focus-within, :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
#drop {
  display: grid; place-items: center; text-align: center; padding: 1rem; min-height: min(20rem, 50vh); cursor: pointer;
  border: 2px dashed var(--line); border-radius: .7rem; color: var(--muted);
}
.dragging #drop, .dragging #pictures { border-color: var(--accent); color: var(--accent); }
.dragging .columns > section:first-child { outline: 3px solid var(--accent); }
canvas, video { display: block; max-width: 100%; max-height: 70vh; margin: 0 auto; border-radius: .5rem; }
canvas { min-width: min(100%, 12rem); image-rendering: auto; }
video { width: 100%; background: #000; }
#note { margin: .8rem 0 0; }
#scores { list-style: none; margin: 0 0 1.1rem; padding: 0; }
#scores li { display: grid; grid-template-columns: 1fr auto; gap: .1rem 1rem; margin-bottom: .75rem; }
#scores li:first-child { font-weight: 650; font-size: 1.12rem; }
.share { font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { grid-column: 1 / -1; height: .5rem; border-radius: 1rem; background: var(--track); overflow: hidden; }
.bar span { display: block; height: 100%; width: 0; border-radius: 1rem; background: var(--accent); transition: width .15s; }
#time { margin-bottom: .8rem; }
summary { cursor: pointer; font-size: .92rem; width: fit-content; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; width: 100%; margin-top: .6rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); }
th small { display: block; font-size: inherit; font-weight: 400; color: var(--muted); }
@media (max-width: 46rem) {
  main { padding: 1.2rem 1rem 2rem; }
  .columns { grid-template-columns: minmax(0, 1fr); }
  .columns > section { padding: 1rem; }
  #drop { min-height: 11rem; }
  canvas, video { max-height: 55vh; }
}
@media (prefers-reduced-motion: reduce) { .bar span { transition: none; } }
`;
