import { stringAttribute } from "../../graph/attributes.js";
import { activation } from "../channels/lanewise.js";
import type { NodeContext } from "../core/context.js";
import { add, mul, sub } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { unaryOp } from "../families/elementwise.js";
import { errorFunction } from "./erf.js";

/**
 * y = x·Φ(x), with the normal distribution Φ or, with `approximate` = "tanh", its approximation
 * (1 + tanh(√(2/π)·(x + 0.044715·x³))) / 2 (ONNX Gelu, opset 20 and later). dx = dy·(Φ(x) + x·Φ'(x)).
 */
export const Gelu = unaryOp("Gelu", {
  channels: activation(geluConstant),
  gradient: ({ b, node, x, dy }) => {
    const isApproximate = stringAttribute(node, "approximate") === "tanh";
    const { value, slope } = isApproximate ? approximateNormal(b, x) : normal(b, x);
    return mul(b, dy, add(b, value, mul(b, x, slope)));
  },
});

/** A distribution function at x, and its slope there. */
interface Distribution {
  readonly value: string;
  readonly slope: string;
}

function normal(b: Emitter, x: string): Distribution {
  const erf = b.emit("Erf", [mul(b, x, b.scalar(Math.SQRT1_2))]);
  const bell = b.emit("Exp", [mul(b, mul(b, x, x), b.scalar(-0.5))]);
  return { value: half(b, erf), slope: mul(b, bell, b.scalar(1 / Math.sqrt(2 * Math.PI))) };
}

function approximateNormal(b: Emitter, x: string): Distribution {
  const factor = Math.sqrt(2 / Math.PI);
  const square = mul(b, x, x);
  const inner = mul(b, x, add(b, b.scalar(factor), mul(b, square, b.scalar(factor * CUBIC))));
  const tanh = b.emit("Tanh", [inner]);
  const innerSlope = add(b, b.scalar(factor), mul(b, square, b.scalar(3 * factor * CUBIC)));
  const tanhSlope = sub(b, b.scalar(1), mul(b, tanh, tanh));
  return { value: half(b, tanh), slope: mul(b, mul(b, tanhSlope, innerSlope), b.scalar(0.5)) };
}

const CUBIC = 0.044715;

/** (1 + t) / 2. */
function half(b: Emitter, t: string): string {
  return mul(b, add(b, t, b.scalar(1)), b.scalar(0.5));
}

function geluConstant(x: number, { node }: NodeContext): number {
  const isApproximate = stringAttribute(node, "approximate") === "tanh";
  const approximation = (): number => Math.tanh(Math.sqrt(2 / Math.PI) * (x + CUBIC * x ** 3));
  return (x * (1 + (isApproximate ? approximation() : errorFunction(x * Math.SQRT1_2)))) / 2;
}
