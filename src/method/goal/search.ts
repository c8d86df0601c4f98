import type { Try } from "./schema.js";

/** How the fraction that reaches a goal is looked for. */
export interface SearchRules {
  /** Whether the goal holds from some fraction downwards (a cost) or upwards (a loss), and which end of that is wanted. */
  readonly wanted: "largest" | "smallest";
  /** The most that are tried. */
  readonly most: number;
  /** The search ends where the fractions of a try that holds and one that does not are so close: their ratio less 1. */
  readonly resolution: number;
  /** It also ends with a try that holds whose value is this share of the limit; 1 where nothing is close enough. */
  readonly close: number;
  /** What is aimed at, as a share of the limit. */
  readonly aim: number;
  /** Values grow with the fraction as straight lines, or fall with it as exponential functions. */
  readonly curve: "line" | "exponential";
  /** No next try is nearer to an end of what is left than this share of it. */
  readonly margin: number;
}

/** An end of the fractions: its value, where it is known without a try. */
export interface SearchEnd {
  readonly fraction: number;
  readonly value?: number | undefined;
}

/** Between what the goal is looked for. */
export interface SearchBounds {
  /** The smallest fraction that can be reached. */
  readonly least: SearchEnd;
  /** The largest one that makes a difference. */
  readonly most: SearchEnd;
}

/** What is compared with a limit: the end of the interval that speaks against a cost, the value of a loss. */
export function decisive(wanted: SearchRules["wanted"], { value, high }: Omit<Try, "holds">): number {
  return wanted === "largest" ? (high ?? value) : value;
}

/** The best of the tries that hold; undefined if none does. The first of equals. */
export function bestTry(tries: readonly Try[], wanted: SearchRules["wanted"]): Try | undefined {
  const sign = wanted === "largest" ? 1 : -1;
  return tries
    .filter(({ holds }) => holds)
    .reduce<Try | undefined>(
      (best, one) => (best === undefined || sign * one.fraction > sign * best.fraction ? one : best),
      undefined,
    );
}

/** Fractions have four decimals, so that they can be written down, said and asked for. */
const DECIMALS = 4;

export function roundedFraction(fraction: number): number {
  return Number(fraction.toFixed(DECIMALS));
}

/** The least fraction with so many decimals that is not below another one. */
export function leastRounded(fraction: number): number {
  return Math.min(1, Math.ceil(fraction * 10 ** DECIMALS) / 10 ** DECIMALS);
}

/**
 * The fraction to try next, a function of the tries alone: a search that is gone on with goes the same way. Undefined
 * where it is over.
 * @param first what to try first; undefined for what the ends let expect
 */
export function nextFraction(
  rules: SearchRules,
  limit: number,
  bounds: SearchBounds,
  first: number | undefined,
  tries: readonly Try[],
): number | undefined {
  if (tries.length >= rules.most) return undefined;
  const { low, high } = bracket(rules, bounds, tries);
  const within = (fraction: number): number =>
    Math.min(bounds.most.fraction, Math.max(low.fraction, fraction));
  const expected = between(rules, rules.aim * limit, low, high);
  if (tries.length === 0) {
    const isCheapEnough = rules.wanted === "largest" && high.value !== undefined && high.value <= limit;
    return isCheapEnough ? high.fraction : roundedFraction(within(first ?? expected));
  }
  if (isInDoubt(rules, bounds, tries))
    return tries.some(({ fraction }) => fraction >= bounds.most.fraction) ? undefined : bounds.most.fraction;
  if (high.fraction < low.fraction * (1 + rules.resolution)) return undefined;
  const best = bestTry(tries, rules.wanted);
  if (best !== undefined && rules.close < 1 && decisive(rules.wanted, best) >= rules.close * limit)
    return undefined;
  const met = secant(rules, rules.aim * limit, tries) ?? expected;
  const middle = (low.fraction + high.fraction) / 2;
  const fraction = roundedFraction(
    isSlow(rules, bounds, tries) ? middle : clamped(rules, met, low, high, expected),
  );
  return low.fraction < fraction && fraction < high.fraction ? fraction : undefined;
}

/** Whether it is not known that any fraction holds: not even the largest may. */
function isInDoubt({ wanted }: SearchRules, { most }: SearchBounds, tries: readonly Try[]): boolean {
  return wanted === "smallest" && most.value === undefined && bestTry(tries, wanted) === undefined;
}

/** What is left: from a fraction on the one side of the goal to one on the other. */
function bracket(
  rules: SearchRules,
  { least, most }: SearchBounds,
  tries: readonly Try[],
): { readonly low: SearchEnd; readonly high: SearchEnd } {
  const best = bestTry(tries, rules.wanted);
  const endOf = (one: Try): SearchEnd => ({ fraction: one.fraction, value: decisive(rules.wanted, one) });
  const failed = tries.filter(({ holds }) => !holds);
  if (rules.wanted === "largest") {
    const low = best === undefined ? least : endOf(best);
    // One that failed below one that holds was bad luck.
    const above = failed.filter(({ fraction }) => fraction > low.fraction);
    return { low, high: extreme(above.map(endOf), -1) ?? most };
  }
  const high = best === undefined ? most : endOf(best);
  const below = failed.filter(({ fraction }) => fraction < high.fraction);
  return { low: extreme(below.map(endOf), 1) ?? least, high };
}

/** The end with the largest fraction, or with sign -1 the smallest. */
function extreme(ends: readonly SearchEnd[], sign: 1 | -1): SearchEnd | undefined {
  return ends.toSorted((a, b) => sign * (b.fraction - a.fraction))[0];
}

/** Where the line through the last try and the one nearest to the aim meets it: a bent curve is straight between them. */
function secant(rules: SearchRules, aim: number, tries: readonly Try[]): number | undefined {
  if (rules.curve !== "line") return undefined;
  const distance = (one: Try): number => Math.abs(decisive(rules.wanted, one) - aim);
  const b = tries.at(-1);
  const [a] = tries.slice(0, -1).toSorted((one, other) => distance(one) - distance(other));
  if (a === undefined || b === undefined) return undefined;
  const slope = (decisive(rules.wanted, b) - decisive(rules.wanted, a)) / (b.fraction - a.fraction);
  return slope > 0 ? a.fraction + (aim - decisive(rules.wanted, a)) / slope : undefined;
}

/** Values that differ by less than this share of each other are those of a plain. */
const PLAIN = 0.005;

/** Whether curves are no help: the last two tries lie on a plain, or have left more than half of what there was. */
function isSlow(rules: SearchRules, bounds: SearchBounds, tries: readonly Try[]): boolean {
  const [before, last] = tries.slice(-2);
  if (rules.curve !== "line" || before === undefined || last === undefined) return false;
  const [from, to] = [decisive(rules.wanted, before), decisive(rules.wanted, last)];
  const isFar = Math.abs(last.fraction / before.fraction - 1) > 2 * PLAIN;
  if (isFar && Math.abs(to / from - 1) < PLAIN) return true;
  const left = (some: readonly Try[]): number => {
    const { low, high } = bracket(rules, bounds, some);
    return high.fraction - low.fraction;
  };
  return tries.length > 2 && left(tries) > left(tries.slice(0, -2)) / 2;
}

/** Not so near to an end that nothing is learned; what is beyond an end is what was expected. */
function clamped(
  { margin }: SearchRules,
  fraction: number,
  low: SearchEnd,
  high: SearchEnd,
  expected: number,
): number {
  if (fraction <= low.fraction || fraction >= high.fraction) return expected;
  const room = margin * (high.fraction - low.fraction);
  return Math.min(high.fraction - room, Math.max(low.fraction + room, fraction));
}

/** Losses below this share of the aim are taken for it: the logarithm of none says nothing. */
const SMALLEST_LOSS = 0.1;

/** Where between two ends the aim is to be expected. */
function between({ curve, margin }: SearchRules, aim: number, low: SearchEnd, high: SearchEnd): number {
  if (low.value === undefined || high.value === undefined || !Number.isFinite(low.value + high.value))
    return Math.sqrt(low.fraction * high.fraction);
  const height =
    curve === "line"
      ? (value: number): number => value
      : (value: number): number => Math.log(Math.max(value, SMALLEST_LOSS * aim, Number.MIN_VALUE));
  const [from, to] = [height(low.value), height(high.value)];
  const share = from === to ? 0.5 : (height(aim) - from) / (to - from);
  const inside = Number.isFinite(share) ? Math.min(1 - margin, Math.max(margin, share)) : 0.5;
  return low.fraction + inside * (high.fraction - low.fraction);
}

/** A search that may have begun before. */
export interface FractionSearch {
  readonly rules: SearchRules;
  readonly limit: number;
  readonly bounds: SearchBounds;
  readonly first: number | undefined;
  /** What was tried before. */
  readonly tries: readonly Try[];
  /** Finds out what a fraction gives; numbers count from 1. */
  readonly attempt: (fraction: number, number: number) => Promise<Omit<Try, "holds" | "fraction">>;
  /** Told all tries after each. */
  readonly onTry?: (tries: readonly Try[]) => Promise<void>;
}

/** Tries fractions until the search is over; all tries, in order. */
export async function searchFraction(search: FractionSearch): Promise<readonly Try[]> {
  const { rules, limit, bounds, first, attempt, onTry } = search;
  let { tries } = search;
  for (;;) {
    const fraction = nextFraction(rules, limit, bounds, first, tries);
    if (fraction === undefined) return tries;
    const found = { fraction, ...(await attempt(fraction, tries.length + 1)) };
    tries = [...tries, { ...found, holds: decisive(rules.wanted, found) <= limit }];
    await onTry?.(tries);
  }
}
