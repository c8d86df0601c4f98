import { requiredInts } from "../../graph/attributes.js";
import type { Node } from "../../graph/types.js";
import { compositeInputs, floatType } from "../core/composite.js";
import type { OpDefinition } from "../core/definition.js";
import { onlyInTraining } from "../core/definition.js";
import { convGeometry } from "../families/conv_geometry.js";
import { type ConvGeometry, inputGradient } from "../families/conv_gradient.js";

/**
 * Gradient of Conv to its input, a composite: dy [N, K, P, Q], w [K, C/group, R, S] -> dx [N, C, H, W], with
 * the attributes of the convolution and `gradient_shape`, the dimensions of dx.
 */
export const ConvInputGradient: OpDefinition = {
  type: "ConvInputGradient",
  gradient: onlyInTraining,
  channels: onlyInTraining,
  cost: onlyInTraining,
  onBlocks: true,
  shape: ({ node }) => [floatType(requiredInts(node, "gradient_shape"))],
  expand: (b, node) => {
    const [dy, weight] = compositeInputs(node, 2);
    return [inputGradient(b, inputGradientGeometry(node, b.dims(weight)), dy, weight)];
  },
};

/** The geometry of the convolution whose gradient to the input `node` is. */
export function inputGradientGeometry(node: Node, weight: readonly number[]): ConvGeometry {
  return convGeometry(node, requiredInts(node, "gradient_shape"), weight);
}
