import type { WeightsType } from "../graph/weights_type.js";
import type { InspectedLayer, Inspection } from "../method/inspect.js";
import type { Remark } from "../method/remarks.js";
import type { Verdict } from "../method/verdict.js";
import { terminalLine } from "../text/destinations.js";
import { describeExpectation } from "./expectation_text.js";
import { type Column, compactNumber, formatTable } from "./table.js";
import { wrap } from "./terminal.js";
import { describeVerdict } from "./verdict_text.js";

/** How a model holds its weights. */
export interface StoredWeightsSummary {
  readonly type: WeightsType;
  /** Of all constants, zeros included. */
  readonly bytes: number;
}

/** What `penni inspect` finds in a model. */
export interface InspectedModel extends Inspection {
  readonly weights?: StoredWeightsSummary;
  readonly remarks: readonly Remark[];
  readonly verdict: Verdict;
}

const percent = (share: number | undefined): string =>
  share === undefined ? "" : (100 * share).toFixed(share === 1 ? 0 : 1);

/** Columns of energy kept: d = 1..9. The odd ones go last where the line is narrow. */
const energyColumns: readonly Column<InspectedLayer>[] = Array.from({ length: 9 }, (_, index) => ({
  title: `d=${index + 1}`,
  cell: (layer) => percent(layer.energy?.[index]),
  align: "right",
  dropOrder: index % 2 === 1 ? 5 : 3,
}));

const columns: readonly Column<InspectedLayer>[] = [
  { title: "layer", cell: (layer) => layer.name, dropOrder: 0 },
  { title: "operator", cell: (layer) => layer.op, dropOrder: 4 },
  {
    title: "weight",
    cell: ({ weightDims }) => (weightDims === undefined ? "" : weightDims.join("x")),
    dropOrder: 2,
  },
  { title: "params", cell: (layer) => compactNumber(layer.parameters), align: "right", dropOrder: 0 },
  { title: "MACs", cell: (layer) => compactNumber(layer.paperMacs), align: "right", dropOrder: 0 },
  ...energyColumns,
  { title: "best d", cell: (layer) => bestBasis(layer), align: "right", dropOrder: 1 },
  {
    title: "its MACs",
    cell: ({ basisChoice }) => (basisChoice === undefined ? "" : compactNumber(basisChoice.paperMacs)),
    align: "right",
    dropOrder: 1,
  },
];

function bestBasis({ basisChoice, decomposed, energy }: InspectedLayer): string {
  if (decomposed !== undefined) return `has ${decomposed.d} (${percent(decomposed.density)} %)`;
  if (basisChoice === undefined) return "";
  return basisChoice.d === energy?.length ? "all" : `${basisChoice.d}`;
}

const LEGEND =
  "MACs are multiply-accumulates of one input, by the paper's count. d=N: share of the kernels' energy (squared " +
  "norm, in %) that a basis of N kernels keeps; best d: the smallest that keeps 99 %; its MACs: the layer's with " +
  'that basis, before pruning; "all": no basis saves anything, so the weights are pruned as they are. "has N (P %)": decomposed with N kernels, P % of the coefficients are not zero.';

/** What `penni inspect` prints, in lines of at most `width` characters. */
export function describeInspection(inspection: InspectedModel, width: number): string {
  const { layers, parameters, paperMacs, executedMacs, weights } = inspection;
  const computing = layers.filter((layer) => layer.executedMacs > 0);
  const totals = [
    `Totals: ${parameters} parameters, ${paperMacs} MACs (paper count),`,
    `${executedMacs} MACs executed by ONNX Runtime.`,
    ...(weights === undefined ? [] : [`Weights: ${weights.type}, ${weights.bytes} bytes (zeros included).`]),
  ].join(" ");
  const table = computing.length === 0 ? [] : [formatTable(columns, computing, width)];
  const remarks = [
    totals,
    ...describeExpectation(layers),
    LEGEND,
    ...describeElementwise(layers),
    ...describeLimits(inspection),
    ...describeRemarks(inspection),
  ];
  return [
    ...table,
    ...remarks.map((remark) => wrap(remark, width)),
    ...describeVerdict(inspection.verdict, width),
  ].join("\n\n");
}

function groupBy(
  layers: readonly InspectedLayer[],
  keyOf: (layer: InspectedLayer) => string | undefined,
): ReadonlyMap<string, readonly InspectedLayer[]> {
  const groups = new Map<string, InspectedLayer[]>();
  for (const layer of layers) {
    const key = keyOf(layer);
    if (key === undefined) continue;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [layer]);
    else group.push(layer);
  }
  return groups;
}

/** Layers that have parameters but no multiply-accumulates are summed up, by operator. */
function describeElementwise(layers: readonly InspectedLayer[]): readonly string[] {
  const groups = groupBy(layers, (layer) => (layer.executedMacs > 0 ? undefined : layer.op));
  const parts = [...groups].map(([op, found]) => {
    const parameters = found.reduce((sum, layer) => sum + layer.parameters, 0);
    return terminalLine(`${found.length} ${op} with ${parameters} parameters`);
  });
  return parts.length === 0 ? [] : [`Not in the table, without multiply-accumulates: ${parts.join(", ")}.`];
}

function describeLimits({ layers, convolutions, uncounted }: Inspection): readonly string[] {
  if (convolutions === 0) {
    return ["This model has no convolution: there is nothing in it that Penni can compress."];
  }
  const groups = groupBy(layers, (layer) => layer.reason);
  const lines: string[] = [...groups].map(([reason, found]) =>
    terminalLine(`- ${reason}: ${listNames(found)}`),
  );
  if (uncounted.length > 0) {
    const operators = [...new Set(uncounted.map((node) => node.op))].join(", ");
    lines.push(
      terminalLine(
        `- unknown to Penni, or behind what is, so not counted (${operators}): ${listNames(uncounted)}`,
      ),
    );
  }
  return lines.length === 0 ? [] : [["Not decomposed:", ...lines].join("\n")];
}

function describeRemarks({ remarks }: InspectedModel): readonly string[] {
  if (remarks.length === 0) return [];
  const lines = remarks.map(({ problem, nodes, advice }) => {
    const operators = [...new Set(nodes.map(({ op }) => op))].join(", ");
    const where = nodes.length === 0 ? "" : `${listNames(nodes)} (${operators}): `;
    return terminalLine(`- ${where}${problem}. ${advice}.`);
  });
  return [["Remarks:", ...lines].join("\n")];
}

const NAMES_SHOWN = 4;

function listNames(items: readonly { readonly name: string }[]): string {
  const shown = items
    .slice(0, NAMES_SHOWN)
    .map(({ name }) => name)
    .join(", ");
  const more = items.length - NAMES_SHOWN;
  return more > 0 ? `${shown} and ${more} more` : shown;
}
