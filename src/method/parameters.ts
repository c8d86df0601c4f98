import { at, entryOf, orDefault } from "../graph/at.js";
import { linkGraph } from "../graph/links.js";
import { inputOrOmitted, ofInput } from "../graph/operands.js";
import { elementCount, float32Data } from "../graph/tensor.js";
import type { Graph, Node } from "../graph/types.js";
import { findDecompositions } from "../layers/weights.js";
import { findOp } from "../ops/inference/registry.js";
import { spectrum } from "./basis.js";
import { prunableInitializers } from "./prune.js";

/** What a trained tensor is to the method; "pruned": the weight of a convolution that is pruned but not decomposed. */
export type ParameterRole = "coefficients" | "basis" | "pruned" | "other";

/**
 * All float32 initializers that training changes, by name with their role: weights and biases of
 * convolutions, fully connected layers, normalisations and slopes. What is added elsewhere, anchors of a detector or
 * the mean of its images, and scalars are constants of the network, not weights.
 */
export function trainableParameters(graph: Graph): ReadonlyMap<string, ParameterRole> {
  const roles = new Map<string, ParameterRole>();
  for (const layer of findDecompositions(graph)) {
    roles.set(layer.coefs, "coefficients");
    roles.set(layer.basis, "basis");
  }
  for (const name of prunableInitializers(graph)) if (!roles.has(name)) roles.set(name, "pruned");
  const { producers } = linkGraph(graph);
  for (const node of graph.nodes) {
    const trained = node.op === "Add" ? biasInputs(graph, node, producers) : findOp(node)?.constants?.trained;
    // Operators without a weight train nothing, and a bias may be omitted.
    for (const index of orDefault(trained, [])) {
      const name = inputOrOmitted(node, index);
      if (graph.initializers.get(name)?.type === "float32" && !roles.has(name)) roles.set(name, "other");
    }
  }
  return roles;
}

/** The input of an Add that is the bias, which an exporter wrote behind the layer, of the one that computes the other. */
function biasInputs(graph: Graph, node: Node, producers: ReadonlyMap<string, Node>): readonly number[] {
  return [0, 1].filter((index) => {
    const bias = ofInput(graph.initializers, node, index);
    const layer = ofInput(producers, node, 1 - index);
    return (
      bias !== undefined &&
      elementCount(bias.dims) > 1 &&
      layer !== undefined &&
      findOp(layer)?.weight !== undefined
    );
  });
}

/**
 * 1 / σ₁² for every basis, σ₁ being the largest singular value of its coefficients [K·C, d]. A change δ of
 * the basis changes the kernels by coefs · δ, so the loss is up to σ₁² times more curved in the basis than in
 * the kernels; with this factor a learning rate that suits kernels suits bases too.
 */
export function basisRates(graph: Graph): ReadonlyMap<string, number> {
  const rates = new Map<string, number>();
  for (const { basis, coefs, d } of findDecompositions(graph)) {
    const sigma = at(spectrum(float32Data(entryOf(graph.initializers, coefs)), d).values, 0);
    rates.set(basis, sigma > 0 ? 1 / sigma ** 2 : 1);
  }
  return rates;
}
