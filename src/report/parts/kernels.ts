import { at, orDefault } from "../../graph/at.js";
import { escapeHtml, type Html, html } from "../../text/destinations.js";
import type { KernelView } from "../data/kernels.js";
import type { RunReport } from "../data/run.js";
import { counted, number, percent } from "../format.js";
import { breakable } from "../html.js";
import type { ReportSection } from "../shell.js";
import { layerAnchor, tools } from "./layers.js";

/** The basis kernels of every layer as pictures, and which of its coefficients are left. */
export function kernelsSection({ kernels, network }: RunReport): readonly ReportSection[] {
  if (kernels.length === 0) return [];
  const rows = new Map(
    orDefault(network?.rows, []).map((row, index) => [row.name, { index, layer: row.layer }]),
  );
  const cards = kernels.map((view) => card(view, rows.get(view.name)));
  const text =
    "Every kernel of a layer is a sum of its few basis kernels: blue is positive, orange negative, each by its own " +
    "largest value; below each stands the share of kernels that use it. The map has a row for each output channel and a " +
    "column for each input channel and basis kernel: what is empty was removed. The small bars are the energy that 1, " +
    "2, ... kernels could keep of the original ones, the coloured ones what this basis has.";
  return [
    {
      id: "kernels",
      title: "Kernels and coefficients",
      short: "Kernels",
      body: [
        html`<p class="muted">${escapeHtml(text)}</p>`,
        tools("layers"),
        html`<div class="kernels">\n${cards}\n</div>`,
      ],
    },
  ];
}

interface DrawnRow {
  readonly index: number;
  readonly layer: { readonly energy: readonly number[] | undefined } | undefined;
}

function card(view: KernelView, row: DrawnRow | undefined): Html {
  const { name, K, C, R, S, d, groups, nonZeros, map, uses } = view;
  const all = K * C * d;
  const grouped = groups === 1 ? "" : `, ${groups} groups`;
  const energy = row?.layer?.energy;
  const kept = energy?.[d - 1];
  const text = [
    `${K} \u00d7 ${C} kernels of ${R} \u00d7 ${S}${grouped} on ${d}`,
    ...(kept === undefined ? [] : [`${percent(kept)} of the energy`]),
    `${percent(nonZeros / all)} of the coefficients left`,
  ].join(" \u00b7 ");
  const heading =
    row === undefined
      ? breakable(name)
      : html`<a href="#${escapeHtml(layerAnchor(row.index))}">${breakable(name)}</a>`;
  const kernels = view.basis.map((values, index) => {
    const share = percent(at(uses, index) / (K * C), 0);
    return html`<li>${kernelPicture(values, S, R, `Basis kernel ${index + 1}`)}${escapeHtml(share)}</li>`;
  });
  const block = map.block.width * map.block.height;
  const note =
    block === 1
      ? `${K} \u00d7 ${C * d} coefficients`
      : `${K} \u00d7 ${C * d} coefficients; a point stands for ${counted(block, "coefficient")}, the stronger the more are left`;
  return html`<article data-name="${escapeHtml(name)}">
<div class="title-row"><h3>${heading}</h3>${energyBars(energy, d)}</div>
<p class="muted">${escapeHtml(text)}</p>
<ul class="strip">${kernels}</ul>
<img class="${escapeHtml(map.width > SHARP ? "map" : "map sharp")}" src="data:image/png;base64,${escapeHtml(map.png)}" width="${number(map.width)}" height="${number(map.height)}" alt="${escapeHtml(`Coefficients of ${name}: ${nonZeros} of ${all} are not zero`)}">
<p class="muted map-note">${escapeHtml(note)}</p>
</article>`;
}

/** Maps up to so wide are drawn with sharp edges: they are not made smaller. */
const SHARP = 240;

/** More taps than that are drawn as if they were a square of so many. */
const MOST_TAPS = 15;

function kernelPicture(values: readonly number[], columns: number, rows: number, name: string): Html {
  const most = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  const [width, height] = [Math.min(columns, MOST_TAPS), Math.min(rows, MOST_TAPS)];
  const cells: Html[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [row, column] = [Math.floor((y * rows) / height), Math.floor((x * columns) / width)];
      const value = at(values, row * columns + column);
      if (most === 0 || Math.abs(value) < 0.01 * most) continue;
      cells.push(
        html`<rect class="${escapeHtml(value > 0 ? "p" : "n")}" x="${number(x)}" y="${number(y)}" width="1" height="1" opacity="${number(Math.abs(value) / most)}"/>`,
      );
    }
  }
  return html`<svg viewBox="0 0 ${number(width)} ${number(height)}" role="img" aria-label="${escapeHtml(name)}">${cells}</svg>`;
}

/** More bars than that say nothing. */
const MOST_BARS = 25;

function energyBars(energy: readonly number[] | undefined, d: number): Html {
  if (energy === undefined) return html``;
  const bars = energy
    .slice(0, MOST_BARS)
    .map(
      (share, index) =>
        html`<i${index < d ? html` class="in"` : html``} style="--h:${number(100 * share)}%"></i>`,
    );
  return html`<span class="energy" aria-hidden="true">${bars}</span>`;
}
