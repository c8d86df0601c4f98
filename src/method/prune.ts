import { countOf, entryOf, present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { float32Data } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";
import { findDecompositions } from "../layers/weights.js";
import { countGraph, type GraphCount } from "../measure/count.js";
import {
  applyFactor,
  type Candidate,
  type Cuttable,
  candidates,
  type LayerScales,
  type Pruning,
  remainingProducts,
  thresholdOf,
} from "./prune_layers.js";

export { type LayerScales, type PrunedLayer, type Pruning, prunableInitializers } from "./prune_layers.js";

/**
 * The paper's pruning rule (section 3.3): coefficients smaller in magnitude than `factor` standard deviations of
 * their layer's coefficients become zero; the weights of convolutions that are not decomposed (1x1 ones, and those
 * where a basis saves nothing) the same way. The paper's factor is 1. What is zero already stays masked.
 * @throws PenniError "bad-option" unless the factor is a finite number from 0.
 */
export function pruneCoefficients(graph: Graph, options: { readonly factor: number } & LayerScales): Pruning {
  const { factor } = options;
  if (!Number.isFinite(factor) || factor < 0) {
    throw new PenniError("bad-option", "the pruning factor is no multiple of a standard deviation", {
      expected: "a number from 0",
      found: `${factor}`,
      advice: "The paper uses 1",
    });
  }
  return applyFactor(graph, candidates(graph, options), factor);
}

export interface MacsTarget extends LayerScales, Cuttable {
  /** Paper-count MACs to reach, as a fraction of `originalMacs`; in (0, 1]. */
  readonly fraction: number;
  /**
   * Paper-count MACs of the original network for the same input dimensions. By default those of the graph with dense
   * kernels in place of its bases, which are the original's as long as the graph is not shrunk and its decomposed
   * layers had no zeros.
   */
  readonly originalMacs?: number;
  /**
   * What the loss is expected to rise by without each value, by the name of the initializer (`lossesWithout`). Then what
   * goes is what costs the least loss for each multiply-accumulate, in all layers alike; layers without an entry stay.
   */
  readonly losses?: ReadonlyMap<string, Float32Array> | undefined;
}

/**
 * Prunes with the smallest common multiple of the layers' standard deviations at which the paper-count MACs
 * are at most `fraction` of the original network's. The graph's input dimensions must be fixed.
 * @throws PenniError "bad-option" if pruning everything would not be enough, or the fraction is not in (0, 1].
 */
export function pruneToMacs(graph: Graph, target: MacsTarget): Pruning {
  const { layers, original, macs } = prunedMacs(graph, target);
  const least = original === 0 ? 0 : macs(LARGEST_FACTOR) / original;
  checkReachable(target.fraction, least, "a smaller --basis, or --preset calibrate");
  const factor = smallestFactor((candidate) => macs(candidate) <= target.fraction * original);
  return applyFactor(graph, layers, factor);
}

/** The smallest fraction that `pruneToMacs` can reach, without a coefficient that may go, and the largest that it leaves. */
export function prunedShares(
  graph: Graph,
  target: Omit<MacsTarget, "fraction">,
): { readonly least: number; readonly most: number } {
  const { original, macs } = prunedMacs(graph, target);
  const share = (factor: number): number => (original === 0 ? 0 : macs(factor) / original);
  return { least: share(LARGEST_FACTOR), most: share(0) };
}

/** Everything that may be pruned set to zero, however large. */
export function pruneAll(graph: Graph, scales: LayerScales = {}): Graph {
  return applyFactor(graph, candidates(graph, scales), LARGEST_FACTOR).graph;
}

interface PrunedMacs {
  readonly layers: readonly Candidate[];
  readonly original: number;
  /** Multiply-accumulates (paper count) after pruning with a factor. */
  readonly macs: (factor: number) => number;
}

function prunedMacs(graph: Graph, target: Omit<MacsTarget, "fraction">): PrunedMacs {
  const count = countGraph(graph);
  const original = target.originalMacs ?? undecomposedMacs(graph, count);
  const positions = new Map<string, number>();
  for (const { sparse } of count.layers)
    if (sparse !== undefined)
      positions.set(sparse.initializer, countOf(positions, sparse.initializer) + sparse.positions);
  const layers = candidates(graph, target, target.losses && sizesByLoss(graph, target.losses, positions));
  let fixed = count.paperMacs;
  for (const { sparse } of count.layers)
    if (sparse !== undefined)
      fixed -= sparse.positions * (sparse.nonZeros + cuttableMacs(layers, sparse.initializer));
  const macs = (factor: number): number =>
    layers.reduce(
      (sum, layer) =>
        sum + remainingProducts(layer, thresholdOf(layer, factor)) * countOf(positions, layer.initializer),
      fixed,
    );
  return { layers, original, macs };
}

/** What a value counts at least that is not zero, so that it goes last of those that cost nothing, not by itself. */
const LEAST_SIZE = 1e-18;

/** Roots of the loss for each multiply-accumulate, so that a threshold t prices one at t^2, as for magnitudes. */
function sizesByLoss(
  { initializers }: Graph,
  losses: ReadonlyMap<string, Float32Array>,
  positions: ReadonlyMap<string, number>,
): ReadonlyMap<string, Float32Array> {
  return new Map(
    [...losses].map(([name, of]) => {
      const macs = Math.max(1, countOf(positions, name));
      const sizes = float32Data(entryOf(initializers, name)).map((value, at) =>
        value === 0 ? 0 : Math.max(LEAST_SIZE, Math.sqrt(present(of[at]) / macs)),
      );
      return [name, sizes] as const;
    }),
  );
}

/** Products that all kernels of a basis that can be cut cost at each output position. */
function cuttableMacs(layers: readonly Candidate[], initializer: string): number {
  const basis = layers.find((layer) => layer.initializer === initializer)?.cuttable;
  return basis === undefined ? 0 : basis.d * basis.kernelMacs;
}

function undecomposedMacs(graph: Graph, { layers }: GraphCount): number {
  const decomposed = new Set(findDecompositions(graph).map(({ conv }) => conv));
  return layers.reduce(
    (sum, { node, paperMacs, executedMacs }) => sum + (decomposed.has(node) ? executedMacs : paperMacs),
    0,
  );
}

/**
 * How many values each prunable initializer of a network may keep so that no layer costs more multiply-accumulates
 * (paper count) than the same layer did originally, for `LayerScales.limits`. Layers are the same if they compute a value
 * of the same name; others have no limit.
 * @param original with fixed input dimensions, those of `graph`
 */
export function nonZeroLimits(original: Graph, graph: Graph): ReadonlyMap<string, number> {
  const before = new Map(
    countGraph(original).layers.map(({ node, paperMacs }) => [node.outputs[0], paperMacs]),
  );
  const room = new Map<string, { macs: number; positions: number }>();
  for (const { node, paperMacs, sparse } of countGraph(graph).layers) {
    const most = before.get(node.outputs[0]);
    if (sparse === undefined || most === undefined) continue;
    const { macs, positions } = room.get(sparse.initializer) ?? { macs: 0, positions: 0 };
    const fixed = paperMacs - sparse.positions * sparse.nonZeros;
    room.set(sparse.initializer, { macs: macs + most - fixed, positions: positions + sparse.positions });
  }
  return new Map(
    [...room].flatMap(([initializer, { macs, positions }]) =>
      positions === 0 ? [] : [[initializer, Math.max(0, Math.floor(macs / positions))] as const],
    ),
  );
}

/**
 * Refuses a fraction of the original's multiply-accumulates (paper count) below the least that can be reached.
 * @param otherwise what else may help
 * @throws PenniError "bad-option"
 */
export function checkReachable(fraction: number, minimum: number, otherwise: string): void {
  if (!(fraction > 0 && fraction <= 1)) {
    throw new PenniError("bad-option", "the MACs target is no fraction of the original network's", {
      expected: "a number above 0, at most 1",
      found: `${fraction}`,
    });
  }
  if (minimum <= fraction) return;
  // Rounded up, so that what is advised is accepted.
  const least = (Math.ceil(minimum * 1e4) / 1e4).toFixed(4);
  throw new PenniError("bad-option", "the MACs target cannot be reached by pruning coefficients", {
    expected: `at least ${least} of the original MACs (paper count), what bases and layers that stay as they are cost alone`,
    found: `${fraction}`,
    advice: minimum < 1 ? `Give --target-macs ${least} or more, ${otherwise}` : "There is nothing to gain",
  });
}

/** Beyond this many standard deviations nothing is left to prune in any real layer. */
const LARGEST_FACTOR = 2 ** 20;
/** Halvings after which the factor's remaining error moves no coefficient. */
const BISECTIONS = 48;

/** The smallest factor that is enough, to float precision; more pruning never increases MACs. */
function smallestFactor(isEnough: (factor: number) => boolean): number {
  if (isEnough(0)) return 0;
  let high = 1;
  while (!isEnough(high) && high < LARGEST_FACTOR) high *= 2;
  let low = 0;
  for (let round = 0; round < BISECTIONS; round++) {
    const middle = (low + high) / 2;
    if (isEnough(middle)) high = middle;
    else low = middle;
  }
  return high;
}
