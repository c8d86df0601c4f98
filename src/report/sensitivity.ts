import { present } from "../graph/at.js";
import type { SkippedLayer } from "../method/sensitivity/layers.js";
import type { Effect, LayerSensitivity, Sensitivity } from "../method/sensitivity.js";
import { escapeHtml, type Html, html } from "../text/destinations.js";
import { counted, number } from "./format.js";
import { breakable } from "./html.js";
import { tools } from "./parts/layers.js";
import { judgementCard } from "./parts/overview.js";
import { type PlotSeries, plot } from "./plot.js";
import { type Recommendation, recommend, type Tolerance, toleranceOf } from "./recommendation.js";
import {
  type EffectView,
  effectViews,
  measuredOn,
  ranksShown,
  sharePercent,
  sparsitiesShown,
} from "./sensitivity_views.js";
import { type ReportSection, reportPage } from "./shell.js";
import { shellLine } from "./shell_words.js";

/** So many layers have a curve of their own. */
const CURVES = 8;
/** Text stays readable on a cell that is mixed with so much of the colour, in light and in dark. */
const STRONGEST = 60;

/** What was measured on. */
export interface SensitivitySource {
  /** The model's file and the images, as on the command line. */
  readonly model: string;
  readonly data: string;
}

/** One way of changing layers by degrees. */
interface Axis {
  readonly title: string;
  readonly label: string;
  readonly degrees: (sensitivity: Sensitivity) => readonly number[];
  readonly name: (degree: number) => string;
  readonly effects: (layer: LayerSensitivity) => readonly (readonly [degree: number, effect: Effect])[];
  readonly picked: (recommendation: Recommendation) => number | undefined;
  /** A degree on the curves' axis. */
  readonly position: (degree: number) => number;
}

const rankAxis: Axis = {
  title: "Few basis kernels",
  label: "basis kernels d",
  degrees: ranksShown,
  name: (d) => `d = ${d}`,
  effects: ({ ranks }) => ranks.map((effect) => [effect.d, effect] as const),
  picked: ({ basis }) => basis,
  position: (d) => d,
};

const sparsityAxis: Axis = {
  title: "Few coefficients",
  label: "removed, %",
  degrees: sparsitiesShown,
  name: (share) => `\u2212${sharePercent(share)}`,
  effects: ({ sparsities }) => sparsities.map((effect) => [effect.sparsity, effect] as const),
  picked: ({ sparsity }) => sparsity,
  position: (share) => 100 * share,
};

const axes = [rankAxis, sparsityAxis] as const;

/** The report of `penni sensitivity` on a model: an HTML document. @param title the model's name */
export function sensitivityPage(title: string, sensitivity: Sensitivity, source?: SensitivitySource): string {
  const tolerance = toleranceOf(sensitivity);
  const advised = sensitivity.layers.map((layer) => ({ layer, advice: recommend(layer, tolerance) }));
  const views = effectViews(sensitivity);
  return reportPage({
    title,
    eyebrow: [html`<span>Sensitivity report</span>`],
    sections: [
      conclusion(sensitivity, advised, tolerance, source),
      ...views.map((view, index) => tableSection(sensitivity, advised, view, tolerance, index)),
      ...curvesSection(sensitivity, views),
      ...skippedSection(sensitivity.skipped),
    ],
  });
}

interface Advised {
  readonly layer: LayerSensitivity;
  readonly advice: Recommendation;
}

/** So many of the layers are to do with the basis that is suggested for all. */
const MOST_LAYERS = 0.8;

function conclusion(
  sensitivity: Sensitivity,
  advised: readonly Advised[],
  { text }: Tolerance,
  source: SensitivitySource | undefined,
): ReportSection {
  const kernels = advised.filter(({ layer }) => layer.ranks.length > 1);
  const bases = kernels
    .map(({ advice }) => advice.basis)
    .filter((basis) => basis !== undefined)
    .toSorted((a, b) => a - b);
  const basis =
    bases.length < MOST_LAYERS * kernels.length
      ? undefined
      : bases[Math.ceil(MOST_LAYERS * kernels.length) - 1];
  const left = advised.filter(({ advice }) => advice.kind === "leave").length;
  const headline =
    basis === undefined
      ? "No one number of basis kernels suits most layers"
      : `Most layers do with ${counted(basis, "basis kernel")}`;
  const count = sensitivity.layers.length;
  const where =
    left === 0
      ? " No layer has to stay as it is."
      : ` Of ${counted(count, "layer")}, ${left} ${left === 1 ? "is best left as it is" : "are best left as they are"}.`;
  const words =
    source === undefined
      ? undefined
      : [
          "penni",
          "compress",
          source.model,
          "--data",
          source.data,
          ...(basis === undefined ? [] : ["--basis", `${basis}`]),
          "-o",
          "small",
        ];
  return {
    id: "result",
    title: "Result",
    isTitleHidden: true,
    body: [
      judgementCard({
        level: basis === undefined ? "fair" : "good",
        headline,
        text: `Tolerated for each layer alone: ${text}.${where} What several layers lose adds up, and retraining wins much of it back.`,
        next: words && { text: "Compress with it:", command: shellLine(words) },
      }),
      ...measuredOn(sensitivity)
        .split("\n")
        .map((line) => html`<p class="muted">${escapeHtml(line)}</p>`),
    ],
  };
}

const spoken: Readonly<Record<Recommendation["kind"], (advice: Recommendation) => string>> = {
  both: ({ basis, sparsity }) => `d = ${basis}, or remove ${sharePercent(present(sparsity))}`,
  basis: ({ basis }) => `d = ${basis}`,
  sparsity: ({ sparsity }) => `remove ${sharePercent(present(sparsity))}`,
  leave: () => "leave as it is",
};

function tableSection(
  sensitivity: Sensitivity,
  advised: readonly Advised[],
  view: EffectView,
  { text }: Tolerance,
  index: number,
): ReportSection {
  const shown = axes.map((axis) => ({ axis, degrees: axis.degrees(sensitivity) }));
  const groups = shown.filter(({ degrees }) => degrees.length > 0);
  const heads = groups.map(
    ({ axis, degrees }) =>
      html`<th scope="colgroup" class="group" colspan="${number(degrees.length)}">${escapeHtml(axis.title)}</th>`,
  );
  const names = groups.flatMap(({ axis, degrees }) =>
    degrees.map(
      (degree, at) =>
        html`<th scope="col"${at === 0 ? html` class="group"` : html``}>${escapeHtml(axis.name(degree))}</th>`,
    ),
  );
  const rows = advised.map(({ layer, advice }) => {
    const cells = groups.flatMap(({ axis, degrees }) => heatCells(layer, advice, axis, degrees, view));
    const basis = layer.basis === undefined ? "" : `, coefficients on ${layer.basis}`;
    return html`<tr data-name="${escapeHtml(layer.name)}"><th scope="row">${breakable(layer.name)}<span class="sub muted">${escapeHtml(`${layer.weightDims.join("\u00d7")}${basis}`)}</span></th><td class="advice">${escapeHtml(spoken[advice.kind](advice))}</td>${cells}</tr>`;
  });
  const title = `${view.title.slice(0, 1).toUpperCase()}${view.title.slice(1)}`;
  const explained =
    "Kernels are replaced by their best approximation on d basis kernels, or the smallest coefficients (weights, where there is no basis) are removed, in one layer at a time; nothing is retrained.";
  return {
    id: index === 0 ? "layers" : `layers-${index + 1}`,
    title,
    short: index === 0 ? "Layers" : `Layers: ${view.unit}`,
    body: [
      html`<p class="muted">${escapeHtml(explained)}</p>`,
      heatLegend(text),
      tools("layers"),
      html`<div class="card"><div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(`Table: ${title}`)}"><table class="heat"><caption class="hidden">${escapeHtml(title)}</caption>
<thead><tr><th scope="col" rowspan="2">Layer</th><th scope="col" rowspan="2" class="text">Recommended</th>${heads}</tr><tr>${names}</tr></thead>
<tbody>
${rows}
</tbody></table></div></div>`,
    ],
  };
}

function heatLegend(tolerated: string): Html {
  const steps = [0, 0.25, 0.5, 0.75, 1].map(
    (share) => html`<i style="--h:${number(STRONGEST * share)}%"></i>`,
  );
  return html`<p class="muted"><span class="key">nothing lost <span class="swatches" aria-hidden="true">${steps}</span> all lost</span>, by the square root, so that small losses show.\u2002 Framed: the furthest with ${escapeHtml(tolerated)}.\u2002 ?: not finite.</p>`;
}

function heatCells(
  layer: LayerSensitivity,
  advice: Recommendation,
  axis: Axis,
  degrees: readonly number[],
  view: EffectView,
): readonly Html[] {
  const values = valuesOf(layer, axis, view);
  return degrees.map((degree, at) => {
    const value = values.get(degree);
    const classes = [
      ...(at === 0 ? ["group"] : []),
      ...(axis.picked(advice) === degree ? ["pick"] : []),
    ].join(" ");
    if (value === undefined) return html`<td class="${escapeHtml(classes)}"></td>`;
    const strength = Number.isNaN(value) ? 1 : Math.sqrt(view.loss(value));
    return html`<td class="${escapeHtml(classes)}"><span style="--h:${number(STRONGEST * strength)}%">${escapeHtml(view.format(value))}</span></td>`;
  });
}

function valuesOf(layer: LayerSensitivity, axis: Axis, view: EffectView): ReadonlyMap<number, number> {
  return new Map(axis.effects(layer).map(([degree, effect]) => [degree, view.value(effect)]));
}

/** Curves of the layers that lose most; nothing where there would be single points. */
function curvesSection(sensitivity: Sensitivity, views: readonly EffectView[]): readonly ReportSection[] {
  const charts = views.flatMap((view) => axes.flatMap((axis) => curves(sensitivity.layers, axis, view)));
  if (charts.length === 0) return [];
  return [
    {
      id: "curves",
      title: "The layers that lose most",
      short: "Curves",
      body: html`<div class="plots">${charts}</div>`,
    },
  ];
}

function curves(layers: readonly LayerSensitivity[], axis: Axis, view: EffectView): readonly Html[] {
  const ranked = layers
    .filter((layer) => axis.effects(layer).length > 0)
    .map((layer) => {
      const values = valuesOf(layer, axis, view);
      const losses = [...values.values()].map((value) => (Number.isNaN(value) ? 1 : view.loss(value)));
      return { layer, values, loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length };
    })
    .sort((a, b) => b.loss - a.loss)
    .slice(0, CURVES);
  if (ranked.every(({ values }) => values.size < 2)) return [];
  const series = ranked.map(({ layer, values }): PlotSeries => {
    const points = [...values].map(([degree, value]) => ({ x: axis.position(degree), y: value }));
    return { name: layer.name, points };
  });
  return [plot({ title: axis.title, xLabel: axis.label, yLabel: view.title, yText: view.format, series })];
}

function skippedSection(skipped: readonly SkippedLayer[]): readonly ReportSection[] {
  if (skipped.length === 0) return [];
  const reasons = [...new Set(skipped.map(({ reason }) => reason))];
  const items = reasons.map((reason) => {
    const names = skipped.filter((layer) => layer.reason === reason).map(({ name }) => name);
    return html`<li><b>${escapeHtml(reason)}</b>: <span class="mono">${escapeHtml(names.join(", "))}</span></li>`;
  });
  return [{ id: "left", title: "Not measured", body: html`<ul class="reasons">${items}</ul>` }];
}
