import { entryOf } from "../graph/at.js";
import { freshNames, usedNames } from "../graph/edit.js";
import { PenniError } from "../graph/errors.js";
import { inputOrOmitted, ofInput } from "../graph/operands.js";
import { removeDeadNodes } from "../graph/passes/remove_dead_nodes.js";
import { countNonZeros, elementCount, float32Data, float32Tensor, int64Tensor } from "../graph/tensor.js";
import type { Graph, Node, Tensor } from "../graph/types.js";
import {
  convolutions,
  type DenseLayer,
  denseLayer,
  findDecompositions,
  isDepthwise,
} from "../layers/weights.js";
import { type Factors, factorise } from "./basis.js";

/** A convolution that has something to decompose, or the reason why it is left as it is. */
export type DecompositionDecision =
  | { readonly conv: Node; readonly layer: DenseLayer }
  | { readonly conv: Node; readonly layer?: never; readonly reason: string };

/** For each number of spatial axes that has no decomposition, what such a convolution is called. */
const otherRanks: Readonly<Record<number, string>> = { 1: "one-dimensional", 3: "three-dimensional" };

/** Why a convolution has nothing to decompose; undefined where it has. */
function obstacle(graph: Graph, conv: Node): string | undefined {
  const weight = ofInput(graph.initializers, conv, 1);
  if (weight?.type !== "float32") return undefined;
  if (isDepthwise(conv, weight)) {
    return "a depthwise convolution has one kernel per channel, so a shared basis saves nothing: kept as it is";
  }
  const kernel = weight.dims.slice(2);
  const rank = otherRanks[kernel.length];
  if (elementCount(kernel) === 1) return "a 1x1 convolution has no kernel to share: its weights are pruned";
  return rank === undefined
    ? undefined
    : `bases are two-dimensional and it is ${rank}: its weights are pruned`;
}

/** Kernels with more taps stay as they are: the cost of a basis grows with the cube of R*S. */
const LARGEST_KERNEL = 256;

/** Why the weights themselves, as numbers, cannot be decomposed; undefined where they can. */
function flaw(graph: Graph, { weight, K, C, R, S }: DenseLayer): string | undefined {
  if (K * C * R * S === 0) return "its weight is empty";
  if (R * S > LARGEST_KERNEL) return `its kernels have more than ${LARGEST_KERNEL} taps`;
  const isSound = float32Data(entryOf(graph.initializers, weight)).every(Number.isFinite);
  return isSound ? undefined : "its weight holds numbers that are not finite";
}

/** What comes out of DequantizeLinear. */
function dequantizedValues(graph: Graph): ReadonlySet<string> {
  return new Set(graph.nodes.flatMap(({ op, outputs }) => (op === "DequantizeLinear" ? outputs : [])));
}

interface Known {
  readonly decomposed: ReadonlySet<Node>;
  readonly dequantized: ReadonlySet<string>;
}

function decide(graph: Graph, conv: Node, { decomposed, dequantized }: Known): DenseLayer | string {
  if (decomposed.has(conv)) return "it is decomposed already";
  const weight = inputOrOmitted(conv, 1);
  if (dequantized.has(weight) && !graph.initializers.has(weight))
    return "its weight is quantized: start from the float32 model";
  const layer = obstacle(graph, conv) ?? denseLayer(graph, conv);
  return typeof layer === "string" ? layer : (flaw(graph, layer) ?? layer);
}

/** For every convolution, in the graph's order: whether it can share a basis, and why not. */
export function decompositionCandidates(graph: Graph): readonly DecompositionDecision[] {
  const known: Known = {
    decomposed: new Set(findDecompositions(graph).map((layer) => layer.conv)),
    dequantized: dequantizedValues(graph),
  };
  return convolutions(graph).map((conv) => {
    const decision = decide(graph, conv, known);
    return typeof decision === "string" ? { conv, reason: decision } : { conv, layer: decision };
  });
}

/**
 * Whether d basis kernels save arithmetic in a layer at all, before anything else is pruned: fewer coefficients than the
 * layer has weights, and fewer products for the maps of its input channels. A layer of a few outputs per group, or one
 * that is sparse already, is cheaper as it is.
 * @param nonZeros weights of the layer that are not zero, as each costs one product (default: all)
 */
export function basisSaves(
  { K, C, R, S, groups }: Pick<DenseLayer, "K" | "C" | "R" | "S" | "groups">,
  d: number,
  nonZeros: number = K * C * R * S,
): boolean {
  return K * C * d < nonZeros && C * groups * d * R * S < nonZeros;
}

export interface DecomposeOptions {
  /** Basis kernels of each layer, d, from 1. */
  readonly basis: number;
  /** Weights to leave as they are: those that no training could repair. */
  readonly frozen?: ReadonlySet<string>;
}

interface Decomposition {
  readonly nodes: readonly Node[];
  readonly output: string;
  readonly initializers: readonly (readonly [string, Tensor])[];
}

function decomposeWeight(
  factors: Factors,
  layer: DenseLayer,
  fresh: (stem: string) => string,
): Decomposition {
  const { K, C, R, S } = layer;
  const d = factors.basis.length / (R * S);
  const [coefs, basis, shape] = [".coefs", ".basis", ".shape"].map((suffix) =>
    fresh(layer.weight + suffix),
  ) as [string, string, string];
  const product = fresh(`${layer.weight}.product`);
  const output = fresh(`${layer.weight}.merged`);
  const node = (op: string, inputs: readonly string[], name: string): Node => ({
    name: fresh(`${name}/${op}`),
    op,
    domain: "",
    inputs,
    outputs: [name],
    attributes: new Map(),
  });
  return {
    nodes: [node("MatMul", [coefs, basis], product), node("Reshape", [product, shape], output)],
    output,
    initializers: [
      [coefs, float32Tensor([K, C, d], factors.coefs)],
      [basis, float32Tensor([d, R * S], factors.basis)],
      [shape, int64Tensor([4], [K, C, R, S])],
    ],
  };
}

function checkBasis(d: number): void {
  if (Number.isInteger(d) && d >= 1) return;
  throw new PenniError("bad-option", "the basis must have at least one kernel", {
    expected: "a whole number from 1",
    found: `${d}`,
    advice: "The paper uses 5 for 3x3 kernels",
  });
}

/**
 * Gives every convolution with weight W [K, C, R, S] (C inputs per group), R*S > 1, its own basis of `basis` shared
 * kernels (PENNI, section 3.1): the uncentred SVD W = U S V' of the (K*C) x (R*S) matrix of kernels, basis =
 * the top rows of V' (orthonormal), coefs = U S. In the graph: `Conv(x, Reshape(MatMul(coefs, basis), shape))`
 * with initializers `WEIGHT.coefs` [K, C, d], `WEIGHT.basis` [d, R*S] and `WEIGHT.shape`. A weight that
 * several convolutions share is decomposed once. Depthwise layers, and those where so many kernels save nothing
 * (`basisSaves`), because they are narrow or sparse already, stay as they are.
 * @throws PenniError "bad-option" unless `basis` is a whole number from 1.
 */
export function decompose(graph: Graph, options: DecomposeOptions): Graph {
  const d = options.basis;
  checkBasis(d);
  return withFactors(graph, (layer) => {
    if (options.frozen?.has(layer.weight) === true) return undefined;
    const kernels = float32Data(entryOf(graph.initializers, layer.weight));
    return basisSaves(layer, d, countNonZeros(kernels))
      ? factorise(kernels, layer.R * layer.S, d)
      : undefined;
  });
}

/**
 * Replaces the weights of convolutions that can share a basis by the given factors, wherever there are some:
 * coefs [K, C, d] and basis [d, R*S], as `decompose` writes them. A weight that several convolutions share is
 * replaced once.
 */
export function withFactors(graph: Graph, factorsOf: (layer: DenseLayer) => Factors | undefined): Graph {
  const layers = new Map(
    decompositionCandidates(graph).flatMap(({ conv, layer }) =>
      layer === undefined ? [] : [[conv, layer] as const],
    ),
  );
  const fresh = freshNames(usedNames(graph));
  const byWeight = new Map<string, Decomposition | undefined>();
  const decompositionOf = (layer: DenseLayer): Decomposition | undefined => {
    if (byWeight.has(layer.weight)) return byWeight.get(layer.weight);
    const factors = factorsOf(layer);
    const decomposition = factors === undefined ? undefined : decomposeWeight(factors, layer, fresh);
    byWeight.set(layer.weight, decomposition);
    return decomposition;
  };
  const written = new Set<Decomposition>();
  const nodes = graph.nodes.flatMap((node) => {
    const layer = layers.get(node);
    const decomposition = layer === undefined ? undefined : decompositionOf(layer);
    if (decomposition === undefined) return [node];
    const inputs = node.inputs.map((input, index) => (index === 1 ? decomposition.output : input));
    const before = written.has(decomposition) ? [] : decomposition.nodes;
    written.add(decomposition);
    return [...before, { ...node, inputs }];
  });
  const added = [...written].flatMap((decomposition) => decomposition.initializers);
  const initializers = new Map([...graph.initializers, ...added]);
  return removeDeadNodes({ ...graph, nodes, initializers });
}
