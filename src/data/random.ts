/**
 * A seeded generator of random numbers: xoshiro128** (Blackman and Vigna, 2018), its state filled by
 * splitmix32. The same keys give the same numbers on every machine, whatever ran before.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** `keys` (finite numbers, e.g. seed, epoch, batch) together select the stream; their order matters. */
  constructor(...keys: readonly number[]) {
    let hash = 0x9e3779b9;
    for (const key of keys) {
      hash = mix32(hash ^ (key >>> 0));
      hash = mix32(hash ^ (Math.floor(key / 2 ** 32) >>> 0));
    }
    const fill = (): number => {
      hash = (hash + 0x9e3779b9) | 0;
      return mix32(hash);
    };
    this.#a = fill();
    this.#b = fill();
    this.#c = fill();
    this.#d = fill();
  }

  /** A uniformly distributed integer in 0 .. 2^32 - 1. */
  uint32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return result;
  }

  /** A uniformly distributed number in [0, 1). */
  uniform(): number {
    return this.uint32() / 2 ** 32;
  }

  /** A uniformly distributed number in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  /** A uniformly distributed integer in 0 .. bound - 1, for a bound of at most 2^32. */
  below(bound: number): number {
    const fair = 2 ** 32 - (2 ** 32 % bound);
    let draw = this.uint32();
    while (draw >= fair) draw = this.uint32();
    return draw % bound;
  }

  /** Shuffles in place (Fisher-Yates) and returns the same array. */
  shuffle<Items extends Uint32Array | unknown[]>(items: Items): Items {
    for (let last = items.length - 1; last > 0; last -= 1) {
      const other = this.below(last + 1);
      const held = items[last];
      items[last] = items[other];
      items[other] = held;
    }
    return items;
  }
}

function rotateLeft(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

/** The finaliser of splitmix32: a bijection on 32-bit integers that spreads every input bit. */
function mix32(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
