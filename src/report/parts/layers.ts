import { orDefault } from "../../graph/at.js";
import { escapeHtml, type Html, html } from "../../text/destinations.js";
import { laneCount } from "../data/lanes.js";
import type { Layer, LayerCost, NetworkRow, NetworkView } from "../data/network.js";
import type { RunReport } from "../data/run.js";
import { type TimeChange, type TimesView, timesView } from "../data/times.js";
import { compact, counted, microseconds, milliseconds, number, percent } from "../format.js";
import { breakable } from "../html.js";
import type { ReportSection } from "../shell.js";

/** The anchor of a layer's row. */
export const layerAnchor = (index: number): string => `layer-${index}`;

/** The network from input to output: how it is linked, and what each layer cost and costs. */
export function layersSection({
  network,
  networkAfter,
  run,
  layerTimes,
}: RunReport): readonly ReportSection[] {
  if (network === undefined) return [];
  const named = network.rows.flatMap(({ name, layer }) => (layer === undefined ? [] : [name]));
  const times = layerTimes === undefined ? undefined : timesView(layerTimes, named);
  const count = network.rows.filter(({ layer }) => layer !== undefined).length;
  const state =
    networkAfter === undefined
      ? run.kind === "training"
        ? "It keeps its layers: training does not change what they cost."
        : "Nothing was compressed yet."
      : `Before: as it came in. After: as stage ${networkAfter} has left it.`;
  const text = `${counted(count, "layer")} that multiply, in the order of the network; the lines show what reads what, and small rings are where branches meet. ${state} Costs are the paper's count.${times === undefined ? "" : " Times are those of one image, compiled to WebAssembly, on one thread of the machine that the run ended on; what follows a layer (a sum, an activation) may be part of its time."}`;
  return [
    {
      id: "layers",
      title: "Layer by layer",
      short: "Layers",
      body: [
        html`<p class="muted">${escapeHtml(text)}</p>`,
        legend(network),
        tools("layers"),
        html`<div class="card network"><div class="scroll" tabindex="0" role="region" aria-label="Table of layers">${table(network, times)}</div></div>`,
        ...uncountedNote(network),
      ],
    },
  ];
}

/** A search, for those who have scripts. */
export function tools(of: string): Html {
  return html`<div class="tools" hidden><label>Search ${escapeHtml(of)} <input type="search" autocomplete="off" spellcheck="false"></label><output aria-live="polite"></output></div>`;
}

function legend({ after }: NetworkView): Html {
  if (after === undefined) return html``;
  return html`<p class="tools-legend muted"><span class="key old"><i></i>before</span>\u2002 <span class="key"><i></i>after</span>\u2002 <span class="scale">nothing removed <i></i> all multiply-accumulates removed</span></p>`;
}

function uncountedNote({ uncounted }: NetworkView): readonly Html[] {
  if (uncounted.length === 0) return [];
  const text = `Not counted, because Penni does not know what they cost: ${uncounted.join(", ")}.`;
  return [html`<p class="muted">${escapeHtml(text)}</p>`];
}

interface Scale {
  readonly times: TimesView | undefined;
  readonly parameters: number;
  readonly macs: number;
  readonly lanes: number;
}

/** Wider drawings are cut: what is on lanes beyond shares the last one. */
const MOST_LANES = 14;
const LANE_WIDTH = 17;
/** Radii of the largest and the smallest layer, in pixels. */
const LARGEST_NODE = 8.5;
const SMALLEST_NODE = 4.5;

function table(network: NetworkView, times: TimesView | undefined): Html {
  const { rows, before, after, rest } = network;
  const most = (pick: (cost: LayerCost) => number): number =>
    rows.reduce(
      (max, { layer }) =>
        Math.max(
          max,
          layer === undefined ? 0 : pick(layer.before),
          layer?.after === undefined ? 0 : pick(layer.after),
        ),
      1,
    );
  const lanes = Math.min(MOST_LANES, laneCount(rows));
  const scale = {
    times,
    parameters: most(({ parameters }) => parameters),
    macs: most(({ macs }) => macs),
    lanes,
  };
  const width = number(LANE_WIDTH * lanes + 6);
  return html`<table data-sortable>
<caption class="hidden">Layers with their costs before and after</caption>
<thead><tr><th scope="col" class="links"><span class="hidden">Links</span><i style="width:${width}px"></i></th><th scope="col" class="text" data-sort="name">Layer</th><th scope="col" class="text mid-only" data-sort="macs">Multiply-accumulates</th>${times === undefined ? html`` : html`<th scope="col" class="text mid-only" data-sort="time">Time, compiled</th>`}<th scope="col" data-sort="removed">Removed</th><th scope="col" class="text wide-only" data-sort="parameters">Parameters</th><th scope="col" class="wide-only" data-sort="basis">Basis</th><th scope="col" class="wide-only" data-sort="energy">Energy kept</th></tr></thead>
<tbody>
${rows.map((row, index) => (row.layer === undefined ? otherRow(row, scale) : layerRow(row, row.layer, index, scale)))}
</tbody>
<tfoot>
${footRow("Normalizations and the rest", rest, times, times?.rest)}
${footRow("All", { before, after }, times, times?.whole)}
</tfoot>
</table>`;
}

function footRow(
  name: string,
  { before, after }: NetworkView["rest"],
  times: TimesView | undefined,
  time: TimeChange | undefined,
): Html {
  const isFree =
    before.macs === 0 && before.parameters === 0 && (after === undefined || after.parameters === 0);
  if (isFree && times === undefined) return html``;
  const removed = after === undefined || before.macs === 0 ? "" : percent(1 - after.macs / before.macs);
  return html`<tr><td></td><th scope="row" class="text">${escapeHtml(name)}<span class="sub only-small">${change(before.macs, after?.macs)} MACs</span></th><td class="cost text mid-only">${change(before.macs, after?.macs)}</td>${times === undefined ? html`` : html`<td class="cost text mid-only">${timeText(time)}</td>`}<td>${escapeHtml(removed)}</td><td class="cost text wide-only">${change(before.parameters, after?.parameters)}</td><td class="wide-only"></td><td class="wide-only"></td></tr>`;
}

function change(before: number, after: number | undefined): Html {
  const text = after === undefined ? compact(before) : `${compact(before)} \u2192 ${compact(after)}`;
  return html`<span>${escapeHtml(text)}</span>`;
}

/** Layers may take microseconds. */
const shortTime = (ms: number): string => (ms > 0 && ms < 0.1 ? microseconds(ms) : milliseconds(ms));

function timeText(time: TimeChange | undefined): Html {
  const text = time === undefined ? "\u2013" : `${shortTime(time.before)} \u2192 ${shortTime(time.after)}`;
  return html`<span>${escapeHtml(text)}</span>`;
}

/** A place where branches meet, an input or an output. */
function otherRow(row: NetworkRow, scale: Scale): Html {
  const kind = row.kind === "join" ? "join" : "port";
  const what = row.kind === "join" ? row.detail : `${row.kind} ${row.name}, ${row.detail}`;
  return html`<tr class="${escapeHtml(kind)}" data-unnamed><td class="rail">${rail(row, scale, html`<i class="${escapeHtml(kind)}" style="left:${number(center(row.lane, scale))}px"></i>`)}</td><th scope="row" class="text"><span class="sub">${escapeHtml(what)}</span></th><td class="mid-only"></td>${scale.times === undefined ? html`` : html`<td class="mid-only"></td>`}<td></td><td class="wide-only"></td><td class="wide-only"></td><td class="wide-only"></td></tr>`;
}

function layerRow(row: NetworkRow, layer: Layer, index: number, scale: Scale): Html {
  const { before, after, basis, energy, weightDims, op } = layer;
  const removed = after === undefined || before.macs === 0 ? undefined : 1 - after.macs / before.macs;
  const kept = basis === undefined ? undefined : energy?.[basis - 1];
  const dims = weightDims === undefined ? "" : ` ${weightDims.join("\u00d7")}`;
  const narrow = [
    ...(basis === undefined ? [] : [`d = ${basis}`]),
    `${compact(before.parameters)}${after === undefined ? "" : ` \u2192 ${compact(after.parameters)}`} parameters`,
  ].join(", ");
  // Of a network that is not compressed yet nothing was removed.
  const share = Math.max(0, Math.min(1, orDefault(removed, 0)));
  const radius = SMALLEST_NODE + (LARGEST_NODE - SMALLEST_NODE) * Math.sqrt(before.macs / scale.macs);
  const size = number(2 * radius);
  const node = html`<i style="left:${number(center(row.lane, scale))}px;width:${size}px;height:${size}px;--r:${number(100 * share)}%"></i>`;
  const value = (key: string, found: number | undefined): Html =>
    found === undefined
      ? html`data-key="${escapeHtml(key)}"`
      : html`data-key="${escapeHtml(key)}" data-value="${number(found, 6)}"`;
  return html`<tr id="${escapeHtml(layerAnchor(index))}" data-name="${escapeHtml(`${row.name} ${op}`)}"><td class="rail">${rail(row, scale, node)}</td>
<th scope="row" class="text" data-key="name" data-value="${escapeHtml(row.name)}"><span class="layer-name">${breakable(row.name)}</span><span class="sub">${escapeHtml(`${op}${dims}`)}<span class="only-narrow"> \u00b7 ${escapeHtml(narrow)}</span></span><span class="only-small">${bar(before.macs, after?.macs, scale.macs)}<span class="sub">${change(before.macs, after?.macs)} MACs</span></span></th>
<td class="cost text mid-only" ${value("macs", before.macs)}>${bar(before.macs, after?.macs, scale.macs)}${change(before.macs, after?.macs)}</td>
${timeCell(row.name, scale.times, value)}<td ${value("removed", removed)}>${escapeHtml(removed === undefined ? "" : percent(removed, 0))}</td>
<td class="cost text wide-only" ${value("parameters", before.parameters)}>${bar(before.parameters, after?.parameters, scale.parameters)}${change(before.parameters, after?.parameters)}</td>
<td class="wide-only" ${value("basis", basis)}>${escapeHtml(basis === undefined ? "\u2013" : `${basis}`)}</td>
<td class="wide-only" ${value("energy", kept)}>${escapeHtml(kept === undefined ? "\u2013" : percent(kept))}</td></tr>`;
}

function timeCell(
  name: string,
  times: TimesView | undefined,
  value: (key: string, found: number | undefined) => Html,
): Html {
  if (times === undefined) return html``;
  const time = times.layers.get(name);
  const drawn = time === undefined ? html`` : bar(time.before, time.after, times.most);
  return html`<td class="cost text mid-only" ${value("time", time?.before)}>${drawn}${timeText(time)}</td>`;
}

function bar(before: number, after: number | undefined, most: number): Html {
  const width = (value: number): Html => number(Math.min(100, (100 * value) / most));
  if (after === undefined)
    return html`<span class="bar open" style="--b:${width(before)}%" aria-hidden="true"></span>`;
  return html`<span class="bar" style="--b:${width(before)}%;--a:${width(after)}%" aria-hidden="true"></span>`;
}

const center = (lane: number, { lanes }: Scale): number => LANE_WIDTH * (Math.min(lane, lanes - 1) + 0.5) + 3;

/** The lines of one row: values that pass, what the node reads, what it hands on. They meet those of the next rows. */
function rail({ lane, from, passing, isRead }: NetworkRow, scale: Scale, node: Html): Html {
  const own = number(center(lane, scale));
  const down = passing
    .filter((other) => other !== lane)
    .map((other) => html`<path d="M${number(center(other, scale))} 0V40"/>`);
  const into = from.map((other) => {
    const at = number(center(other, scale));
    return other === lane
      ? html`<path d="M${own} 0V20"/>`
      : html`<path d="M${at} 0C${at} 14 ${own} 6 ${own} 20"/>`;
  });
  const out = isRead ? [html`<path d="M${own} 20V40"/>`] : [];
  const width = number(LANE_WIDTH * scale.lanes + 6);
  return html`<svg viewBox="0 0 ${width} 40" preserveAspectRatio="none" aria-hidden="true">${[...down, ...into, ...out]}</svg>${node}`;
}
