import type { LayerShrink, LayerSize, ShrinkReport } from "../method/shrink/report.js";
import { terminalLine } from "../text/destinations.js";
import { type Column, formatTable } from "./table.js";
import { wrap } from "./terminal.js";

/** "64 → 48", or "64" where nothing goes, or "64 → -" where the layer goes. */
function change(layer: LayerShrink, pick: (size: LayerSize) => number | undefined): string {
  const before = pick(layer.before);
  if (before === undefined) return "";
  const after = layer.after === undefined ? "-" : pick(layer.after);
  return after === before ? `${before}` : `${before} → ${after}`;
}

/** Of a decomposed layer, the (channel, basis kernel) pairs before and after. */
function pairs({ before, removedPairs }: LayerShrink): string {
  if (before.pairs === undefined || removedPairs === undefined) return "";
  const { total } = before.pairs;
  return removedPairs.length === 0 ? `${total}` : `${total} → ${total - removedPairs.length}`;
}

const columns: readonly Column<LayerShrink>[] = [
  { title: "layer", cell: (layer) => layer.name, dropOrder: 0 },
  { title: "operator", cell: (layer) => layer.op, dropOrder: 3 },
  { title: "inputs", cell: (layer) => change(layer, (size) => size.inputs), align: "right", dropOrder: 0 },
  { title: "outputs", cell: (layer) => change(layer, (size) => size.outputs), align: "right", dropOrder: 0 },
  { title: "basis", cell: (layer) => change(layer, (size) => size.basis), align: "right", dropOrder: 2 },
  { title: "pairs", cell: pairs, align: "right", dropOrder: 1 },
];

const LEGEND =
  "Channels of each layer, before → after. pairs: in a decomposed layer, the (channel, basis kernel) maps that some " +
  "output uses; all others need not be computed.";

function isChanged({ removedInputs, removedOutputs, removedPairs = [] }: LayerShrink): boolean {
  return removedInputs.length + removedOutputs.length + removedPairs.length > 0;
}

const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;

function totals({ layers }: ShrinkReport): string {
  const sum = (pick: (layer: LayerShrink) => number): number =>
    layers.reduce((total, layer) => total + pick(layer), 0);
  const [inputs, outputs] = [
    sum((layer) => layer.removedInputs.length),
    sum((layer) => layer.removedOutputs.length),
  ];
  const removedPairs = sum(({ removedPairs }) => (removedPairs === undefined ? 0 : removedPairs.length));
  const gone = layers.filter((layer) => layer.after === undefined).length;
  return [
    `Shrinking removes ${plural(outputs, "output channel")} and ${plural(inputs, "input channel")}`,
    ` and ${plural(removedPairs, "(channel, basis) pair")} from ${plural(layers.length, "layer")}`,
    gone === 0 ? "." : `; ${plural(gone, "layer")} of them with everything.`,
  ].join("");
}

/** What shrinking would remove, and the nodes that keep it from removing more, in lines of at most `width` characters. */
export function describeShrinkReport(report: ShrinkReport, width: number): string {
  const changed = report.layers.filter(isChanged);
  const table = changed.length === 0 ? [] : [formatTable(columns, changed, width), wrap(LEGEND, width)];
  const kept = report.layers.length - changed.length;
  const rest =
    kept === 0
      ? ""
      : ` ${plural(kept, "layer")} stay${kept === 1 ? "s" : ""} as ${kept === 1 ? "it is" : "they are"}.`;
  return [...table, wrap(`${totals(report)}${rest}`, width), describeWalls(report, width)].join("\n\n");
}

function describeWalls({ walls }: ShrinkReport, width: number): string {
  if (walls.length === 0) return wrap("No node keeps channels from being removed.", width);
  const lines = walls.map(({ node, op, reason }) =>
    wrap(terminalLine(`- ${node} (${op}): ${reason}`), width),
  );
  return [wrap("All channels of these nodes stay:", width), ...lines].join("\n");
}
