import { ints, requiredInts } from "../../graph/attributes.js";
import { firstOf, inputsOf } from "../../graph/operands.js";
import type { Node, ValueType } from "../../graph/types.js";
import { optionalInput } from "../core/arguments.js";
import { emitComposite } from "../core/composite.js";
import type { NodeContext } from "../core/context.js";
import { type GradientContext, type OpDefinition, onlyInTraining, staticShape } from "../core/definition.js";
import { matMul, reshape } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { convGeometry } from "../families/conv_geometry.js";
import { type ConvGeometry, convAttributes, isUnstrided } from "../families/conv_gradient.js";
import { convShape } from "../families/conv_shape.js";

/**
 * Conv with a decomposed weight, a composite for training steps: x [N, C, H, W], coefs [K, C, d], basis [d, R·S],
 * optional bias [K] -> y [N, K, P, Q], with the attributes of a convolution with one group and its `kernel_shape`.
 * It stands for Conv(x, Reshape(MatMul(coefs, basis))) where the d maps of every channel are cheaper (see
 * `train/blocked/factored.ts`).
 */
export const FactoredConv: OpDefinition = {
  type: "FactoredConv",
  channels: onlyInTraining,
  cost: onlyInTraining,
  onBlocks: true,
  shape: factoredShape,
  gradient: factoredGradient,
  expand: (b, node) => {
    const [x, coefs, basis] = inputsOf(node, 3);
    const weight = mergedWeight(b, node, coefs, basis);
    const bias = optionalInput(node, 3);
    const inputs = bias === undefined ? [x, weight] : [x, weight, bias];
    return [b.emit("Conv", inputs, { attributes: Object.fromEntries(node.attributes) })];
  },
};

function factoredShape(context: NodeContext): readonly ValueType[] {
  const { node, inputs } = context;
  const [x, coefs, , bias] = inputs;
  const shape = weightDims(node, staticShape(node, coefs));
  return convShape({ ...context, inputs: [x, { elementType: "float32", shape }, bias] });
}

/** As Conv's, with dcoefs = dW · basisᵀ and dbasis = coefsᵀ · dW over all kernels. */
function factoredGradient({
  builder: b,
  node,
  outputGradients: [dy],
  needs,
  dims,
}: GradientContext): readonly (string | undefined)[] {
  const [x, coefs, basis] = inputsOf(node, 3);
  if (dy === undefined) return [];
  const geometry = factoredGeometry(node, dims(x), dims(coefs));
  const attributes = { ...convAttributes(geometry), gradient_shape: ints(dims(x)) };
  const needsInput = needs[0] === true;
  const isFactored = needsInput && isUnstrided(geometry);
  const [dx, dCoefs, dBasis] = emitNeeded(
    b,
    [dy, x, coefs, basis],
    [isFactored, needs[1] === true, needs[2] === true],
    attributes,
  );
  const merged = (): string | undefined =>
    emitComposite(b, "ConvInputGradient", [dy, mergedWeight(b, node, coefs, basis)], [true], attributes)[0];
  return [
    needsInput && !isFactored ? merged() : dx || undefined,
    dCoefs || undefined,
    dBasis || undefined,
    needs[3] === true ? emitComposite(b, "ChannelSum", [dy], [true])[0] : undefined,
  ];
}

function emitNeeded(
  b: Emitter,
  inputs: readonly string[],
  needed: readonly boolean[],
  attributes: Parameters<typeof emitComposite>[4],
): readonly string[] {
  return needed.includes(true) ? emitComposite(b, "FactoredConvGradient", inputs, needed, attributes) : [];
}

/** [K, C, R, S] of the weight that coefficients [K, C, d] and the node's kernel stand for. */
function weightDims(node: Node, coefs: readonly number[]): readonly number[] {
  return [...firstOf(coefs, 2), ...requiredInts(node, "kernel_shape")];
}

/** The geometry of the convolution that a FactoredConv or its gradient stands for. */
export function factoredGeometry(node: Node, x: readonly number[], coefs: readonly number[]): ConvGeometry {
  return convGeometry(node, x, weightDims(node, coefs));
}

/** W = coefs · basis, [K, C, R, S]. */
export function mergedWeight(b: Emitter, node: Node, coefs: string, basis: string): string {
  return reshape(b, matMul(b, coefs, basis), weightDims(node, b.dims(coefs)));
}
