import { at } from "../graph/at.js";
import { type Params, type Space, valueAt } from "./space.js";
import type { RandomSource, RandomStreams, Sampler } from "./study.js";

/** A point of the space from a share for each dimension. */
function pointAt(space: Space, share: (index: number) => number): Params {
  return Object.fromEntries(
    Object.entries(space).map(([name, dimension], index) => [name, valueAt(dimension, share(index))]),
  );
}

/** Independent draws. */
export function randomSampler(seed: number, most: number, streams: RandomStreams): Sampler {
  return {
    most,
    sample: (space, number) => {
      const random = streams(seed, number);
      return pointAt(space, () => random.uniform());
    },
  };
}

/** Every combination of the choices of categorical dimensions, the last dimension first. */
export function gridSampler(space: Space): Sampler {
  const sizes = Object.values(space).map((dimension) => {
    if (dimension.kind === "categorical") return dimension.choices.length;
    throw new RangeError("a grid is of lists, not of ranges");
  });
  return {
    most: sizes.reduce((product, size) => product * size, 1),
    sample: (_space, number) => {
      const shares = sizes.map((size, index) => {
        const below = sizes.slice(index + 1).reduce((product, one) => product * one, 1);
        return ((Math.floor(number / below) % size) + 0.5) / size;
      });
      return pointAt(space, (index) => at(shares, index));
    },
  };
}

/**
 * Points that fill the space evenly, however many there are: Halton's sequence, whose digits are permuted at random
 * in each base and place, so that dimensions of large bases are not alike at the beginning (Braaten and Weller 1979).
 */
export function haltonSampler(seed: number, most: number, streams: RandomStreams): Sampler {
  const permutations = new Map<string, readonly number[]>();
  const permutation = (dimension: number, base: number, place: number): readonly number[] => {
    const key = `${dimension} ${place}`;
    const known = permutations.get(key);
    if (known !== undefined) return known;
    const made = shuffled(base, streams(seed, dimension, place));
    permutations.set(key, made);
    return made;
  };
  const share = (number: number, dimension: number): number => {
    const base = prime(dimension);
    let [left, weight, sum] = [number, 1 / base, 0];
    for (let place = 0; weight > SMALLEST_DIGIT; place++) {
      sum += weight * at(permutation(dimension, base, place), left % base);
      left = Math.floor(left / base);
      weight /= base;
    }
    return Math.min(sum, LAST_SHARE);
  };
  return { most, sample: (space, number) => pointAt(space, (dimension) => share(number, dimension)) };
}

/** Digits below this one change nothing in a number of 53 bits that is used for settings. */
const SMALLEST_DIGIT = 2 ** -40;
const LAST_SHARE = 1 - 2 ** -32;

/** 0 .. count - 1 in an order drawn at random. */
function shuffled(count: number, random: RandomSource): readonly number[] {
  const list = Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor(random.uniform() * (last + 1));
    const held = at(list, last);
    list[last] = at(list, other);
    list[other] = held;
  }
  return list;
}

/** The primes from 2, by index. */
function prime(index: number): number {
  let candidate = 2;
  for (let found = 0; ; candidate++) {
    if (isPrime(candidate) && found++ === index) return candidate;
  }
}

function isPrime(number: number): boolean {
  for (let divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor === 0) return false;
  return true;
}
