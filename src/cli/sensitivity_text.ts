import type { LayerSensitivity, Sensitivity } from "../method/sensitivity.js";
import {
  type EffectView,
  effectViews,
  measuredOn,
  ranksShown,
  sharePercent,
  sparsitiesShown,
} from "../report/sensitivity_views.js";
import { terminalLine } from "../text/destinations.js";
import { type Column, formatTable } from "./table.js";
import { wrap } from "./terminal.js";

const nameColumn: Column<LayerSensitivity> = { title: "layer", cell: (layer) => layer.name, dropOrder: 0 };

/** Ranks from here on are left out where the line is narrow, the largest first. */
const RANKS_KEPT = 5;

function rankColumns(sensitivity: Sensitivity, view: EffectView): readonly Column<LayerSensitivity>[] {
  return ranksShown(sensitivity).map((d, index) => ({
    title: `d=${d}`,
    cell: ({ ranks }) => {
      const effect = ranks.find((each) => each.d === d);
      return effect === undefined ? "" : view.format(view.value(effect));
    },
    align: "right",
    dropOrder: Math.max(0, index - RANKS_KEPT + 1),
  }));
}

function sparsityColumns(sensitivity: Sensitivity, view: EffectView): readonly Column<LayerSensitivity>[] {
  return sparsitiesShown(sensitivity).map((share) => ({
    title: sharePercent(share),
    cell: ({ sparsities }) => {
      const effect = sparsities.find((each) => each.sparsity === share);
      return effect === undefined ? "" : view.format(view.value(effect));
    },
    align: "right",
    dropOrder: 0,
  }));
}

const shapeColumns: readonly Column<LayerSensitivity>[] = [
  { title: "weight", cell: ({ weightDims }) => weightDims.join("x"), dropOrder: 2 },
  { title: "basis", cell: ({ basis }) => `${basis ?? "none"}`, align: "right", dropOrder: 1 },
];

function tables(sensitivity: Sensitivity, view: EffectView, width: number): readonly string[] {
  const ranked = sensitivity.layers.filter(({ ranks }) => ranks.length > 1);
  const thinned = sensitivity.layers.filter(({ sparsities }) => sparsities.length > 0);
  const section = (text: string, columns: readonly Column<LayerSensitivity>[], rows: typeof ranked) =>
    rows.length === 0
      ? []
      : [`${wrap(terminalLine(text), width)}\n\n${formatTable([nameColumn, ...columns], rows, width)}`];
  const title = `${view.title.slice(0, 1).toUpperCase()}${view.title.slice(1)}`;
  return [
    ...section(
      `${title}, with d basis kernels in one layer alone (SVD):`,
      rankColumns(sensitivity, view),
      ranked,
    ),
    ...section(
      `${title}, with this share of the smallest coefficients of one layer alone removed (of the weights where it ` +
        "has no basis):",
      [...shapeColumns, ...sparsityColumns(sensitivity, view)],
      thinned,
    ),
  ];
}

function describeSkipped({ skipped }: Sensitivity): readonly string[] {
  if (skipped.length === 0) return [];
  const reasons = [...new Set(skipped.map(({ reason }) => reason))];
  const lines = reasons.map((reason) => {
    const [first, ...more] = skipped.filter((layer) => layer.reason === reason);
    return terminalLine(`- ${reason}: ${first?.name}${more.length > 0 ? ` and ${more.length} more` : ""}`);
  });
  return [["Not measured:", ...lines].join("\n")];
}

/** What `penni sensitivity` prints, in lines of at most `width` characters. */
export function describeSensitivity(sensitivity: Sensitivity, width: number): string {
  return [
    wrap(terminalLine(measuredOn(sensitivity)), width),
    ...effectViews(sensitivity).flatMap((view) => tables(sensitivity, view, width)),
    ...describeSkipped(sensitivity).map((text) => wrap(text, width)),
  ].join("\n\n");
}
