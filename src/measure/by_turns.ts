import { median } from "./median.js";
import { type Spread, spreadOf } from "./rounds.js";

/** Something that runs a network on one image. */
export interface Contender {
  readonly engine: string;
  /** Runs `count` times, one after the other. @returns milliseconds of each run */
  sample(count: number): Promise<readonly number[]> | readonly number[];
}

export interface Timing extends Spread {
  readonly engine: string;
}

/** How long one contender runs before the next has its turn. */
const TURN_MS = 40;
const FEWEST_RUNS = 3;
/** Runs, besides the first few, before anything counts; of a slow network as many as fit into a second. */
const WARM_RUNS = 20;
const WARM_MS = 1000;
const MOST_RUNS = 200;

/** Stack frames by which a turn lies deeper than the one before. */
export const FRAMES = 3;

/**
 * Calls `work` so many frames further down the stack. V8 keeps on it what finds no register, and where a vector of a
 * compiled network's inner loop lies across the end of a page, the network takes up to 2.7 times as long: at one depth
 * in about 40, which is another one in every process.
 */
export function deeper<Result>(frames: number, work: () => Result): Result {
  return frames === 0 ? work() : deeper(frames - 1, work);
}

/**
 * Times contenders by turns, so that whatever else the machine does meanwhile hits all alike; each turn at another depth
 * of the stack, so that no single one decides.
 * @param onRound told after each round how many are done, and of how many
 */
export async function measureByTurns(
  contenders: readonly Contender[],
  rounds: number,
  onRound: (done: number, rounds: number) => void = () => {},
): Promise<readonly Timing[]> {
  const runs: {
    readonly contender: Contender;
    readonly count: number;
    readonly times: (readonly number[])[];
  }[] = [];
  for (const contender of contenders) {
    // The first runs also bring an engine to its optimised code.
    const first = await contender.sample(FEWEST_RUNS);
    const more = Math.min(WARM_RUNS, Math.ceil(WARM_MS / Math.max(median(first), 1e-3)));
    const warm = [...first, ...(await contender.sample(more))];
    const count = Math.ceil(TURN_MS / Math.max(median(warm), 1e-3));
    runs.push({ contender, count: Math.min(Math.max(count, FEWEST_RUNS), MOST_RUNS), times: [] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { contender, count, times } of runs)
      times.push(await deeper(round * FRAMES, () => contender.sample(count)));
    onRound(round + 1, rounds);
  }
  return runs.map(({ contender, times }) => ({ engine: contender.engine, ...spreadOf(times) }));
}

/** Times a function that returns when it is done. */
export function timed(run: () => void): Contender["sample"] {
  return (count) =>
    Array.from({ length: count }, () => {
      const started = performance.now();
      run();
      return performance.now() - started;
    });
}

/** Times a function that returns a promise. */
export function timedAsync(run: () => Promise<unknown>): Contender["sample"] {
  return async (count) => {
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      const started = performance.now();
      await run();
      times.push(performance.now() - started);
    }
    return times;
  };
}
