import { intAttribute, ints, intsAttribute } from "../graph/attributes.js";
import { elementCount } from "../graph/tensor.js";
import type { Dim, Node, ValueType } from "../graph/types.js";
import { convChannels } from "./channels/conv.js";
import { emitComposite } from "./composite.js";
import { type ConvGeometry, convAttributes } from "./conv_gradient.js";
import { describeShape, type NodeContext, type OpDefinition, shapeError, staticShape } from "./definition.js";
import { resolveWindow, staticWindow } from "./window.js";

/**
 * Convolution (ONNX Conv, opset 1 and later): x [N, C, ...], w [K, C/group, ...], optional bias [K] ->
 * y [N, K, ...]; any number of spatial axes, strides, dilations, pads, auto_pad, groups.
 * Gradients exist for two spatial axes.
 */
export const Conv: OpDefinition = {
  type: "Conv",
  shape: convShape,
  cost: convCost,
  channels: convChannels,
  // dx = dy ⋆ flipped wᵀ, dw = x ⋆ dy, db = Σ dy.
  gradient: ({ builder: b, node, outputGradients: [dy], needs, dims }) => {
    const [x, weight] = node.inputs;
    if (dy === undefined || x === undefined || weight === undefined) return [];
    const geometry = convGeometry(node, dims(x), dims(weight));
    const attributes = convAttributes(geometry);
    const one = (op: string, inputs: readonly string[], shape: readonly number[]): string | undefined =>
      emitComposite(b, op, inputs, [true], { ...attributes, gradient_shape: ints(shape) })[0];
    return [
      needs[0] === true ? one("ConvInputGradient", [dy, weight], dims(x)) : undefined,
      needs[1] === true ? one("ConvWeightGradient", [x, dy], dims(weight)) : undefined,
      needs[2] === true ? emitComposite(b, "ChannelSum", [dy], [true])[0] : undefined,
    ];
  },
};

function convShape({ node, inputs: [x, weight] }: NodeContext): readonly ValueType[] {
  if (x === undefined || weight === undefined) throw shapeError(node, "the type of an input is unknown");
  const { elementType } = x;
  if (x.shape === undefined) return [{ elementType, shape: undefined }];
  const [batch, channels, ...inputSpatial] = x.shape;
  if (x.shape.length < 3)
    throw shapeError(
      node,
      "the input needs batch, channel and spatial axes",
      "rank 3 or more",
      describeShape(x.shape),
    );
  const kernel = kernelSize(node, weight.shape, inputSpatial.length);
  checkWeight(node, channels, weight.shape, x.shape);
  const spatial: readonly Dim[] =
    kernel === undefined
      ? inputSpatial.map(() => undefined)
      : resolveWindow({ node, inputSpatial, kernel }).output;
  return [{ elementType, shape: [batch, weight.shape?.[0], ...spatial] }];
}

function kernelSize(
  node: Node,
  weight: readonly Dim[] | undefined,
  spatialRank: number,
): number[] | undefined {
  const sizes = weight?.slice(2);
  if (sizes?.every((size): size is number => typeof size === "number")) {
    if (sizes.length === spatialRank) return sizes;
    throw shapeError(
      node,
      "weight and input have different numbers of spatial axes",
      `${spatialRank}`,
      `${sizes.length}`,
    );
  }
  return intsAttribute(node, "kernel_shape");
}

function checkWeight(node: Node, channels: Dim, weight: readonly Dim[] | undefined, x: readonly Dim[]): void {
  const groups = groupCount(node);
  const [outputChannels, perGroup] = weight ?? [];
  if (typeof outputChannels === "number" && outputChannels % groups !== 0) {
    throw shapeError(
      node,
      "the output channels do not divide into the groups",
      `a multiple of ${groups}`,
      `${outputChannels}`,
    );
  }
  if (typeof channels !== "number" || typeof perGroup !== "number" || channels === perGroup * groups) return;
  throw shapeError(
    node,
    "the input has another number of channels than the weight",
    `${perGroup * groups}`,
    `${channels} (input ${describeShape(x)})`,
  );
}

/** The `group` attribute, 1 where it is absent. */
export function groupCount(node: Node): number {
  const groups = intAttribute(node, "group") ?? 1;
  if (groups >= 1) return groups;
  throw shapeError(node, 'attribute "group" must be positive', "1 or more", `${groups}`);
}

/** N·K·P·Q outputs, each a product with (C/group)·R·S weights. */
function convCost({ node, inputs: [, weight] }: NodeContext, [output]: readonly ValueType[]): number {
  const [, ...perOutput] = staticShape(node, weight);
  return elementCount(staticShape(node, output)) * elementCount(perOutput);
}

/**
 * The geometry of a two-dimensional convolution node.
 * @throws PenniError "unsupported" for another number of spatial axes
 */
export function convGeometry(node: Node, x: readonly number[], weight: readonly number[]): ConvGeometry {
  const [batch, inputChannels, height, width, ...more] = x;
  const [outputChannels, , kernelHeight, kernelWidth] = weight;
  if (
    batch === undefined ||
    inputChannels === undefined ||
    height === undefined ||
    width === undefined ||
    outputChannels === undefined ||
    kernelHeight === undefined ||
    kernelWidth === undefined ||
    more.length > 0
  ) {
    throw shapeError(
      node,
      "gradients exist for two-dimensional convolutions",
      "an input of rank 4",
      describeShape(x),
    );
  }
  const kernel = [kernelHeight, kernelWidth] as const;
  const window = staticWindow({ node, inputSpatial: [height, width], kernel });
  return {
    batch,
    inputChannels,
    outputChannels,
    groups: groupCount(node),
    input: [height, width],
    kernel,
    output: pair(window.output),
    strides: pair(window.strides),
    dilations: pair(window.dilations),
    pads: [...pair(window.pads.slice(0, 2)), ...pair(window.pads.slice(2))],
  };
}

function pair(values: readonly number[]): readonly [number, number] {
  const [first, second] = values;
  if (first === undefined || second === undefined) throw new RangeError("two values expected");
  return [first, second];
}
