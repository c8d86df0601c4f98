import { at, present } from "../../graph/at.js";
import { PenniError } from "../../graph/errors.js";

/** What one output channel, or some that it stands for, costs in error when coefficients are spared. */
export interface RowCurve {
  /** Error with all coefficients, already weighted (see `LayerOption`). */
  readonly base: number;
  /** Error added by sparing the first m + 1 coefficients, weighted; never decreasing. */
  readonly added: Float64Array;
}

/** What a way to compute a layer begins with. */
export const wayForms = [
  /** The layer as it came in, whatever it has of a basis and of zeros: nothing is removed. */
  "kept",
  /** The basis that the layer came with. */
  "own basis",
  /** A basis made for it. */
  "new basis",
  /** Its weights, without a basis. */
  "weights",
] as const;

export type WayForm = (typeof wayForms)[number];

/** One way to compute a layer. Errors are in units of the network's output error. */
export interface LayerOption {
  readonly form: WayForm;
  /** Basis kernels; 1 for weights without a basis, 0 for a layer that is kept. */
  readonly d: number;
  /** Multiply-accumulates for one image that do not depend on the coefficients. */
  readonly fixedMacs: number;
  /** Multiply-accumulates for one image of one coefficient of a row, over all outputs that the row stands for. */
  readonly macsPerCoefficient: number;
  /** The most multiply-accumulates that it may take: no more than the layer costs as it came in. */
  readonly most: number;
  readonly rows: readonly RowCurve[];
}

/** What was decided for a layer. */
export interface LayerChoice {
  /** Index into the layer's options. */
  readonly option: number;
  /** Coefficients that stay, for each row of the option. */
  readonly kept: readonly number[];
  readonly macs: number;
  /** Expected contribution to the network's output error. */
  readonly error: number;
}

/** Bisections of the price of a multiply-accumulate: the budget is met to about 1e-9 of the price's range. */
const BISECTIONS = 60;
/** Logarithms of the cheapest and the dearest price. */
const PRICES = { lowest: -60, highest: 10 };

/**
 * Distributes a budget of multiply-accumulates over layers: with a price for each multiply-accumulate every layer
 * takes the option, and every output channel the number of coefficients, with the least error plus price, and the
 * price is raised until the budget is met (a Lagrangian relaxation; optimal for the budget that it ends at).
 * @throws PenniError "bad-option" if even the cheapest choice exceeds the budget
 */
export function allocate(
  layers: readonly (readonly LayerOption[])[],
  budget: number,
): readonly LayerChoice[] {
  const limited = layers.map((options) =>
    options.map((option) => ({ ...option, lowestPrice: lowestPrice(option) })),
  );
  const first = atBestPrice(limited, budget);
  // A layer that changes its basis at the last price leaves a gap: what is left goes to coefficients alone.
  const fixed = limited.map((options, index) => [at(options, at(first, index).option)]);
  const again = atBestPrice(fixed, budget);
  return again.map((choice, index) => ({ ...choice, option: at(first, index).option }));
}

/** A way to compute a layer, and the price from which on it takes no more than it may. */
interface LimitedOption extends LayerOption {
  readonly lowestPrice: number;
}

function lowestPrice(option: LayerOption): number {
  const isEnough = (price: number): boolean =>
    chooseRows({ ...option, lowestPrice: price }, 0, 0).macs <= option.most;
  if (isEnough(0)) return 0;
  let { lowest, highest } = PRICES;
  for (let step = 0; step < BISECTIONS; step++) {
    const middle = (lowest + highest) / 2;
    if (isEnough(Math.exp(middle))) highest = middle;
    else lowest = middle;
  }
  return Math.exp(highest);
}

function atBestPrice(layers: readonly (readonly LimitedOption[])[], budget: number): readonly LayerChoice[] {
  const choicesAt = (logarithm: number): readonly LayerChoice[] =>
    layers.map((options) => cheapestOption(options, Math.exp(logarithm)));
  const total = (choices: readonly LayerChoice[]): number =>
    choices.reduce((sum, choice) => sum + choice.macs, 0);
  let { lowest, highest } = PRICES;
  const least = total(choicesAt(highest));
  if (least > budget) {
    throw new PenniError("bad-option", "so few multiply-accumulates cannot be reached", {
      expected: `at least ${Math.ceil(least)} in the layers that can be compressed`,
      found: `${Math.floor(budget)}`,
      advice: "Give a higher --target-macs",
    });
  }
  if (total(choicesAt(lowest)) <= budget) return choicesAt(lowest);
  for (let step = 0; step < BISECTIONS; step++) {
    const middle = (lowest + highest) / 2;
    if (total(choicesAt(middle)) > budget) lowest = middle;
    else highest = middle;
  }
  return spendRest(layers, choicesAt(highest), choicesAt(lowest), budget);
}

/**
 * Rows whose number of coefficients jumps at the last price (their curves are not convex there) take as many more as
 * the budget still allows.
 * @param dearer the choices just below that price, beyond the budget
 */
function spendRest(
  layers: readonly (readonly LayerOption[])[],
  chosen: readonly LayerChoice[],
  dearer: readonly LayerChoice[],
  budget: number,
): readonly LayerChoice[] {
  let rest = budget - chosen.reduce((sum, choice) => sum + choice.macs, 0);
  return chosen.map((choice, index) => {
    const option = at(at(layers, index), choice.option);
    const other = at(dearer, index);
    if (other.option !== choice.option) return choice;
    const kept = choice.kept.map((count, k) => {
      const more = Math.min(at(other.kept, k) - count, Math.floor(rest / option.macsPerCoefficient));
      if (more <= 0) return count;
      rest -= more * option.macsPerCoefficient;
      return count + more;
    });
    return withCounts(option, choice.option, kept);
  });
}

function cheapestOption(options: readonly LimitedOption[], price: number): LayerChoice {
  const choices = options.map((option, index) => chooseRows(option, index, price));
  return choices.reduce((best, choice) =>
    choice.error + price * choice.macs < best.error + price * best.macs ? choice : best,
  );
}

function chooseRows(option: LimitedOption, index: number, price: number): LayerChoice {
  const own = Math.max(price, option.lowestPrice) * option.macsPerCoefficient;
  const kept = option.rows.map((row) => cheapestCount(row, own));
  return withCounts(option, index, kept);
}

function withCounts(option: LayerOption, index: number, kept: readonly number[]): LayerChoice {
  const { fixedMacs, macsPerCoefficient, rows } = option;
  const coefficients = kept.reduce((sum, count) => sum + count, 0);
  const error = rows.reduce((sum, row, k) => sum + row.base + addedError(row, at(kept, k)), 0);
  return { option: index, kept, macs: fixedMacs + coefficients * macsPerCoefficient, error };
}

/** The error that is added by keeping so many of a row's coefficients. */
export function addedError({ added }: RowCurve, kept: number): number {
  return kept === added.length ? 0 : at(added, added.length - kept - 1);
}

/** How many coefficients to keep when each costs `price`. */
function cheapestCount({ added }: RowCurve, price: number): number {
  const n = added.length;
  let best = n;
  let least = price * n;
  for (let removed = 1; removed <= n; removed++) {
    const cost = present(added[removed - 1]) + price * (n - removed);
    if (cost >= least) continue;
    least = cost;
    best = n - removed;
  }
  return best;
}
