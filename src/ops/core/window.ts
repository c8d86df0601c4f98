import { at } from "../../graph/at.js";
import { intAttribute, intsAttribute, stringAttribute } from "../../graph/attributes.js";
import { describeShape, shapeError } from "../../graph/shape_error.js";
import type { Dim, Node } from "../../graph/types.js";

/** What of a sliding window the node itself does not say. */
export interface WindowRequest {
  readonly node: Node;
  /** Spatial dimensions of the input, i.e. without batch and channels. */
  readonly inputSpatial: readonly Dim[];
  /** Kernel size by spatial axis, before dilation. */
  readonly kernel: readonly number[];
}

/** A sliding window over spatial axes; all lists are by spatial axis. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** All begins, then all ends, as in ONNX; undefined where auto_pad depends on a dimension that is not known. */
  readonly pads: readonly number[] | undefined;
  readonly output: readonly Dim[];
}

/** A window over an input whose spatial dimensions are all known. */
export interface StaticWindow extends Window {
  readonly pads: readonly number[];
  readonly output: readonly number[];
}

interface AxisWindow {
  readonly input: Dim;
  readonly stride: number;
  /** Extent of the dilated kernel. */
  readonly extent: number;
}

/**
 * The list attribute `name` with one positive entry per spatial axis, 1 where it is absent.
 * @throws PenniError "shape" if it has another length, or an entry below 1
 */
export function perAxis(node: Node, name: string, rank: number): readonly number[] {
  const values = intsAttribute(node, name) ?? Array.from({ length: rank }, () => 1);
  if (values.length === rank && values.every((value) => value >= 1)) return values;
  throw shapeError(
    node,
    `attribute "${name}" does not fit the input`,
    `${rank} positive numbers`,
    `[${values.join(", ")}]`,
  );
}

/** Padding of SAME_UPPER and SAME_LOWER: as much as makes output = ceil(input / stride). */
function samePadding({ input, stride, extent }: AxisWindow, lower: boolean): [number, number] | undefined {
  const total =
    typeof input === "number"
      ? Math.max((Math.ceil(input / stride) - 1) * stride + extent - input, 0)
      : stride === 1
        ? extent - 1
        : undefined;
  if (total === undefined) return undefined;
  const smaller = Math.floor(total / 2);
  return lower ? [total - smaller, smaller] : [smaller, total - smaller];
}

function resolvePads(node: Node, axes: readonly AxisWindow[]): readonly number[] | undefined {
  const autoPad = stringAttribute(node, "auto_pad") ?? "NOTSET";
  if (autoPad === "NOTSET" || autoPad === "") return explicitPads(node, axes.length);
  if (autoPad === "VALID") return axes.flatMap(() => [0, 0]);
  if (autoPad !== "SAME_UPPER" && autoPad !== "SAME_LOWER") {
    throw shapeError(node, 'attribute "auto_pad" has an unknown value', undefined, autoPad);
  }
  const pairs = axes.map((axis) => samePadding(axis, autoPad === "SAME_LOWER"));
  if (!pairs.every((pair) => pair !== undefined)) return undefined;
  return [...pairs.map(([begin]) => begin), ...pairs.map(([, end]) => end)];
}

function explicitPads(node: Node, rank: number): readonly number[] {
  const pads = intsAttribute(node, "pads") ?? Array.from({ length: 2 * rank }, () => 0);
  if (pads.length === 2 * rank && pads.every((pad) => pad >= 0)) return pads;
  throw shapeError(
    node,
    'attribute "pads" does not fit the input',
    `${2 * rank} numbers, none negative`,
    `[${pads.join(", ")}]`,
  );
}

function outputSize(axis: AxisWindow, begin: number, end: number, ceil: boolean): Dim {
  const { input, stride, extent } = axis;
  if (typeof input !== "number") return stride === 1 && begin + end === extent - 1 ? input : undefined;
  const steps = (input + begin + end - extent) / stride;
  if (!ceil) return Math.floor(steps) + 1;
  const size = Math.ceil(steps) + 1;
  // A window that would start in the padding at the end is dropped (ONNX MaxPool, as in PyTorch).
  return (size - 1) * stride >= input + begin ? size - 1 : size;
}

/** The output when auto_pad asks for SAME and the padding itself is not known. */
function sameOutput({ input, stride }: AxisWindow): Dim {
  if (typeof input === "number") return Math.ceil(input / stride);
  return stride === 1 ? input : undefined;
}

/**
 * Strides, dilations, pads and output size of a convolution or pooling node (ONNX Conv, MaxPool, AveragePool,
 * opset 7 to 22): resolves auto_pad NOTSET, VALID, SAME_UPPER and SAME_LOWER, and ceil_mode.
 * @throws PenniError "shape" if an attribute does not fit the rank or the window exceeds the padded input.
 */
export function resolveWindow({ node, inputSpatial, kernel }: WindowRequest): Window {
  const rank = inputSpatial.length;
  if (kernel.length !== rank || !kernel.every((size) => size >= 1)) {
    throw shapeError(
      node,
      "the kernel does not fit the input's spatial axes",
      `${rank} positive sizes`,
      `[${kernel.join(", ")}]`,
    );
  }
  const strides = perAxis(node, "strides", rank);
  const dilations = perAxis(node, "dilations", rank);
  const axes = inputSpatial.map((input, axis) => ({
    input,
    stride: at(strides, axis),
    extent: (at(kernel, axis) - 1) * at(dilations, axis) + 1,
  }));
  const pads = resolvePads(node, axes);
  const ceil = intAttribute(node, "ceil_mode") === 1;
  const output = axes.map((axis, index) =>
    pads === undefined ? sameOutput(axis) : outputSize(axis, at(pads, index), at(pads, rank + index), ceil),
  );
  if (output.some((size) => typeof size === "number" && size < 1)) {
    throw shapeError(
      node,
      "the window is larger than the padded input",
      `a spatial size that holds a ${kernel.join("x")} kernel`,
      describeShape(inputSpatial),
    );
  }
  return { kernel, strides, dilations, pads, output };
}

/** `resolveWindow` for an input whose spatial dimensions are all numbers, as in gradient rules. */
export function staticWindow(
  request: WindowRequest & { readonly inputSpatial: readonly number[] },
): StaticWindow {
  const window = resolveWindow(request);
  const { pads, output } = window;
  if (pads !== undefined && output.every((size): size is number => typeof size === "number")) {
    return { ...window, pads, output: output as readonly number[] };
  }
  throw shapeError(request.node, "the window is not static", "known spatial dimensions");
}
