import { inputOf, outputOf } from "../../graph/at.js";
import { int, intAttributeOr, ints } from "../../graph/attributes.js";
import { inputsOf } from "../../graph/operands.js";
import { scalarTensor } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";
import { elementTypeCode } from "../core/element_types.js";
import type { TypedBuilder } from "../inference/builder.js";

// Standard operators that are others put together; see `unfuse`.

/** Cast to the type of the second input. */
export function castLike(b: TypedBuilder, node: Node): boolean {
  const [x, like] = inputsOf(node, 2);
  const type = b.types.get(like)?.elementType;
  if (type === undefined || type === "other") return false;
  b.emit("Cast", [x], { outputs: [outputOf(node, 0)], attributes: { to: int(elementTypeCode(type)) } });
  return true;
}

/** Between no norm and the least that float32 has; what has none stays zero. */
const LEAST_NORM = 2 ** -126;

/** y = x / norm of x along an axis, by the sum of magnitudes or of squares; 0 where the norm is. */
export function lpNormalization(b: TypedBuilder, node: Node): boolean {
  const x = inputOf(node, 0);
  const power = intAttributeOr(node, "p", 2);
  const type = b.types.get(x)?.elementType;
  if (type !== "float32" || (power !== 1 && power !== 2)) return false;
  const axes = [intAttributeOr(node, "axis", -1)];
  const isInput = b.opset >= 18;
  const norm = b.emit(power === 1 ? "ReduceL1" : "ReduceL2", isInput ? [x, b.axes(axes)] : [x], {
    attributes: { keepdims: int(1), ...(isInput ? {} : { axes: ints(axes) }) },
  });
  const divisor = b.emit("Max", [norm, b.constant("least_norm", scalarTensor(LEAST_NORM))]);
  b.emit("Div", [x, divisor], { outputs: [outputOf(node, 0)] });
  return true;
}
