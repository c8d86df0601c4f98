import { at, present } from "../graph/at.js";
import { type Costs, frontRanks, greedySubset } from "./pareto.js";
import { categoricalDensity, type Density, numericDensity } from "./parzen.js";
import { randomSampler } from "./samplers.js";
import type { Dimension, Params, ParamValue } from "./space.js";
import type { RandomSource, RandomStreams, Sampler, StudyTrial } from "./study.js";

/** Trials drawn at random before there is anything to learn from. */
const FIRST = 10;
/** Candidates for each parameter, of which the most promising one is taken. */
const CANDIDATES = 24;
/** Share of the trials that count as good, and at most so many. */
const GOOD_SHARE = 0.1;
const MOST_GOOD = 25;
/** Worst costs are so much better than the reference of the hypervolume. */
const MARGIN = 0.1;

/**
 * Tree-structured Parzen estimator for several objectives (Bergstra et al. 2011; Ozaki et al. 2020): the trials are
 * parted into good ones, on the first fronts, and others; each parameter is drawn where the good ones are dense and the
 * others are not. Trials that were stopped early, and those that still run, are among the others, so that nothing is
 * proposed twice at a time.
 */
export function tpeSampler(seed: number, most: number, streams: RandomStreams): Sampler {
  const first = randomSampler(seed, most, streams);
  return {
    most,
    sample: (space, number, trials) => {
      const complete = trials.filter(({ costs }) => costs !== undefined);
      if (complete.length < FIRST) return first.sample(space, number, trials);
      const good = goodOnes(complete);
      const others = trials.filter((trial) => trial.state !== "failed" && !good.has(trial));
      const random = streams(seed, number);
      const next = Object.entries(space).map(([name, dimension]): readonly [string, ParamValue] => {
        const valuesOf = (list: Iterable<StudyTrial>): readonly ParamValue[] =>
          Array.from(list, ({ params }) => present(params[name]));
        return [
          name,
          drawn(densityOf(dimension, valuesOf(good)), densityOf(dimension, valuesOf(others)), random),
        ];
      });
      return Object.fromEntries(next) as Params;
    },
  };
}

function densityOf(dimension: Dimension, values: readonly ParamValue[]): Density {
  return dimension.kind === "categorical"
    ? categoricalDensity(dimension.choices, values)
    : numericDensity(dimension, values.map(Number));
}

/** Of some values drawn where good trials are, the one that others are least near to. */
function drawn(good: Density, others: Density, random: RandomSource): ParamValue {
  let best = good.draw(random);
  const score = (value: ParamValue): number => good.logDensity(value) - others.logDensity(value);
  let highest = score(best);
  for (let count = 1; count < CANDIDATES; count++) {
    const value = good.draw(random);
    const promise = score(value);
    if (promise > highest) [best, highest] = [value, promise];
  }
  return best;
}

/** Whole fronts as far as they fit, and of the next one those that dominate most together. */
function goodOnes(complete: readonly StudyTrial[]): ReadonlySet<StudyTrial> {
  const count = Math.min(MOST_GOOD, Math.ceil(GOOD_SHARE * complete.length));
  const costs = normalized(complete.map((trial) => present(trial.costs)));
  const ranks = frontRanks(costs);
  const good = new Set<StudyTrial>();
  for (let rank = 0; good.size < count; rank++) {
    const front = complete.map((_, index) => index).filter((index) => ranks[index] === rank);
    const reference = at(costs, 0).map(() => 1 + MARGIN);
    const chosen =
      front.length <= count - good.size
        ? front
        : greedySubset(
            front.map((index) => at(costs, index)),
            count - good.size,
            reference,
          ).map((place) => at(front, place));
    for (const index of chosen) good.add(at(complete, index));
  }
  return good;
}

/** Each objective from 0, the least, to 1, the most of all points. */
function normalized(points: readonly Costs[]): readonly Costs[] {
  const objectives = at(points, 0).map((_, index) => {
    const column = points.map((point) => at(point, index));
    const low = column.reduce((a, b) => Math.min(a, b));
    return { low, range: column.reduce((a, b) => Math.max(a, b)) - low };
  });
  return points.map((point) =>
    point.map((cost, index) => {
      const { low, range } = at(objectives, index);
      return range === 0 ? 0 : (cost - low) / range;
    }),
  );
}
