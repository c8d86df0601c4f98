import { intAttribute, ints, intsAttribute } from "../graph/attributes.js";
import { PenniError } from "../graph/errors.js";
import { elementCount } from "../graph/tensor.js";
import type { Attribute, Dim, Node, ValueType } from "../graph/types.js";
import { checkPerChannel } from "./arguments.js";
import { convChannels } from "./channels/conv.js";
import { emitComposite } from "./composite.js";
import { type ConvGeometry, convAttributes } from "./conv_gradient.js";
import {
  describeShape,
  type GradientContext,
  type NodeContext,
  type OpDefinition,
  shapeError,
  staticShape,
} from "./definition.js";
import { reshape } from "./emit.js";
import { resolveWindow, staticWindow } from "./window.js";

/**
 * Convolution (ONNX Conv, opset 1 and later): x [N, C, ...], w [K, C/group, ...], optional bias [K] ->
 * y [N, K, ...]; any number of spatial axes, strides, dilations, pads, auto_pad, groups.
 * Gradients exist for one and two spatial axes.
 */
export const Conv: OpDefinition = {
  type: "Conv",
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

/** Dimensions [A, B, L] as [A, B, 1, L]; others as they are. */
function planeDims(dims: readonly number[]): readonly number[] {
  return dims.length === 3 ? [...dims.slice(0, 2), 1, ...dims.slice(2)] : dims;
}

/** A convolution over one spatial axis as one over planes of height 1. */
function planarNode(node: Node): Node {
  const lead = (name: string, first: number): readonly (readonly [string, Attribute])[] => {
    const values = intsAttribute(node, name);
    return values === undefined ? [] : [[name, ints(values.flatMap((value) => [first, value]))]];
  };
  const attributes = new Map([
    ...node.attributes,
    ...lead("kernel_shape", 1),
    ...lead("strides", 1),
    ...lead("dilations", 1),
    ...lead("pads", 0),
  ]);
  return { ...node, attributes };
}

function convShape(context: NodeContext): readonly ValueType[] {
  const {
    node,
    inputs: [x, weight],
  } = context;
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
  checkPerChannel(context, 2, weight.shape?.[0]);
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
  checkDivides(node, "output channels", outputChannels);
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

/**
 * Checks that a weight's rows divide into the groups: there are no more of these than the file has weights for.
 * @throws PenniError "shape" if they do not
 */
export function checkDivides(node: Node, what: string, channels: Dim): void {
  const groups = groupCount(node);
  if (typeof channels !== "number" || groups === 1) return;
  if (channels >= groups && channels % groups === 0) return;
  throw shapeError(
    node,
    `the ${what} do not divide into the groups`,
    `a multiple of ${groups}`,
    `${channels}`,
  );
}

/** N·K·P·Q outputs, each a product with (C/group)·R·S weights. */
function convCost({ node, inputs: [, weight] }: NodeContext, [output]: readonly ValueType[]): number {
  const [, ...perOutput] = staticShape(node, weight);
  return elementCount(staticShape(node, output)) * elementCount(perOutput);
}

/**
 * The geometry of a convolution over planes, or over one axis as over planes of height 1.
 * @throws PenniError "unsupported" for another number of spatial axes
 */
export function convGeometry(node: Node, x: readonly number[], weight: readonly number[]): ConvGeometry {
  const [batch, inputChannels, height, width, ...more] = planeDims(x);
  const [outputChannels, , kernelHeight, kernelWidth] = planeDims(weight);
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
    throw new PenniError("unsupported", "gradients exist for convolutions over one or two axes", {
      node: node.name,
      op: node.op,
      expected: "an input of rank 3 or 4",
      found: describeShape(x),
    });
  }
  const kernel = [kernelHeight, kernelWidth] as const;
  const flat = x.length === 3 ? planarNode(node) : node;
  const window = staticWindow({ node: flat, inputSpatial: [height, width], kernel });
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
