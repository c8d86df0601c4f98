import { at } from "../../graph/at.js";
import { int, ints, intsAttribute, stringAttribute } from "../../graph/attributes.js";
import { PenniError } from "../../graph/errors.js";
import { describeShape, shapeError } from "../../graph/shape_error.js";
import { elementCount } from "../../graph/tensor.js";
import type { Dim, Node, Shape, ValueType } from "../../graph/types.js";
import { checkDivides, groupCount } from "../../layers/groups.js";
import { convTransposeChannels } from "../channels/conv_transpose.js";
import { checkPerChannel, listAttribute, requiredInput } from "../core/arguments.js";
import { emitComposite } from "../core/composite.js";
import type { NodeContext } from "../core/context.js";
import { type GradientContext, type OpDefinition, staticShape } from "../core/definition.js";
import { slice } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { perAxis } from "../core/window.js";

/**
 * Transposed convolution (ONNX ConvTranspose, opset 1 and later): x [N, C, ...], w [C, K/group, ...], optional bias
 * [K] -> y [N, K, ...]. It is the adjoint of the convolution of an image like y with w, so that dx is that convolution
 * of dy, and dw its weight gradient with dy as the image and x as what arrives. Gradients exist for two spatial axes.
 */
export const ConvTranspose: OpDefinition = {
  type: "ConvTranspose",
  constants: { trained: [1, 2], settings: [] },
  weight: {
    outputAxis: () => 1,
    groups: groupCount,
    takesBias: true,
    noBasis: "transposed convolutions are not decomposed",
  },
  // With one output for each input, as where each channel is enlarged by itself.
  scaleAxes: { 1: (_, dims) => (dims[1] === 1 ? 0 : 1) },
  shape: convTransposeShape,
  cost: convTransposeCost,
  channels: convTransposeChannels,
  gradient: convTransposeGradient,
};

function convTransposeShape(context: NodeContext): readonly ValueType[] {
  const { node } = context;
  const x = requiredInput(context, 0);
  const weight = requiredInput(context, 1);
  const { elementType } = x;
  if (x.shape === undefined || weight.shape === undefined) return [{ elementType, shape: undefined }];
  const [batch, inputs, ...inputSpatial] = x.shape;
  const [rows, perGroup, ...kernel] = weight.shape;
  if (kernel.length !== inputSpatial.length) {
    throw shapeError(
      node,
      "weight and input have different ranks",
      describeShape(x.shape),
      describeShape(weight.shape),
    );
  }
  if (typeof inputs === "number" && typeof rows === "number" && inputs !== rows) {
    throw shapeError(node, "the weight does not fit the channels of the input", `${inputs} rows`, `${rows}`);
  }
  checkDivides(node, "input channels", rows);
  const channels = typeof perGroup === "number" ? perGroup * groupCount(node) : undefined;
  checkPerChannel(context, 2, channels);
  const spatial = transposedAxes(node, inputSpatial, kernel).map((axis) => axis.output);
  return [{ elementType, shape: [batch, channels, ...spatial] }];
}

/** One spatial axis of a transposed convolution. */
export interface TransposedAxis {
  readonly stride: number;
  readonly dilation: number;
  readonly output: Dim;
  /** What is cut off what x and w make, at either end; negative where the output goes beyond. Undefined if not known. */
  readonly cut: readonly [begin: number, end: number] | undefined;
}

/**
 * The spatial axes of a transposed convolution.
 * @param input spatial dimensions of x
 * @param kernel those of w
 * @throws PenniError "shape" for strides or dilations that are none
 */
export function transposedAxes(node: Node, input: Shape, kernel: Shape): readonly TransposedAxis[] {
  const strides = perAxis(node, "strides", input.length);
  const dilations = perAxis(node, "dilations", input.length);
  const padding = listAttribute(node, "output_padding", input.length, 0);
  return input.map((size, axis): TransposedAxis => {
    const [stride, dilation] = [at(strides, axis), at(dilations, axis)];
    const stated = intsAttribute(node, "output_shape")?.at(axis - input.length);
    const taps = kernel[axis];
    if (typeof size !== "number" || typeof taps !== "number") {
      return { stride, dilation, output: stated, cut: undefined };
    }
    const made = (size - 1) * stride + (taps - 1) * dilation + 1;
    const full = made + at(padding, axis);
    // A kernel smaller than the stride does not reach that far, and ONNX Runtime adds nothing behind it.
    const wanted = stated ?? (autoPadOf(node).startsWith("SAME") ? Math.min(size * stride, full) : undefined);
    const [begin, end] =
      wanted === undefined ? statedPads(node, axis, input.length) : sharedPads(node, full - wanted);
    const output = wanted ?? full - begin - end;
    return { stride, dilation, output, cut: [begin, made - begin - output] };
  });
}

function autoPadOf(node: Node): string {
  return stringAttribute(node, "auto_pad") ?? "NOTSET";
}

function statedPads(node: Node, axis: number, rank: number): readonly [number, number] {
  if (autoPadOf(node) === "VALID") return [0, 0];
  const pads = listAttribute(node, "pads", 2 * rank, 0);
  return [at(pads, axis), at(pads, rank + axis)];
}

/** Pads that lead to a stated output: the odd one at the end for SAME_UPPER, else at the beginning. */
function sharedPads(node: Node, total: number): readonly [number, number] {
  const smaller = Math.floor(Math.max(total, 0) / 2);
  const larger = Math.max(total, 0) - smaller;
  return autoPadOf(node) === "SAME_UPPER" ? [smaller, larger] : [larger, smaller];
}

/** Every input element meets (K/group)·R·S weights. */
function convTransposeCost({ node, inputs: [x, weight] }: NodeContext): number {
  const [, ...perInput] = staticShape(node, weight);
  return elementCount(staticShape(node, x)) * elementCount(perInput);
}

function convTransposeGradient(context: GradientContext): readonly (string | undefined)[] {
  const { builder: b, node, needs, dims } = context;
  const [dy] = context.outputGradients;
  const [x, weight] = node.inputs;
  if (dy === undefined || x === undefined || weight === undefined) return [];
  const kernel = dims(weight).slice(2);
  if (kernel.length !== 2) {
    throw new PenniError("unsupported", "gradients exist for transposed convolutions over two axes", {
      node: node.name,
      op: node.op,
      expected: "an input of rank 4",
      found: describeShape(dims(x)),
    });
  }
  const axes = transposedAxes(node, dims(x).slice(2), kernel);
  const { image, pads } = asImage(b, dy, axes);
  const attributes = {
    kernel_shape: ints(kernel),
    strides: ints(axes.map((axis) => axis.stride)),
    dilations: ints(axes.map((axis) => axis.dilation)),
    pads: ints(pads),
    group: int(groupCount(node)),
  };
  const weightShape = { gradient_shape: ints(dims(weight)) };
  return [
    needs[0] === true ? b.emit("Conv", [image, weight], { attributes }) : undefined,
    needs[1] === true
      ? emitComposite(b, "ConvWeightGradient", [image, x], [true], { ...attributes, ...weightShape })[0]
      : undefined,
    needs[2] === true ? emitComposite(b, "ChannelSum", [dy], [true])[0] : undefined,
  ];
}

/** The image whose convolution, with the pads, has x's size: dy without what lies beyond what x and w make. */
function asImage(
  b: Emitter,
  dy: string,
  axes: readonly TransposedAxis[],
): { readonly image: string; readonly pads: readonly number[] } {
  const cuts = axes.map((axis) => axis.cut ?? [0, 0]);
  const beyond = cuts.flatMap(([, end], axis) => (end < 0 ? [{ axis: axis + 2, start: 0, end }] : []));
  const image = beyond.length === 0 ? dy : slice(b, dy, beyond);
  return { image, pads: [...cuts.map(([begin]) => begin), ...cuts.map(([, end]) => Math.max(end, 0))] };
}
