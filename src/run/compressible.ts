import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { decompose, decompositionCandidates } from "../method/decompose.js";
import { prunableInitializers } from "../method/prune.js";
import { FROM_FLOAT, quantizedNode } from "../method/remarks.js";
import { fixedBasis, type Settings } from "./config.js";
import { checkTarget } from "./target.js";
import { untrainedPart } from "./trainability.js";

/**
 * Refuses a network without anything to compress, and says why it is so.
 * @throws PenniError "unsupported"
 */
function expectCompressible(graph: Graph): void {
  if (prunableInitializers(graph).length > 0) return;
  const [obstacle] = decompositionCandidates(graph);
  const quantized = quantizedNode(graph);
  const details =
    quantized === undefined
      ? { advice: "penni inspect says more about each layer" }
      : { node: quantized.name, op: quantized.op, advice: FROM_FLOAT };
  throw new PenniError("unsupported", "there is nothing to compress", {
    ...details,
    expected: "a network with convolutions of float32 weights",
    found:
      obstacle === undefined
        ? `no convolution, but ${[...new Set(graph.nodes.map((node) => node.op))].slice(0, 8).join(", ") || "no nodes"}`
        : `convolutions that stay as they are, as ${obstacle.layer === undefined ? obstacle.reason : "they are not pruned"}`,
  });
}

/** The network decomposed, if there is anything to compress and the target can be reached. */
export function checkCompressible(graph: Graph, settings: Settings, labelled: boolean): Graph {
  expectCompressible(graph);
  // Which outputs will be matched, and so what is frozen, is not known yet where there are no labels.
  const frozen = labelled ? untrainedPart(graph, settings) : new Set<string>();
  const decomposed = decompose(graph, { basis: fixedBasis(settings), frozen });
  // With fewer channels more can be reached: the run checks it when it knows them, before it trains.
  if (settings.channels === undefined)
    checkTarget({ graph, decomposed: () => decomposed, frozen, original: graph }, settings);
  return decomposed;
}
