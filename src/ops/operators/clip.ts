import { hasInput, inputOf } from "../../graph/at.js";
import { floatAttribute } from "../../graph/attributes.js";
import { float32Data } from "../../graph/tensor.js";
import type { Node, Tensor } from "../../graph/types.js";
import { activation } from "../channels/lanewise.js";
import { type Bounds, clipGradient, LARGEST_BOUND } from "../composites/clip_gradient.js";
import type { NodeContext } from "../core/context.js";
import { noProducts, type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";
import { unaryGradient } from "../families/elementwise.js";

/**
 * y = min(max(x, low), high), with the bounds as attributes (ONNX Clip, opset 6 to 10) or as optional inputs
 * (opset 11 and later). dx = dy·[low < x < high]; the bounds get no gradient. Where a bound is computed while the model
 * runs, or too large for `ClipGradient`, dx = dy·[x = y].
 */
export const Clip: OpDefinition = {
  type: "Clip",
  scalars: [1, 2],
  cost: noProducts,
  onBlocks: true,
  constants: { trained: [], settings: [1, 2] },
  shape: sameTypeAsFirstInput,
  channels: activation(clipConstant),
  gradient: unaryGradient(({ b, node, x, y, dy }) => {
    const bounds = constantBounds(node, (name) => b.constantTensor(name));
    const fits =
      bounds !== undefined && isNoneOrSmall(bounds.low, -Infinity) && isNoneOrSmall(bounds.high, Infinity);
    return fits
      ? clipGradient(b, dy, y, bounds)
      : b.emit("Where", [b.emit("Equal", [x, y]), dy, b.scalar(0)]);
  }),
};

const isNoneOrSmall = (bound: number, none: number): boolean =>
  bound === none || Math.abs(bound) <= LARGEST_BOUND;

/** Exporters write the largest float32 for "no bound". */
const LARGEST_FLOAT32 = 3.4e38;

/** The bounds of a Clip node; undefined where one is computed while the model runs. */
export function constantBounds(
  node: Node,
  constant: (name: string) => Tensor | undefined,
): Bounds | undefined {
  const bound = (input: number, attribute: string, none: number): number | undefined => {
    if (!hasInput(node, input)) return floatAttribute(node, attribute) ?? none;
    const tensor = constant(inputOf(node, input));
    return tensor === undefined ? undefined : float32Data(tensor)[0];
  };
  const low = bound(1, "min", -Infinity);
  const high = bound(2, "max", Infinity);
  if (low === undefined || high === undefined) return undefined;
  return {
    low: low <= -LARGEST_FLOAT32 ? -Infinity : low,
    high: high >= LARGEST_FLOAT32 ? Infinity : high,
  };
}

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
  if (!hasInput(node, input)) return floatAttribute(node, attribute) ?? none;
  const value = values[input]?.elements[0];
  return typeof value === "number" ? value : undefined;
}
