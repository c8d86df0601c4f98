import { at } from "../../graph/at.js";
import { tensorAttribute } from "../../graph/attributes.js";
import { elementCount, numericData } from "../../graph/tensor.js";
import { knownNumbers } from "../../ops/core/rearrange.js";
import { findOp } from "../../ops/inference/registry.js";
import { constantTensor } from "../../ops/operators/constant.js";
import type { Lower } from "./definition.js";
import { checkTableLength, notConstant, unsupported } from "./errors.js";
import { fill } from "./movement.js";

// Operators whose results are known beforehand. Few are left in a simplified graph: those that make its outputs, and
// large ones.

export const lowerConstant: Lower = (context) => {
  context.alias(context.weights(Float32Array.from(numericData(constantTensor(context.node)))));
};

export const lowerConstantOfShape: Lower = (context) => {
  const value = tensorAttribute(context.node, "value");
  const number = value === undefined ? 0 : numericData(value)[0];
  if (number === undefined) throw unsupported(context, "a value of one element", "an empty one");
  fill(context, context.write(), elementCount(context.outputDims()), number);
};

/** Shape and Size: what the operator's own rule finds. */
export const lowerDimensions: Lower = (context) => {
  const numbers = knownNumbers(findOp(context.node)?.value?.(context)[0]);
  if (numbers === undefined) throw notConstant(context, "the dimensions of its input");
  context.alias(context.weights(Float32Array.from(numbers)));
};

/** start, start + delta, ... */
export const lowerRange: Lower = (context) => {
  const [start, delta] = [context.constantData(0)?.[0], context.constantData(2)?.[0]];
  if (start === undefined || delta === undefined) throw notConstant(context, "start and delta");
  const count = at(context.outputDims(), 0);
  checkTableLength(context, count);
  context.alias(context.weights(Float32Array.from({ length: count }, (_, index) => start + index * delta)));
};
