import { int, intAttributeOr } from "../../graph/attributes.js";
import { firstOf } from "../../graph/operands.js";
import type { Node } from "../../graph/types.js";
import type { OpDefinition } from "../core/definition.js";
import { add, matMul, mul, slice, sub } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { recurrentFacts, recurrentTypes, type Step, unrolled } from "../families/recurrent.js";

/** Gated recurrent unit (ONNX GRU, opset 7 and later); gates in the order update, reset, hidden. */
export const GRU: OpDefinition = {
  type: "GRU",
  ...recurrentFacts,
  shape: (context) => recurrentTypes(context, 1),
  expand: (b, node) => unrolled(b, node, { gates: 3, initial: [5], step: gruStep(node) }),
};

/** h = (1 - update) * tanh(hidden) + update * h; the reset gate acts before or behind the product with R. */
function gruStep(node: Node): Step {
  const isBehind = intAttributeOr(node, "linear_before_reset", 0) !== 0;
  return (projected, states, { b, hidden, recurrent, bias }) => {
    const [h] = firstOf(states, 1);
    const sizes = b.axes([hidden, hidden, hidden]);
    const apart = (name: string): readonly string[] => {
      const outputs = ["update", "reset", "hidden"].map((gate) => b.freshName(gate));
      b.emit("Split", [name, sizes], { attributes: { axis: int(1) }, outputs });
      return outputs;
    };
    const product = matMul(b, h, recurrent);
    const [ofUpdate, ofReset, ofHidden] = firstOf(
      apart(bias === undefined ? product : add(b, product, bias)),
      3,
    );
    const [xUpdate, xReset, xHidden] = firstOf(apart(projected), 3);
    const update = b.emit("Sigmoid", [add(b, xUpdate, ofUpdate)]);
    const reset = b.emit("Sigmoid", [add(b, xReset, ofReset)]);
    const inner = isBehind
      ? mul(b, reset, ofHidden)
      : resetFirst(b, mul(b, reset, h), { hidden, recurrent, bias });
    const candidate = b.emit("Tanh", [add(b, xHidden, inner)]);
    return [add(b, mul(b, sub(b, b.scalar(1), update), candidate), mul(b, update, h))];
  };
}

function resetFirst(
  b: Emitter,
  h: string,
  parts: { readonly hidden: number; readonly recurrent: string; readonly bias: string | undefined },
): string {
  const { hidden, recurrent, bias } = parts;
  const product = matMul(b, h, slice(b, recurrent, [{ axis: 1, start: 2 * hidden, end: 3 * hidden }]));
  return bias === undefined
    ? product
    : add(b, product, slice(b, bias, [{ axis: 0, start: 2 * hidden, end: 3 * hidden }]));
}
