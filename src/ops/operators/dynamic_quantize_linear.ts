import { int } from "../../graph/attributes.js";
import { inputsOf } from "../../graph/operands.js";
import { requiredInput } from "../core/arguments.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts, ofIntegers } from "../core/definition.js";
import { cast } from "../core/element_types.js";
import { div, neg, sub } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { asIntegers } from "../families/quantization.js";

/** uint8 over the range of the numbers at hand and 0, its scale and its zero point (ONNX DynamicQuantizeLinear, opset 11). */
export const DynamicQuantizeLinear: OpDefinition = {
  type: "DynamicQuantizeLinear",
  gradient: ofIntegers,
  channels: ofIntegers,
  cost: noProducts,
  shape: (context) => {
    const { elementType, shape } = requiredInput(context, 0);
    return [
      { elementType: "uint8", shape },
      { elementType, shape: [] },
      { elementType: "uint8", shape: [] },
    ];
  },
  expand: (b, node) => {
    const [x] = inputsOf(node, 1);
    const zero = b.scalar(0);
    const low = b.emit("Min", [extreme(b, "ReduceMin", x), zero]);
    const high = b.emit("Max", [extreme(b, "ReduceMax", x), zero]);
    const range = div(b, sub(b, high, low), b.scalar(255));
    // Zeros alone have no range.
    const scale = b.emit("Where", [b.emit("Equal", [range, zero]), b.scalar(1), range]);
    const first = b.emit("Clip", [div(b, neg(b, low), scale), zero, b.scalar(255)]);
    const point = cast(b, b.emit("Round", [first]), "uint8");
    return [asIntegers(b, node, div(b, x, scale), point, "uint8"), scale, point];
  },
};

function extreme(b: Emitter, op: string, x: string): string {
  return b.emit(op, [x], { attributes: { keepdims: int(0) } });
}
