import type { Effect, LayerSensitivity, Sensitivity } from "../method/sensitivity.js";
import type { Chart } from "./chart.js";
import { heatMaps } from "./heat_map.js";
import { lineChart, type Series } from "./line_chart.js";
import { type PageSection, type PageTable, page } from "./page.js";
import {
  type EffectView,
  effectViews,
  measuredOn,
  ranksShown,
  sharePercent,
  sparsitiesShown,
} from "./sensitivity_views.js";

/** So many layers have a curve of their own. */
const CURVES = 8;

/** One way of changing layers by degrees. */
interface Axis {
  readonly title: string;
  readonly text: string;
  readonly columnLabel: string;
  readonly degrees: (sensitivity: Sensitivity) => readonly number[];
  readonly label: (degree: number) => string;
  readonly effects: (layer: LayerSensitivity) => readonly (readonly [degree: number, effect: Effect])[];
  /** A degree on the curves' axis. */
  readonly position: (degree: number) => number;
}

const rankAxis: Axis = {
  title: "Rank: few basis kernels",
  text:
    "The kernels of one layer are replaced by their best approximation on d basis kernels (SVD), everything else is " +
    "untouched and nothing is retrained. A basis as large as the kernel reproduces the layer and is not run.",
  columnLabel: "basis kernels d",
  degrees: ranksShown,
  label: (d) => `${d}`,
  effects: ({ ranks }) => ranks.map((effect) => [effect.d, effect] as const),
  position: (d) => d,
};

const sparsityAxis: Axis = {
  title: "Sparsity: few coefficients",
  text:
    "The smallest coefficients of one layer on its basis are removed, or its smallest weights where it has no basis " +
    "(the table below says how many kernels each basis has).",
  columnLabel: "removed, %",
  degrees: sparsitiesShown,
  label: (share) => `${Number((100 * share).toFixed(2))}`,
  effects: ({ sparsities }) => sparsities.map((effect) => [effect.sparsity, effect] as const),
  position: (share) => 100 * share,
};

function valuesOf(layer: LayerSensitivity, axis: Axis, view: EffectView): ReadonlyMap<number, number> {
  return new Map(axis.effects(layer).map(([degree, effect]) => [degree, view.value(effect)]));
}

/** Small losses are told apart, too: the colour goes with the square root. */
const intensity = (view: EffectView) => (value: number) =>
  Number.isNaN(value) ? 1 : Math.sqrt(view.loss(value));

function charts(sensitivity: Sensitivity, axis: Axis, view: EffectView): readonly Chart[] {
  const degrees = axis.degrees(sensitivity);
  const layers = sensitivity.layers.filter((layer) => axis.effects(layer).length > 0);
  const cells = layers.map((layer) => {
    const values = valuesOf(layer, axis, view);
    return { name: layer.name, values: degrees.map((degree) => values.get(degree)) };
  });
  const maps = heatMaps({
    title: `By layer: ${view.title}`,
    xLabel: axis.columnLabel,
    columns: degrees.map(axis.label),
    rows: cells,
    format: view.format,
    intensity: intensity(view),
  });
  return [...maps, ...curves(layers, axis, view)];
}

/** Curves of the layers that lose most, on average over all degrees; nothing where there would be single points. */
function curves(layers: readonly LayerSensitivity[], axis: Axis, view: EffectView): readonly Chart[] {
  const ranked = layers
    .map((layer) => {
      const values = valuesOf(layer, axis, view);
      const losses = [...values.values()].map((value) => (Number.isNaN(value) ? 1 : view.loss(value)));
      return { layer, values, loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length };
    })
    .sort((a, b) => b.loss - a.loss)
    .slice(0, CURVES);
  if (ranked.every(({ values }) => values.size < 2)) return [];
  const series = ranked.map(({ layer, values }): Series => {
    return { name: layer.name, points: [...values].map(([degree, value]) => [axis.position(degree), value]) };
  });
  const count = series.length < layers.length ? `The ${series.length} layers that lose most` : "All layers";
  return [
    lineChart({ title: `${count}: ${view.title}`, xLabel: axis.columnLabel, yLabel: view.unit, series }),
  ];
}

function axisSection(sensitivity: Sensitivity, axis: Axis): readonly PageSection[] {
  if (axis.degrees(sensitivity).length === 0) return [];
  const pictures = effectViews(sensitivity).flatMap((view) => charts(sensitivity, axis, view));
  return [{ title: axis.title, paragraphs: [axis.text], charts: pictures }];
}

function table(sensitivity: Sensitivity, view: EffectView): PageTable {
  const ranks = ranksShown(sensitivity);
  const shares = sparsitiesShown(sensitivity);
  const row = (layer: LayerSensitivity): readonly string[] => {
    const cell = (axis: Axis) => {
      const values = valuesOf(layer, axis, view);
      return (degree: number): string => {
        const value = values.get(degree);
        return value === undefined ? "" : view.format(value);
      };
    };
    const basis = layer.basis === undefined ? "none" : `${layer.basis}`;
    const numbers = [...ranks.map(cell(rankAxis)), ...shares.map(cell(sparsityAxis))];
    return [
      layer.name,
      layer.weightDims.join("\u00D7"),
      ...numbers.slice(0, ranks.length),
      basis,
      ...numbers.slice(ranks.length),
    ];
  };
  return {
    caption: `By layer: ${view.title}. Basis: the kernels on which coefficients are removed.`,
    head: [
      "layer",
      "weight",
      ...ranks.map((d) => `d = ${d}`),
      "basis",
      ...shares.map((share) => `\u2212${sharePercent(share)}`),
    ],
    rows: sensitivity.layers.map(row),
  };
}

function skippedSection({ skipped }: Sensitivity): readonly PageSection[] {
  if (skipped.length === 0) return [];
  const reasons = [...new Set(skipped.map(({ reason }) => reason))];
  const paragraphs = reasons.map((reason) => {
    const names = skipped.filter((layer) => layer.reason === reason).map(({ name }) => name);
    return `${reason}: ${names.join(", ")}`;
  });
  return [{ title: "Not measured", paragraphs }];
}

/** The report of `penni sensitivity` on a model: an HTML document. */
export function sensitivityPage(model: string, sensitivity: Sensitivity): string {
  const colour = "Colours: the redder, the worse; by the square root of the loss, so that small ones show.";
  return page({
    title: `Sensitivity of ${model}`,
    sections: [
      { title: "What was measured", paragraphs: [measuredOn(sensitivity), colour] },
      ...axisSection(sensitivity, rankAxis),
      ...axisSection(sensitivity, sparsityAxis),
      ...effectViews(sensitivity).map((view) => ({ title: "All numbers", table: table(sensitivity, view) })),
      ...skippedSection(sensitivity),
    ],
  });
}
