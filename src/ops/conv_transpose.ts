import { intsAttribute, stringAttribute } from "../graph/attributes.js";
import { elementCount } from "../graph/tensor.js";
import type { Dim, Node, ValueType } from "../graph/types.js";
import { groupCount } from "./conv.js";
import { describeShape, type NodeContext, type OpDefinition, shapeError, staticShape } from "./definition.js";

/**
 * Transposed convolution (ONNX ConvTranspose, opset 1 and later): x [N, C, ...], w [C, K/group, ...] ->
 * y [N, K, ...]. It appears as the input gradient of a strided convolution; a network's own transposed
 * convolutions keep their weights, so it has no gradient yet.
 */
export const ConvTranspose: OpDefinition = {
  type: "ConvTranspose",
  shape: convTransposeShape,
  cost: convTransposeCost,
};

function convTransposeShape({ node, inputs: [x, weight] }: NodeContext): readonly ValueType[] {
  if (x === undefined) throw shapeError(node, "the type of the input is unknown");
  const { elementType } = x;
  if (x.shape === undefined || weight?.shape === undefined) return [{ elementType, shape: undefined }];
  const [batch, , ...inputSpatial] = x.shape;
  const [, perGroup, ...kernel] = weight.shape;
  if (kernel.length !== inputSpatial.length) {
    throw shapeError(
      node,
      "weight and input have different ranks",
      describeShape(x.shape),
      describeShape(weight.shape),
    );
  }
  const channels = typeof perGroup === "number" ? perGroup * groupCount(node) : undefined;
  const spatial = inputSpatial.map((size, axis) =>
    outputSize(node, axis, size, kernel[axis], inputSpatial.length),
  );
  return [{ elementType, shape: [batch, channels, ...spatial] }];
}

function outputSize(node: Node, axis: number, input: Dim, kernel: Dim, rank: number): Dim {
  const fixed = intsAttribute(node, "output_shape")?.at(axis - rank);
  if (fixed !== undefined) return fixed;
  if (typeof input !== "number" || typeof kernel !== "number") return undefined;
  const stride = intsAttribute(node, "strides")?.[axis] ?? 1;
  const dilation = intsAttribute(node, "dilations")?.[axis] ?? 1;
  const autoPad = stringAttribute(node, "auto_pad") ?? "NOTSET";
  if (autoPad.startsWith("SAME")) return input * stride;
  const pads = intsAttribute(node, "pads");
  const padding = (pads?.[axis] ?? 0) + (pads?.[rank + axis] ?? 0);
  const extra = intsAttribute(node, "output_padding")?.[axis] ?? 0;
  return (input - 1) * stride + extra + (kernel - 1) * dilation + 1 - padding;
}

/** Every input element meets (K/group)·R·S weights. */
function convTransposeCost({ node, inputs: [x, weight] }: NodeContext): number {
  const [, ...perInput] = staticShape(node, weight);
  return elementCount(staticShape(node, x)) * elementCount(perInput);
}
