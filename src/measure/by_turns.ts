import { median } from "./median.js";

/** Something that runs a network on one image. */
export interface Contender {
  readonly engine: string;
  /** Runs `count` times, one after the other. @returns milliseconds of each run */
  sample(count: number): Promise<readonly number[]> | readonly number[];
}

export interface Timing {
  readonly engine: string;
  readonly medianMs: number;
  readonly minMs: number;
}

/** How long one contender runs before the next has its turn. */
const TURN_MS = 40;
const FEWEST_RUNS = 3;
const MOST_RUNS = 200;

/** Times contenders by turns, so that whatever else the machine does meanwhile hits all alike. */
export async function measureByTurns(
  contenders: readonly Contender[],
  rounds: number,
): Promise<readonly Timing[]> {
  const runs: { readonly contender: Contender; readonly count: number; readonly times: number[] }[] = [];
  for (const contender of contenders) {
    // The first runs also bring an engine to its optimised code.
    const warm = [...(await contender.sample(FEWEST_RUNS)), ...(await contender.sample(20))];
    const count = Math.ceil(TURN_MS / Math.max(median(warm), 1e-3));
    runs.push({ contender, count: Math.min(Math.max(count, FEWEST_RUNS), MOST_RUNS), times: [] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { contender, count, times } of runs) times.push(...(await contender.sample(count)));
  }
  return runs.map(({ contender, times }) => {
    return { engine: contender.engine, medianMs: median(times), minMs: Math.min(...times) };
  });
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
