import { countOf } from "../../graph/at.js";
import type { Graph, Node } from "../../graph/types.js";
import { PENNI_DOMAIN } from "../../ops/core/composite.js";
import { inferGraph } from "../../ops/inference/infer.js";
import { builderFor, expandComposite } from "../../ops/passes/expand_composites.js";
import { clip, clipGradient, leakyRelu, leakyReluGradient, relu, silu } from "./activations.js";
import { convolution } from "./convolution.js";
import {
  add,
  elementwiseComposite,
  multiply,
  spreadOut,
  subtract,
  unary,
  withNumber,
} from "./elementwise.js";
import { factoredConvolution, factoredConvolutionGradient } from "./factored.js";
import { convolutionInputGradient } from "./input_gradient.js";
import { Layouts } from "./layouts.js";
import { pad } from "./margins.js";
import { maxPoolGradient } from "./max_pool_gradient.js";
import { batchNormalization, batchNormalizationGradient, frozenBatchNormalization } from "./normalization.js";
import { channelSum, pooling, reduceSpace } from "./pooling.js";
import { runtimeOpsets } from "./runtime_operators.js";
import { concat, expand, resize, slice, split } from "./structure.js";
import { convolutionWeightGradient } from "./weight_gradient.js";

/** Emits a node on blocked values and says so; false, with nothing emitted, where it does not apply. */
type Rule = (layouts: Layouts, node: Node) => boolean;

/** Standard operators with a form on blocked values. All others read and write plain ones. */
const standardRules: Readonly<Record<string, Rule>> = {
  Abs: unary,
  Add: add,
  AveragePool: pooling,
  BatchNormalization: frozenBatchNormalization,
  Clip: clip,
  Concat: concat,
  Conv: convolution,
  Div: withNumber,
  Erf: unary,
  Expand: expand,
  GlobalAveragePool: pooling,
  HardSigmoid: unary,
  HardSwish: unary,
  LeakyRelu: leakyRelu,
  MaxPool: pooling,
  Mul: multiply,
  Neg: unary,
  Pad: pad,
  ReduceMean: reduceSpace,
  ReduceSum: reduceSpace,
  Relu: relu,
  Resize: resize,
  Sigmoid: unary,
  Slice: slice,
  Split: split,
  Sub: subtract,
  Tanh: unary,
};

/** Penni's composites likewise. */
const compositeRules: Readonly<Record<string, Rule>> = {
  BatchNormalizationGradient: batchNormalizationGradient,
  BatchNormalizationTraining: batchNormalization,
  ChannelSum: channelSum,
  ClipGradient: clipGradient,
  ConvInputGradient: convolutionInputGradient,
  ConvWeightGradient: convolutionWeightGradient,
  FactoredConv: factoredConvolution,
  FactoredConvGradient: factoredConvolutionGradient,
  LeakyReluGradient: leakyReluGradient,
  MaxPoolGradient: maxPoolGradient,
  Silu: silu,
  SiluGradient: elementwiseComposite,
  SpreadOut: spreadOut,
};

/** The operators of a domain that have a form on blocked values. */
export const blockedOperators = (domain: string): readonly string[] =>
  Object.keys(domain === PENNI_DOMAIN ? compositeRules : standardRules);

/**
 * Rewrites a training step to ONNX Runtime's blocked layout [N, C/b, H, W, b]. The runtime uses it by itself only where
 * weights are constants, which in training they never are; its convolutions run about twice as fast on it, and
 * its depthwise convolution does the work of normalization in fewer passes. CPU provider only; composites that
 * have no blocked form are written in standard operators.
 *
 * @param graph with static shapes; may contain Penni's composites
 * @param block channels of a block (the runtime's choice for the processor: 16 or 8)
 */
export function blockLayout(graph: Graph, block: number): Graph {
  const b = builderFor(graph);
  const layouts = new Layouts(b, block, inferGraph(graph), countUses(graph));
  for (const node of graph.nodes) {
    const rule = (node.domain === PENNI_DOMAIN ? compositeRules : standardRules)[node.op];
    if (rule?.(layouts, node) === true) continue;
    const plain = { ...node, inputs: node.inputs.map((name) => (name === "" ? "" : layouts.plain(name))) };
    if (node.domain !== PENNI_DOMAIN) b.append(plain);
    else for (const [name, value] of expandComposite(b, plain)) layouts.setPlain(name, value);
  }
  for (const { name } of graph.outputs) {
    const value = layouts.plain(name);
    if (value !== name) b.emit("Identity", [value], { outputs: [name] });
  }
  return {
    ...graph,
    opsets: new Map([...graph.opsets, ...runtimeOpsets]),
    nodes: b.nodes,
    initializers: b.initializers,
  };
}

function countUses(graph: Graph): ReadonlyMap<string, number> {
  const uses = new Map<string, number>();
  const reads = [...graph.nodes.flatMap((node) => node.inputs), ...graph.outputs.map(({ name }) => name)];
  for (const name of reads) uses.set(name, countOf(uses, name) + 1);
  return uses;
}
