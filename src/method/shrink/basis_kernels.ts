import { withInitializers } from "../../graph/edit.js";
import { linkGraph } from "../../graph/links.js";
import { everything, identityMapping } from "../../graph/mapping.js";
import { type Selection, selectAxes } from "../../graph/select.js";
import { float32Data } from "../../graph/tensor.js";
import type { Graph, Tensor } from "../../graph/types.js";
import { findDecomposition } from "../../layers/decomposition.js";
import type { Shrunk } from "./apply.js";

/**
 * Drops the basis kernels whose coefficients are all zero; every layer keeps at least one. A basis that several
 * layers share stays as it is. The very same graph if there is nothing to drop.
 */
export function dropUnusedBasisKernels(graph: Graph): Shrunk {
  const links = linkGraph(graph);
  const kept: [string, Tensor, Selection][] = [];
  for (const node of graph.nodes) {
    const decomposition = findDecomposition(links, node);
    if (decomposition === undefined || decomposition.shared) continue;
    const { coefs, basis, dims } = decomposition;
    if (links.readers.get(basis.name)?.length !== 1 || links.outputNames.has(basis.name)) continue;
    const used = usedKernels(coefs.tensor, dims.basis);
    if (used.length === dims.basis) continue;
    kept.push([coefs.name, coefs.tensor, [undefined, undefined, used]], [basis.name, basis.tensor, [used]]);
  }
  if (kept.length === 0) return { graph, mapping: identityMapping(graph) };
  const selected = kept.map(([name, tensor, kept]) => [name, selectAxes(tensor, kept)] as const);
  const origins = kept.map(([name, { dims }, kept]) => [name, { ...everything(name, dims), kept }] as const);
  return {
    graph: withInitializers(graph, selected),
    mapping: new Map([...identityMapping(graph), ...origins]),
  };
}

function usedKernels(coefs: Tensor, basis: number): readonly number[] {
  const used = new Set<number>();
  float32Data(coefs).forEach((value, at) => {
    if (value !== 0) used.add(at % basis);
  });
  return used.size === 0 ? [0] : [...used].sort((a, b) => a - b);
}
