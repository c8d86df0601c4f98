import { present } from "../../graph/at.js";

/** Fractional parts of the square roots (as 0.5) or cube roots of the first primes, 32 bits each: FIPS 180-4. */
function rootBits(count: number, power: number): readonly number[] {
  const primes: number[] = [];
  for (let candidate = 2; primes.length < count; candidate++) {
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  }
  return primes.map((prime) => Math.floor((prime ** power % 1) * 2 ** 32));
}

const initial = rootBits(8, 1 / 2);
const constants = Int32Array.from(rootBits(64, 1 / 3));

const BLOCK = 64;

/**
 * The SHA-256 digest, 32 bytes. Browsers compute it only while others wait, and a compiler that runs everywhere has no
 * other: FIPS 180-4.
 */
export function sha256(bytes: Uint8Array): Uint8Array {
  const state = Int32Array.from(initial);
  const whole = bytes.length - (bytes.length % BLOCK);
  for (let at = 0; at < whole; at += BLOCK) addBlock(state, bytes, at);
  const end = ending(bytes.subarray(whole), bytes.length);
  for (let at = 0; at < end.length; at += BLOCK) addBlock(state, end, at);
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, index) => {
    digest.setInt32(4 * index, word);
  });
  return new Uint8Array(digest.buffer);
}

/** What is left of a message, a one, zeros, and the message's length in bits: one block or two. */
function ending(rest: Uint8Array, length: number): Uint8Array {
  const end = new Uint8Array(rest.length + 9 > BLOCK ? 2 * BLOCK : BLOCK);
  end.set(rest);
  end[rest.length] = 0x80;
  new DataView(end.buffer).setBigUint64(end.length - 8, 8n * BigInt(length));
  return end;
}

const schedule = new Int32Array(64);

const turned = (word: number, bits: number): number => (word >>> bits) | (word << (32 - bits));

function addBlock(state: Int32Array, bytes: Uint8Array, from: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + from, BLOCK);
  for (let i = 0; i < 16; i++) schedule[i] = view.getInt32(4 * i);
  for (let i = 16; i < 64; i++) {
    const early = present(schedule[i - 15]);
    const late = present(schedule[i - 2]);
    const first = turned(early, 7) ^ turned(early, 18) ^ (early >>> 3);
    const second = turned(late, 17) ^ turned(late, 19) ^ (late >>> 10);
    schedule[i] = (((present(schedule[i - 16]) + first) | 0) + ((present(schedule[i - 7]) + second) | 0)) | 0;
  }
  let a = present(state[0]);
  let b = present(state[1]);
  let c = present(state[2]);
  let d = present(state[3]);
  let e = present(state[4]);
  let f = present(state[5]);
  let g = present(state[6]);
  let h = present(state[7]);
  for (let i = 0; i < 64; i++) {
    const choice = (e & f) ^ (~e & g);
    const third = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25);
    const next = (h + third + choice + present(constants[i]) + present(schedule[i])) | 0;
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const fourth = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22);
    h = g;
    g = f;
    f = e;
    e = (d + next) | 0;
    d = c;
    c = b;
    b = a;
    a = (next + fourth + majority) | 0;
  }
  const words = [a, b, c, d, e, f, g, h];
  for (let i = 0; i < 8; i++) state[i] = present(state[i]) + present(words[i]);
}
