import { entryOf, inputOf, outputOf } from "../graph/at.js";
import { attributes, int, ints } from "../graph/attributes.js";
import { freshNames, takenBeside, usedNames } from "../graph/edit.js";
import type { GraphLinks } from "../graph/links.js";
import { ofInput } from "../graph/operands.js";
import { removeDeadNodes } from "../graph/passes/remove_dead_nodes.js";
import { float32Data, float32Tensor, int64Tensor } from "../graph/tensor.js";
import type { Graph, Node, Tensor, ValueType } from "../graph/types.js";
import { mergeFactors } from "./decomposition.js";
import type { DecomposedLayer } from "./weights.js";

/**
 * How a decomposed layer is written to a file. *merged*: coefficients and basis, whose product the runtime
 * computes once when it loads the model. *dense*: that product, an ordinary kernel. *factored*: the basis
 * convolution, every input channel to d maps, then a 1x1 convolution with the coefficients.
 */
export type LayerForm = "merged" | "dense" | "factored";

/** What takes the place of a convolution node. */
export interface Fragment {
  readonly nodes: readonly Node[];
  readonly initializers: readonly (readonly [string, Tensor])[];
}

/** @param used the names of the whole graph, where `graph` is a part of it: none of them is given to anything new */
type FormWriter = (graph: Graph, layer: DecomposedLayer, used?: ReadonlySet<string>) => Fragment;

/** Coefficients [K, C, d] and basis [d, R*S] of a layer. */
function factors(graph: Graph, { coefs, basis }: DecomposedLayer): readonly [Float32Array, Float32Array] {
  return [float32Data(entryOf(graph.initializers, coefs)), float32Data(entryOf(graph.initializers, basis))];
}

/** The kernels [K, C, R, S] of a decomposed layer. */
export function mergedKernels(graph: Graph, layer: DecomposedLayer): Tensor {
  const { K, C, R, S } = layer;
  return float32Tensor([K, C, R, S], mergeFactors(...factors(graph, layer), R * S));
}

const merged: FormWriter = (_, { conv }) => ({ nodes: [conv], initializers: [] });

/** What the name of a factored layer's first convolution ends with. */
export const BASIS_CONV = "BasisConv";

const dense: FormWriter = (graph, layer, used = usedNames(graph)) => {
  const weight = freshNames(takenBeside(used))(`${layer.conv.inputs[1]}.dense`);
  const conv = { ...layer.conv, inputs: layer.conv.inputs.with(1, weight) };
  return { nodes: [conv], initializers: [[weight, mergedKernels(graph, layer)]] };
};

/**
 * y = Conv1x1(Conv(x, W1, group = N), W2, group = G): of the N = G*C input channels, W1 [N*d, 1, R, S] repeats the
 * basis for each (expanded when the runtime loads the model), W2 [K, C*d, 1, 1] holds the coefficients. Exact,
 * borders included.
 */
const factored: FormWriter = (graph, layer, used = usedNames(graph)) => {
  const { conv, K, C, R, S, d, groups } = layer;
  const channels = C * groups;
  const fresh = freshNames(takenBeside(used));
  const bias = conv.inputs.slice(2);
  const names = (suffix: string): string => fresh(`${conv.outputs[0]}.${suffix}`);
  const node = (op: string, inputs: readonly string[], output: string): Node => {
    return { name: names(op), op, domain: "", inputs, outputs: [output], attributes: new Map() };
  };
  const [repeats, repeated, shape, bases] = [
    names("repeats"),
    names("repeated"),
    names("bases_shape"),
    names("bases"),
  ];
  const [maps, pointwise] = [names("maps"), names("pointwise")];
  const basisConv: Node = {
    ...conv,
    name: names(BASIS_CONV),
    inputs: [inputOf(conv, 0), bases],
    outputs: [maps],
    attributes: new Map([...conv.attributes, ["group", int(channels)]]),
  };
  const pointwiseConv: Node = {
    ...conv,
    inputs: [maps, pointwise, ...bias],
    attributes: attributes({ kernel_shape: ints([1, 1]), group: int(groups) }),
  };
  const [coefs] = factors(graph, layer);
  return {
    nodes: [
      node("Expand", [layer.basis, repeats], repeated),
      node("Reshape", [repeated, shape], bases),
      basisConv,
      pointwiseConv,
    ],
    initializers: [
      [repeats, int64Tensor([3], [channels, d, R * S])],
      [shape, int64Tensor([4], [channels * d, 1, R, S])],
      [pointwise, float32Tensor([K, C * d, 1, 1], coefs)],
    ],
  };
};

/** How to write each form. */
export const formWriters: Readonly<Record<LayerForm, FormWriter>> = { merged, dense, factored };

/** The graph with some convolutions replaced, without what nobody reads any more. */
export function replaceLayers(graph: Graph, fragments: ReadonlyMap<Node, Fragment>): Graph {
  const initializers = new Map(graph.initializers);
  for (const fragment of fragments.values()) {
    for (const [name, tensor] of fragment.initializers) initializers.set(name, tensor);
  }
  const nodes = graph.nodes.flatMap((node) => fragments.get(node)?.nodes ?? [node]);
  return removeDeadNodes({ ...graph, nodes, initializers });
}

/** The nodes and initializers of one decomposed layer, without the rest of the graph. */
export function layerPart({ graph, producers }: GraphLinks, { conv }: DecomposedLayer): Graph {
  const reshape = ofInput(producers, conv, 1);
  const matmul = reshape && ofInput(producers, reshape, 0);
  const nodes = [matmul, reshape, conv].filter((node) => node !== undefined);
  const initializers = nodes.flatMap(({ inputs }) =>
    inputs.flatMap((name): [string, Tensor][] => {
      const tensor = graph.initializers.get(name);
      return tensor === undefined ? [] : [[name, tensor]];
    }),
  );
  return {
    name: conv.name,
    opsets: graph.opsets,
    inputs: [],
    outputs: [],
    nodes,
    initializers: new Map(initializers),
    valueInfo: new Map(),
    metadata: new Map(),
  };
}

/**
 * One layer alone, as a graph for measuring: its input of the given type in, the mean of each output channel
 * out (handing a whole feature map over would cost more than computing it).
 * @param part what `layerPart` gives
 */
export function layerGraph(
  part: Graph,
  { conv }: DecomposedLayer,
  input: ValueType,
  fragment: Fragment,
): Graph {
  const mean = freshNames(usedNames({ ...part, nodes: [...part.nodes, ...fragment.nodes] }))("mean");
  const pool: Node = {
    name: mean,
    op: "GlobalAveragePool",
    domain: "",
    inputs: [outputOf(conv, 0)],
    outputs: [mean],
    attributes: new Map(),
  };
  return removeDeadNodes({
    ...part,
    inputs: [{ name: inputOf(conv, 0), type: input }],
    outputs: [{ name: mean, type: { elementType: "float32", shape: undefined } }],
    nodes: [...part.nodes.filter((node) => node !== conv), ...fragment.nodes, pool],
    initializers: new Map([...part.initializers, ...fragment.initializers]),
  });
}
