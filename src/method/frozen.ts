import { PenniError } from "../graph/errors.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph, Node } from "../graph/types.js";
import { namesRead } from "../graph/verify.js";
import { mul, reduceSum } from "../ops/emit.js";
import { inferGraph } from "../ops/infer.js";
import { builderFor } from "../ops/passes/expand_composites.js";
import { findOp } from "../ops/registry.js";
import { buildGradients } from "../train/gradients.js";
import { trainableParameters } from "./parameters.js";

/** A node that no gradient passes. */
export interface Blockade {
  readonly node: Node;
  readonly reason: PenniError;
}

/** What cannot be trained, and why. */
export interface Trainability {
  /** Trainable weights, by initializer name, whose gradient would have to pass a blockade. */
  readonly frozen: ReadonlySet<string>;
  readonly blockades: readonly Blockade[];
  /** Whether any weight is left to train. */
  readonly isTrainable: boolean;
}

/**
 * Which weights of a network no gradient reaches from the given outputs, because a node between them has none. A weight
 * is frozen as a whole even if other ways lead round the blockade: part of a gradient would be a wrong one. An output
 * that no weight can be trained for does not count, unless no other is left.
 * @param outputs names of float32 outputs
 * @throws PenniError "shape" if the graph's input dimensions, the batch apart, are not fixed
 */
export function trainability(graph: Graph, outputs: readonly string[]): Trainability {
  const network = fixBatch(graph, 1);
  const weights = [...trainableParameters(network).keys()];
  const found = outputs.map((output) => towards(network, weights, output));
  const useful = found.filter(({ isTrainable }) => isTrainable);
  const counted = useful.length > 0 ? useful : found;
  const blockades = new Map(counted.flatMap((each) => each.blockades.map((one) => [one.node, one] as const)));
  return {
    frozen: new Set(counted.flatMap(({ frozen }) => [...frozen])),
    blockades: [...blockades.values()],
    isTrainable: useful.length > 0,
  };
}

function towards(network: Graph, weights: readonly string[], output: string): Trainability {
  checkShapes(network, output);
  const b = builderFor(network);
  for (const node of network.nodes) b.append(node);
  const axes = b.dims(output).map((_, axis) => axis);
  const squared = mul(b, output, output);
  const loss = axes.length === 0 ? squared : reduceSum(b, squared, axes, false);
  const blockades: Blockade[] = [];
  const gradients = buildGradients(b, [...b.nodes], loss, weights, (node, reason) => {
    blockades.push({ node, reason });
  });
  const blocked = upstreamOf(
    network,
    blockades.flatMap(({ node }) => node.inputs),
  );
  return {
    frozen: new Set(weights.filter((name) => blocked.has(name))),
    blockades,
    isTrainable: weights.some((name) => gradients.has(name) && !blocked.has(name)),
  };
}

/** Refuses an output behind an operator of which not even the shape of its result is known. */
function checkShapes(network: Graph, output: string): void {
  const { types } = inferGraph(network);
  const wanted = upstreamOf(network, [output]);
  const isOpen = (name: string): boolean =>
    wanted.has(name) && types.get(name)?.shape?.every((dim) => typeof dim === "number") !== true;
  const obscure = network.nodes.find((node) => findOp(node) === undefined && node.outputs.some(isOpen));
  if (obscure === undefined) return;
  throw new PenniError(
    "unsupported",
    "the shape of its result is not known, so what is behind it cannot be trained",
    {
      node: obscure.name,
      op: obscure.op,
      expected: "an operator that Penni knows, or a fixed shape declared in the model",
      advice: "Run ONNX shape inference on the model, or replace the operator",
    },
  );
}

/** The given values and all that they depend on. */
function upstreamOf(graph: Graph, names: readonly string[]): ReadonlySet<string> {
  const values = new Set(names);
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((name) => values.has(name))) continue;
    for (const name of namesRead(node)) values.add(name);
  }
  return values;
}

/** The outputs that a network can be trained for: those of type float32, or of which the type is not known. */
export function floatOutputs(graph: Graph): readonly string[] {
  const { types } = inferGraph(graph);
  const isFloat = (name: string): boolean => (types.get(name)?.elementType ?? "float32") === "float32";
  return graph.outputs.map(({ name }) => name).filter(isFloat);
}
