import { numericData } from "../graph/tensor.js";
import type { ElementType, Node, Tensor } from "../graph/types.js";
import { isInteger } from "../ops/core/element_types.js";
import { findOp } from "../ops/inference/registry.js";

/** Integers up to this are exact in float32, in which programs compute. */
const LARGEST_EXACT = 2 ** 24;

/** Of float64 numbers only those are computed in float32 that neither overflow nor vanish there, with room for squares. */
const [SMALLEST, LARGEST] = [2 ** -60, 2 ** 60];

/** Whether arithmetic in float32 gives a node's results: for integers to the last digit, for numbers to float32's. */
export function isExactly(node: Node, inputs: readonly Tensor[], outputs: readonly ElementType[]): boolean {
  if (outputs.some(isInteger) && findOp(node)?.roundsIntegers === true) return false;
  return inputs.every(isHeld);
}

function isHeld(tensor: Tensor): boolean {
  const { type } = tensor;
  if (type === "string" || type === "other") return false;
  if (isInteger(type)) return numericData(tensor).every((value) => Math.abs(value) <= LARGEST_EXACT);
  if (type !== "float64") return true;
  return numericData(tensor).every((value) => {
    const size = Math.abs(value);
    return size === 0 || (size >= SMALLEST && size <= LARGEST);
  });
}
