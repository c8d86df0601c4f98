import { withInitializers } from "../../graph/edit.js";
import { linkGraph } from "../../graph/links.js";
import { selectAxis } from "../../graph/select.js";
import { float32Data } from "../../graph/tensor.js";
import type { Graph, Tensor } from "../../graph/types.js";
import { findDecomposition } from "../../ops/decomposition.js";

/**
 * Drops the basis kernels whose coefficients are all zero; every layer keeps at least one. A basis that several
 * layers share stays as it is. Returns the very same graph if there is nothing to drop.
 */
export function dropUnusedBasisKernels(graph: Graph): Graph {
  const links = linkGraph(graph);
  const changed: [string, Tensor][] = [];
  for (const node of graph.nodes) {
    const decomposition = findDecomposition(links, node);
    if (decomposition === undefined || decomposition.shared) continue;
    const { coefs, basis, dims } = decomposition;
    if (links.readers.get(basis.name)?.length !== 1) continue;
    const used = usedKernels(coefs.tensor, dims.basis);
    if (used.length === dims.basis) continue;
    changed.push(
      [coefs.name, selectAxis(coefs.tensor, 2, used)],
      [basis.name, selectAxis(basis.tensor, 0, used)],
    );
  }
  return changed.length === 0 ? graph : withInitializers({ ...graph, valueInfo: new Map() }, changed);
}

function usedKernels(coefs: Tensor, basis: number): readonly number[] {
  const used = new Set<number>();
  float32Data(coefs).forEach((value, at) => {
    if (value !== 0) used.add(at % basis);
  });
  return used.size === 0 ? [0] : [...used].sort((a, b) => a - b);
}
