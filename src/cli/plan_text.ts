import { orDefault } from "../graph/at.js";
import { criterionOf } from "../method/criteria/table.js";
import type { PlannedLayer, RunPlan } from "../run/plan.js";
import { terminalLine } from "../text/destinations.js";
import { describePlannedGoal } from "./goal_text.js";
import { describeShrinkReport } from "./shrink_text.js";
import { type Column, compactNumber, formatTable } from "./table.js";
import { wrap } from "./terminal.js";

type DecomposedLayer = Extract<PlannedLayer, { readonly d: number }>;

const columns: readonly Column<DecomposedLayer>[] = [
  { title: "layer", cell: (layer) => layer.name, dropOrder: 0 },
  { title: "weight", cell: (layer) => layer.weightDims.join("x"), dropOrder: 1 },
  { title: "basis", cell: (layer) => `${layer.d}`, align: "right", dropOrder: 0 },
];

/** What `penni compress --plan` prints, in lines of at most `width` characters. */
export function describePlan(plan: RunPlan, width: number): string {
  const decomposed = plan.layers.filter((layer) => "d" in layer);
  const table = decomposed.length === 0 ? [] : [formatTable(columns, decomposed, width)];
  const remarks = [
    describeChannels(plan),
    describeStart(plan),
    describeRest(plan.layers),
    describeTarget(plan),
  ].filter((text) => text !== "");
  return [
    ...table,
    ...(plan.goal === undefined ? [] : [describePlannedGoal(plan.goal, width)]),
    ...remarks.map((text) => wrap(text, width)),
    ...describeShrinking(plan, width),
  ].join("\n\n");
}

function describeShrinking({ shrink, channelMultiple }: RunPlan, width: number): readonly string[] {
  if (shrink === undefined) return [];
  const introduction =
    `Were it pruned now, before any training (channels stay in multiples of ${channelMultiple}; training brings ` +
    "other zeros):";
  return [wrap(introduction, width), describeShrinkReport(shrink, width)];
}

function describeChannels({ paperMacs: { original, narrow } }: RunPlan): string {
  if (narrow === undefined) return "";
  return (
    `Before anything else whole channels go until ${((100 * narrow) / original).toFixed(1)} % of the MACs are left. Which ` +
    "ones, and how many of each layer, images will tell; here all count the same."
  );
}

function describeStart({ start }: RunPlan): string {
  if (start === "svd") return "";
  return (
    "Bases and coefficients will be chosen from images, for each layer by what it matters. Without images this plan " +
    "has one number of basis kernels for all layers, and removes the smallest coefficients."
  );
}

function describeRest(layers: readonly PlannedLayer[]): string {
  const reasons = new Map<string, string[]>();
  for (const layer of layers) {
    if ("reason" in layer)
      reasons.set(layer.reason, [...orDefault(reasons.get(layer.reason), []), layer.name]);
  }
  if (reasons.size === 0) return "";
  const lines = [...reasons].map(([reason, names]) => terminalLine(`- ${reason}: ${names.join(", ")}`));
  return ["Not decomposed:", ...lines].join("\n");
}

function describeTarget({ prune, paperMacs }: RunPlan): string {
  const { original, decomposed, pruned } = paperMacs;
  const percent = (macs: number): string =>
    `${compactNumber(macs)} (${((100 * macs) / original).toFixed(1)} %)`;
  return (
    `Pruning: ${criterionOf(prune).description}. MACs of one image (paper count): original ${compactNumber(original)}, ` +
    `decomposed ${percent(decomposed)}, pruned ${percent(pruned)}.`
  );
}
