import { activation } from "../channels/lanewise.js";
import { mul, neg } from "../core/emit.js";
import { unaryOp } from "../families/elementwise.js";

/** y = erf x (ONNX Erf, opset 9 and later). dx = dy·2/√π·exp(-x²). */
export const Erf = unaryOp("Erf", {
  facts: { onBlocks: true },
  channels: activation(errorFunction),
  gradient: ({ b, x, dy }) => {
    const bell = b.emit("Exp", [neg(b, mul(b, x, x))]);
    return mul(b, dy, mul(b, bell, b.scalar(2 / Math.sqrt(Math.PI))));
  },
});

/** Beyond this erf is 1 in float32. */
const SATURATED = 4;

/** erf x by its power series 2/√π Σ (-1)ⁿ x²ⁿ⁺¹ / (n! (2n + 1)); absolute error below 1e-9. */
export function errorFunction(x: number): number {
  if (Math.abs(x) >= SATURATED) return Math.sign(x);
  let power = x;
  let sum = x;
  for (let n = 1; Math.abs(power) > 1e-17; n++) {
    power *= -(x * x) / n;
    sum += power / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}
