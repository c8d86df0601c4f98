import { Random } from "../src/data/random.js";
import { withInitializers } from "../src/graph/edit.js";
import { fixBatch } from "../src/graph/passes/fix_input_shape.js";
import { float32Data, float32Tensor } from "../src/graph/tensor.js";
import type { Graph, Tensor } from "../src/graph/types.js";
import { convolutions, findDecompositions } from "../src/layers/weights.js";
import { countGraph } from "../src/measure/count.js";
import { decompose } from "../src/method/decompose.js";
import { prunableInitializers } from "../src/method/prune.js";
import { shrink } from "../src/method/shrink.js";
import { simplify } from "../src/ops/passes/simplify.js";
import { benchmarkNetworks } from "../support/benchmark_networks.js";

/**
 * ResNet-18 in its CIFAR form at the compression that the paper reports (97 % of the parameters and 92 % of the
 * multiply-accumulates removed, d = 5). There are no trained weights of it: these are random ones, pruned layer by
 * layer to a pattern as training leaves it, fewer channels and sparser coefficients the deeper the stage.
 */
export function paperResnet18(): PatternResult {
  const original = simplify(benchmarkNetworks.resnet18.build());
  const compressed = shrink(withPattern(decompose(original, { basis: BASIS })));
  const [before, after] = [original, compressed].map((graph) => countGraph(fixBatch(graph, 1)));
  return {
    original,
    compressed,
    parameters: (after?.parameters ?? 0) / (before?.parameters ?? 1),
    macs: (after?.paperMacs ?? 0) / (before?.paperMacs ?? 1),
  };
}

export interface PatternResult {
  readonly original: Graph;
  readonly compressed: Graph;
  /** What is left of the original's parameters and multiply-accumulates (paper count). */
  readonly parameters: number;
  readonly macs: number;
}

const BASIS = 5;
const SEED = 18;

/** By stage: channels that stay, and weights that stay of a layer's dense ones. */
const stages = [
  { channels: 0.6, weights: 0.0905 },
  { channels: 0.6, weights: 0.072 },
  { channels: 0.55, weights: 0.04 },
  { channels: 0.5, weights: 0.0215 },
] as const;

function withPattern(graph: Graph): Graph {
  const random = new Random(SEED);
  const streams = stages.map(({ channels }, stage) => kept(random, 64 * 2 ** stage, channels));
  const inner = new Map<string, ReadonlySet<number>>();
  const weights = weightNames(graph);
  const prunable = new Set(prunableInitializers(graph));
  const changed = convolutions(graph).flatMap((conv): [string, Tensor][] => {
    const weight = weights.get(conv.name) ?? "";
    const tensor = graph.initializers.get(weight);
    const found = /^stage(\d)\.(\d+)\.(conv1|conv2|shortcut)/.exec(conv.name);
    if (tensor === undefined || !prunable.has(weight)) return [];
    const [stage, block, part] = [Number(found?.[1] ?? 0), Number(found?.[2] ?? 0), found?.[3] ?? "stem"];
    const before = block === 0 && stage > 0 ? stage - 1 : stage;
    const key = `${stage}.${block}`;
    if (!inner.has(key)) inner.set(key, kept(random, 64 * 2 ** stage, stages[stage]?.channels ?? 1));
    const outputs = part === "conv1" ? inner.get(key) : streams[stage];
    const inputs = part === "stem" ? undefined : part === "conv2" ? inner.get(key) : streams[before];
    const share = stages[stage]?.weights ?? 1;
    return [[weight, sparse(tensor, inputs, outputs, part === "stem" ? 1 : share)]];
  });
  return withInitializers(graph, changed);
}

/** The prunable initializer of each convolution, by the node's name. */
function weightNames(graph: Graph): ReadonlyMap<string, string> {
  const decomposed = findDecompositions(graph).map(({ conv, coefs }) => [conv.name, coefs] as const);
  return new Map([
    ...convolutions(graph).map((conv) => [conv.name, conv.inputs[1] ?? ""] as const),
    ...decomposed,
  ]);
}

function kept(random: Random, channels: number, share: number): ReadonlySet<number> {
  const order = Uint32Array.from({ length: channels }, (_, channel) => channel);
  random.shuffle(order);
  return new Set(order.subarray(0, Math.round(share * channels)));
}

/** The largest weights of [K, C, ...] among channels that stay: `share` of R * S = 9 for every kernel. */
function sparse(
  tensor: Tensor,
  inputs: ReadonlySet<number> | undefined,
  outputs: ReadonlySet<number> | undefined,
  share: number,
): Tensor {
  const [, channels = 1] = tensor.dims;
  const data = float32Data(tensor);
  const perKernel = tensor.dims.slice(2).reduce((product, dim) => product * dim, 1);
  const isKept = (i: number): boolean => {
    const kernel = Math.floor(i / perKernel);
    const [output, input] = [Math.floor(kernel / channels), kernel % channels];
    return outputs?.has(output) !== false && inputs?.has(input) !== false;
  };
  const magnitudes = data.map((value, i) => (isKept(i) ? Math.abs(value) : 0));
  const dense = (data.length / perKernel) * (perKernel === 1 ? 1 : 9);
  const keep = Math.round(share * dense);
  const threshold = magnitudes.toSorted((a, b) => b - a)[keep] ?? 0;
  return float32Tensor(
    tensor.dims,
    data.map((value, i) => ((magnitudes[i] ?? 0) > threshold ? value : 0)),
  );
}
