import { present } from "./at.js";
import type { Tensor } from "./types.js";

/** Every float16 number by its bits. */
let numbersByBits: Float32Array | undefined;

/** IEEE 754 binary16 bits as a number. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** A float16 tensor as float32, exactly; others as they are. */
export function float16ToFloat32(tensor: Tensor): Tensor {
  if (tensor.type !== "float16") return tensor;
  numbersByBits ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => halfToNumber(bits));
  const table = numbersByBits;
  const { bytes, dims } = tensor;
  const numbers = new Float32Array(bytes.byteLength / 2);
  for (let index = 0; index < numbers.length; index++) {
    const bits = present(bytes[2 * index]) | (present(bytes[2 * index + 1]) << 8);
    numbers[index] = present(table[bits]);
  }
  return { type: "float32", dims, bytes: new Uint8Array(numbers.buffer) };
}

/** The largest float32 that does not become infinite: half a step above the largest float16. */
const LARGEST_HALF = 65_520;

/** float32 bits as those of the nearest float16, ties to even. The magnitude must be below `LARGEST_HALF`. */
function halfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  // Below the smallest normal float16, 2^-14, steps are of 2^-24.
  if (magnitude < 0x38800000) {
    const shift = 126 - (magnitude >>> 23);
    if (shift > 25) return sign;
    return sign | rounded((magnitude & 0x7fffff) | 0x800000, shift);
  }
  return sign | (rounded(magnitude, 13) - (112 << 10));
}

/** value / 2^shift, rounded to the nearest whole number, ties to even. */
function rounded(value: number, shift: number): number {
  const kept = value >>> shift;
  const rest = value & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept;
}

/**
 * A float32 tensor as the nearest float16; undefined where an element is too large for it, or not a number.
 */
export function float32ToFloat16(tensor: Tensor): Tensor | undefined {
  const view = new DataView(tensor.bytes.buffer, tensor.bytes.byteOffset, tensor.bytes.byteLength);
  const halves = new Uint16Array(tensor.bytes.byteLength / 4);
  for (let index = 0; index < halves.length; index++) {
    if (!(Math.abs(view.getFloat32(4 * index, true)) < LARGEST_HALF)) return undefined;
    halves[index] = halfBits(view.getUint32(4 * index, true));
  }
  return { type: "float16", dims: tensor.dims, bytes: new Uint8Array(halves.buffer) };
}
