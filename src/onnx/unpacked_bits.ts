import { present } from "../graph/at.js";

const BYTE = 8;

/** Numbers of 1, 2, 4 or 8 bits that share bytes, the first in the lowest bits, each in a byte of its own. */
export function unpackedBits(packed: Uint8Array, count: number, bits: number): Uint8Array {
  const inByte = BYTE / bits;
  const mask = 2 ** bits - 1;
  const numbers = new Uint8Array(count);
  for (let at = 0; at < count; at++) {
    numbers[at] = (present(packed[Math.floor(at / inByte)]) >> (bits * (at % inByte))) & mask;
  }
  return numbers;
}
