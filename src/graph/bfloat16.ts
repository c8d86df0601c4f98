import { present } from "./at.js";

/** One number as float32 and its bits. */
const number = new Float32Array(1);
const bits = new Uint32Array(number.buffer);

/** bfloat16 bits, the upper half of a float32, as a number. */
export function bfloat16ToNumber(half: number): number {
  bits[0] = half << 16;
  return present(number[0]);
}

/** The bits of the bfloat16 nearest to a float32 number, ties to even. */
export function bfloat16Bits(value: number): number {
  number[0] = value;
  const whole = present(bits[0]);
  // Rounding would make infinity of some NaNs.
  if (Number.isNaN(value)) return (whole >>> 16) | 0x40;
  return (whole + 0x7fff + ((whole >>> 16) & 1)) >>> 16;
}
