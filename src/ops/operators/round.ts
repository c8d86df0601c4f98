import { roundingOp } from "../families/rounding.js";

/** The nearest whole number, the even one of two (ONNX Round, opset 11 and later). */
export const Round = roundingOp("Round", roundHalfToEven);

function roundHalfToEven(x: number): number {
  const size = Math.abs(x);
  const below = Math.floor(size);
  const isHalf = size - below === 0.5;
  return Math.sign(x) * (isHalf && below % 2 === 0 ? below : Math.round(size));
}
