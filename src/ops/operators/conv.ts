import { ints } from "../../graph/attributes.js";
import { groupCount } from "../../layers/groups.js";
import { convChannels } from "../channels/conv.js";
import { emitComposite } from "../core/composite.js";
import type { GradientContext, OpDefinition } from "../core/definition.js";
import { reshape } from "../core/emit.js";
import { convGeometry, planeDims } from "../families/conv_geometry.js";
import { convAttributes } from "../families/conv_gradient.js";
import { convCost, convShape } from "../families/conv_shape.js";

/**
 * Convolution (ONNX Conv, opset 1 and later): x [N, C, ...], w [K, C/group, ...], optional bias [K] ->
 * y [N, K, ...]; any number of spatial axes, strides, dilations, pads, auto_pad, groups.
 * Gradients exist for one and two spatial axes.
 */
export const Conv: OpDefinition = {
  type: "Conv",
  onBlocks: true,
  roundsIntegers: true,
  constants: { trained: [1, 2], settings: [] },
  weight: { outputAxis: () => 0, groups: groupCount, takesBias: true },
  scaleAxes: { 1: () => 0 },
  shape: convShape,
  cost: convCost,
  channels: convChannels,
  gradient: convGradient,
};

/** dx = dy ⋆ flipped wᵀ, dw = x ⋆ dy, db = Σ dy; with one spatial axis as a plane of height 1. */
function convGradient({
  builder: b,
  node,
  outputGradients: [dy],
  needs,
  dims,
}: GradientContext): readonly (string | undefined)[] {
  const [x, weight] = node.inputs;
  if (dy === undefined || x === undefined || weight === undefined) return [];
  const planar = (name: string): string =>
    dims(name).length === 3 ? reshape(b, name, planeDims(dims(name))) : name;
  const geometry = convGeometry(node, dims(x), dims(weight));
  const attributes = convAttributes(geometry);
  const one = (op: string, inputs: readonly string[], shape: readonly number[]): string | undefined => {
    const gradientShape = { gradient_shape: ints(planeDims(shape)) };
    const [result] = emitComposite(b, op, inputs.map(planar), [true], { ...attributes, ...gradientShape });
    return result === undefined || shape.length !== 3 ? result : reshape(b, result, shape);
  };
  return [
    needs[0] === true ? one("ConvInputGradient", [dy, weight], dims(x)) : undefined,
    needs[1] === true ? one("ConvWeightGradient", [x, dy], dims(weight)) : undefined,
    needs[2] === true ? emitComposite(b, "ChannelSum", [dy], [true])[0] : undefined,
  ];
}
