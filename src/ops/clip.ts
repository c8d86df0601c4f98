import { floatAttribute } from "../graph/attributes.js";
import { activation } from "./channels/lanewise.js";
import { type NodeContext, type OpDefinition, sameTypeAsFirstInput } from "./definition.js";
import { unaryGradient } from "./elementwise.js";

/**
 * y = min(max(x, low), high), with the bounds as attributes (ONNX Clip, opset 6 to 10) or as optional inputs
 * (opset 11 and later). dx = dy·[low ≤ x ≤ high], which is where y equals x; the bounds get no gradient.
 */
export const Clip: OpDefinition = {
  type: "Clip",
  shape: sameTypeAsFirstInput,
  channels: activation(clipConstant),
  gradient: unaryGradient(({ b, x, y, dy }) => b.emit("Where", [b.emit("Equal", [x, y]), dy, b.scalar(0)])),
};

/** The clipped number; undefined where a bound is computed while the model runs. */
function clipConstant(x: number, context: NodeContext): number | undefined {
  const low = clipBound(context, 1, "min", -Infinity);
  const high = clipBound(context, 2, "max", Infinity);
  return low === undefined || high === undefined ? undefined : Math.min(Math.max(x, low), high);
}

/** A bound of a Clip node, `none` where it is absent; undefined where it is computed while the model runs. */
export function clipBound(
  { node, values }: NodeContext,
  input: number,
  attribute: string,
  none: number,
): number | undefined {
  if ((node.inputs[input] ?? "") === "") return floatAttribute(node, attribute) ?? none;
  const value = values[input]?.elements[0];
  return typeof value === "number" ? value : undefined;
}
