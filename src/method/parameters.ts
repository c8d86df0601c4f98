import { elementCount, float32Data } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";
import { findOp } from "../ops/registry.js";
import { findDecompositions } from "../ops/weights.js";
import { spectrum } from "./basis.js";
import { prunableInitializers } from "./prune.js";

/** What a trained tensor is to the method. */
export type ParameterRole = "coefficients" | "basis" | "pointwise" | "other";

/** Inputs that hold weights, by operator; bounds, statistics and other constants are never trained. */
const weightInputs: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  Gemm: [1, 2],
  MatMul: [0, 1],
  BatchNormalization: [1, 2],
  PRelu: [1],
  Add: [0, 1],
};

/**
 * All float32 initializers that training changes, by name with their role: weights and biases of
 * convolutions, fully connected layers, normalisations and slopes. Scalars that are merely added are
 * constants of the network, not weights.
 */
export function trainableParameters(graph: Graph): ReadonlyMap<string, ParameterRole> {
  const roles = new Map<string, ParameterRole>();
  for (const layer of findDecompositions(graph)) {
    roles.set(layer.coefs, "coefficients");
    roles.set(layer.basis, "basis");
  }
  for (const name of prunableInitializers(graph)) if (!roles.has(name)) roles.set(name, "pointwise");
  for (const node of graph.nodes) {
    if (findOp(node) === undefined) continue;
    for (const index of weightInputs[node.op] ?? []) {
      const name = node.inputs[index] ?? "";
      const tensor = graph.initializers.get(name);
      if (tensor?.type !== "float32" || roles.has(name)) continue;
      if (node.op === "Add" && elementCount(tensor.dims) <= 1) continue;
      roles.set(name, "other");
    }
  }
  return roles;
}

/**
 * 1 / σ₁² for every basis, σ₁ being the largest singular value of its coefficients [K·C, d]. A change δ of
 * the basis changes the kernels by coefs · δ, so the loss is up to σ₁² times more curved in the basis than in
 * the kernels; with this factor a learning rate that suits kernels suits bases too.
 */
export function basisRates(graph: Graph): ReadonlyMap<string, number> {
  const rates = new Map<string, number>();
  for (const { basis, coefs, d } of findDecompositions(graph)) {
    const tensor = graph.initializers.get(coefs);
    if (tensor === undefined) continue;
    const sigma = spectrum(float32Data(tensor), d).values[0] ?? 0;
    rates.set(basis, sigma > 0 ? 1 / sigma ** 2 : 1);
  }
  return rates;
}
