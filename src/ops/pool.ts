import { intsAttribute } from "../graph/attributes.js";
import type { Node, Shape, ValueType } from "../graph/types.js";
import { requiredInput } from "./arguments.js";
import { describeShape, type NodeContext, shapeError } from "./definition.js";
import { resolveWindow, type StaticWindow, staticWindow } from "./window.js";

function kernelShape(node: Node): readonly number[] {
  const kernel = intsAttribute(node, "kernel_shape");
  if (kernel !== undefined) return kernel;
  throw shapeError(node, 'attribute "kernel_shape" is missing', "one size per spatial axis");
}

/** The type of a pooling node's output: x [N, C, spatial...] -> y [N, C, windows...]. */
export function pooledType(context: NodeContext): ValueType {
  const { node } = context;
  const x = requiredInput(context, 0);
  const { elementType, shape } = x;
  if (shape === undefined) return x;
  const [batch, channels, ...inputSpatial] = requireSpatial(node, shape);
  const { output } = resolveWindow({ node, inputSpatial, kernel: kernelShape(node) });
  return { elementType, shape: [batch, channels, ...output] };
}

/** The windows of a pooling node over an input [N, C, spatial...] of known dimensions. */
export function poolWindow(node: Node, dims: readonly number[]): StaticWindow {
  return staticWindow({ node, inputSpatial: dims.slice(2), kernel: kernelShape(node) });
}

/** The type of a global pooling node's output: x [N, C, spatial...] -> y [N, C, 1...]. */
export function globallyPooledType(context: NodeContext): ValueType {
  const { node } = context;
  const x = requiredInput(context, 0);
  if (x.shape === undefined) return x;
  const shape = requireSpatial(node, x.shape).map((dim, axis) => (axis < 2 ? dim : 1));
  return { elementType: x.elementType, shape };
}

function requireSpatial(node: Node, shape: Shape): Shape {
  if (shape.length >= 3) return shape;
  throw shapeError(
    node,
    "the input needs batch, channel and spatial axes",
    "rank 3 or more",
    describeShape(shape),
  );
}
