import { requiredInts } from "../../graph/attributes.js";
import type { Node } from "../../graph/types.js";
import { checkConstantSize } from "../core/arguments.js";
import { compositeInputs, floatType } from "../core/composite.js";
import type { OpDefinition } from "../core/definition.js";
import { onlyInTraining } from "../core/definition.js";
import { convGeometry } from "../families/conv_geometry.js";
import { type ConvGeometry, weightGradient, weightGradientConstant } from "../families/conv_gradient.js";

/**
 * Gradient of Conv to its weight, a composite: x [N, C, H, W], dy [N, K, P, Q] -> dw [K, C/group, R, S], with
 * the attributes of the convolution and `gradient_shape`, the dimensions of dw.
 */
export const ConvWeightGradient: OpDefinition = {
  type: "ConvWeightGradient",
  gradient: onlyInTraining,
  channels: onlyInTraining,
  cost: onlyInTraining,
  onBlocks: true,
  shape: ({ node }) => [floatType(requiredInts(node, "gradient_shape"))],
  expand: (b, node) => {
    const [x, dy] = compositeInputs(node, 2);
    const geometry = weightGradientGeometry(node, b.dims(x));
    checkConstantSize(node, weightGradientConstant(geometry));
    return [weightGradient(b, geometry, x, dy)];
  },
};

/** The geometry of the convolution whose gradient to the weight `node` is. */
export function weightGradientGeometry(node: Node, x: readonly number[]): ConvGeometry {
  return convGeometry(node, x, requiredInts(node, "gradient_shape"));
}
