/**
 * A seeded generator of random numbers: xoshiro128** (Blackman and Vigna, 2018), its state filled by
 * splitmix32. The same keys give the same numbers on every machine, whatever ran before.
 */
export class Random {
  readonly #state: Uint32Array;
  #spareNormal: number | undefined;

  /** `keys` (finite numbers, e.g. seed, epoch, batch) together select the stream; their order matters. */
  constructor(...keys: readonly number[]) {
    let hash = 0x9e3779b9;
    for (const key of keys) {
      hash = mix32(hash ^ (key >>> 0));
      hash = mix32(hash ^ (Math.floor(key / 2 ** 32) >>> 0));
    }
    this.#state = Uint32Array.from({ length: 4 }, () => {
      hash = (hash + 0x9e3779b9) | 0;
      return mix32(hash);
    });
  }

  /** A uniformly distributed integer in 0 .. 2^32 - 1. */
  uint32(): number {
    const state = this.#state;
    const [a = 0, b = 0, c = 0, d = 0] = state;
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const crossed = d ^ b;
    const folded = c ^ a;
    state[0] = a ^ crossed;
    state[1] = b ^ folded;
    state[2] = folded ^ (b << 9);
    state[3] = rotateLeft(crossed, 11);
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

  /** A number from the standard normal distribution (polar method of Marsaglia). */
  normal(): number {
    const spare = this.#spareNormal;
    this.#spareNormal = undefined;
    if (spare !== undefined) return spare;
    for (;;) {
      const x = this.between(-1, 1);
      const y = this.between(-1, 1);
      const square = x * x + y * y;
      if (square === 0 || square >= 1) continue;
      const stretch = Math.sqrt((-2 * Math.log(square)) / square);
      this.#spareNormal = y * stretch;
      return x * stretch;
    }
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
