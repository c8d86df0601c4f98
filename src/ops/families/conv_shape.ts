import { orDefault } from "../../graph/at.js";
import { intsAttribute } from "../../graph/attributes.js";
import { describeShape, shapeError } from "../../graph/shape_error.js";
import { elementCount } from "../../graph/tensor.js";
import type { Dim, Node, ValueType } from "../../graph/types.js";
import { checkDivides, groupCount } from "../../layers/groups.js";
import { checkPerChannel } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import { staticShape } from "../core/definition.js";
import { resolveWindow } from "../core/window.js";

export function convShape(context: NodeContext): readonly ValueType[] {
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
  const [outputChannels, perGroup] = orDefault(weight, []);
  checkDivides(node, "output channels", outputChannels);
  if (typeof channels !== "number" || typeof perGroup !== "number" || channels === perGroup * groups) return;
  throw shapeError(
    node,
    "the input has another number of channels than the weight",
    `${perGroup * groups}`,
    `${channels} (input ${describeShape(x)})`,
  );
}

/** N·K·P·Q outputs, each a product with (C/group)·R·S weights. */
export function convCost({ node, inputs: [, weight] }: NodeContext, [output]: readonly ValueType[]): number {
  const [, ...perOutput] = staticShape(node, weight);
  return elementCount(staticShape(node, output)) * elementCount(perOutput);
}
