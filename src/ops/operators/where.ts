import { broadcasting } from "../channels/elementwise.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { type KnownElement, mapKnown } from "../core/known_values.js";
import { broadcastType } from "../families/elementwise.js";

/**
 * y = a where the condition holds, b elsewhere, with broadcasting (ONNX Where, opset 9 and later).
 * da = dy where it holds, else 0; db = dy where it does not, else 0.
 */
export const Where: OpDefinition = {
  type: "Where",
  cost: noProducts,
  shape: (context) => [
    broadcastType(context, context.inputs[1]?.elementType ?? context.inputs[2]?.elementType),
  ],
  value: ({ node, values }) => [
    values[1] === undefined ? undefined : mapKnown(node, values[1].type, values, choose),
  ],
  channels: broadcasting(([, whenTrue, whenFalse]) => (whenTrue === whenFalse ? whenTrue : undefined)),
  gradient: ({ builder: b, node, outputGradients: [dy], needs }) => {
    const [condition] = node.inputs;
    if (dy === undefined || condition === undefined) return [];
    const zero = b.scalar(0);
    return [
      undefined,
      needs[1] === true ? b.emit("Where", [condition, dy, zero]) : undefined,
      needs[2] === true ? b.emit("Where", [condition, zero, dy]) : undefined,
    ];
  },
};

function choose([condition, whenTrue, whenFalse]: readonly KnownElement[]): KnownElement {
  if (whenTrue === whenFalse) return whenTrue;
  if (typeof condition !== "number") return undefined;
  return condition === 0 ? whenFalse : whenTrue;
}
