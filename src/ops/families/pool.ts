import { at } from "../../graph/at.js";
import { intsAttribute, stringAttribute, stringAttributeOr } from "../../graph/attributes.js";
import { PenniError } from "../../graph/errors.js";
import { describeShape, shapeError } from "../../graph/shape_error.js";
import type { Dim, Node, Shape, ValueType } from "../../graph/types.js";
import { requiredInput } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import { resolveWindow, type StaticWindow, staticWindow, type Window } from "../core/window.js";

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
  const kernel = kernelShape(node);
  const window = resolveWindow({ node, inputSpatial, kernel });
  checkAutomaticPads(node, inputSpatial, window);
  return { elementType, shape: [batch, channels, ...window.output] };
}

/**
 * What SAME means for a dilated window, or for one that is smaller than its stride and ends before the input does, is
 * not what ONNX Runtime 1.30 computes (it leaves dilation out, and pads by less than 0).
 * @throws PenniError "unsupported" for such windows
 */
function checkAutomaticPads(node: Node, input: readonly Dim[], window: Window): void {
  if (!stringAttributeOr(node, "auto_pad", "").startsWith("SAME")) return;
  const { kernel, strides, dilations } = window;
  const isDilated = dilations.some((dilation) => dilation !== 1);
  const endsBefore = input.some((size, axis) => {
    const stride = at(strides, axis);
    return typeof size === "number" && (Math.ceil(size / stride) - 1) * stride + at(kernel, axis) < size;
  });
  if (!isDilated && !endsBefore) return;
  throw new PenniError("unsupported", "runtimes do not agree on these automatic pads of a pooling window", {
    node: node.name,
    op: node.op,
    expected: "pads as numbers",
    found: `auto_pad ${stringAttribute(node, "auto_pad")} with ${isDilated ? "dilations" : "a kernel that is smaller than the stride"}`,
    advice: "Export the model with explicit pads",
  });
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
