import { hasOutput } from "../../graph/at.js";
import { requiredInts } from "../../graph/attributes.js";
import { firstOf } from "../../graph/operands.js";
import { shapeError } from "../../graph/shape_error.js";
import { checkConstantSize } from "../core/arguments.js";
import { compositeInputs, floatType } from "../core/composite.js";
import type { OpDefinition } from "../core/definition.js";
import { onlyInTraining } from "../core/definition.js";
import { gemm, reshape } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { inputGradient, weightGradient, weightGradientConstant } from "../families/conv_gradient.js";
import { factoredGeometry, mergedWeight } from "./factored_conv.js";

/**
 * Gradient of FactoredConv, a composite: dy [N, K, P, Q], x [N, C, H, W], coefs [K, C, d], basis [d, R·S] ->
 * dx, dcoefs, dbasis, each of which may be omitted; with the attributes of the convolution and `gradient_shape`,
 * the dimensions of x. dW is the gradient of Conv to its weight; dcoefs = dW · basisᵀ, dbasis = coefsᵀ · dW.
 */
export const FactoredConvGradient: OpDefinition = {
  type: "FactoredConvGradient",
  gradient: onlyInTraining,
  channels: onlyInTraining,
  cost: onlyInTraining,
  onBlocks: true,
  shape: ({ node, inputs: [, , coefs, basis] }) => {
    if (coefs === undefined || basis === undefined) throw shapeError(node, "the type of an input is unknown");
    return [floatType(requiredInts(node, "gradient_shape")), coefs, basis];
  },
  expand: (b, node) => {
    const [dy, x, coefs, basis] = compositeInputs(node, 4);
    const [needsInput, needsCoefs, needsBasis] = [0, 1, 2].map((index) => hasOutput(node, index));
    const geometry = factoredGeometry(node, b.dims(x), b.dims(coefs));
    const dx = (): string => inputGradient(b, geometry, dy, mergedWeight(b, node, coefs, basis));
    if (needsCoefs !== true && needsBasis !== true) return [dx()];
    checkConstantSize(node, weightGradientConstant(geometry));
    const dWeight = weightGradient(b, geometry, x, dy);
    return [
      needsInput === true ? dx() : undefined,
      needsCoefs === true ? coefficientGradient(b, dWeight, basis) : undefined,
      needsBasis === true ? basisGradient(b, dWeight, coefs) : undefined,
    ];
  },
};

/** dcoefs [K, C, d] = dW [K, C, R·S] · basisᵀ. */
export function coefficientGradient(b: Emitter, dWeight: string, basis: string): string {
  const [outputs, inputs] = firstOf(b.dims(dWeight), 2);
  const [d, taps] = firstOf(b.dims(basis), 2);
  const kernels = reshape(b, dWeight, [outputs * inputs, taps]);
  return reshape(b, gemm(b, kernels, basis, { transB: true }), [outputs, inputs, d]);
}

/** dbasis [d, R·S] = coefsᵀ [d, K·C] · dW [K·C, R·S]. */
function basisGradient(b: Emitter, dWeight: string, coefs: string): string {
  const [outputs, inputs, d] = firstOf(b.dims(coefs), 3);
  const kernels = reshape(b, dWeight, [outputs * inputs, -1]);
  return gemm(b, reshape(b, coefs, [outputs * inputs, d]), kernels, { transA: true });
}
