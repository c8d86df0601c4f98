import { orDefault } from "../../graph/at.js";
import type { LayerTimesRecord } from "../../run/layer_times.js";

/** Milliseconds of one image, compiled. */
export interface TimeChange {
  readonly before: number;
  /** 0 where nothing is left. */
  readonly after: number;
}

/** How long the layers of a table take. */
export interface TimesView {
  readonly whole: TimeChange;
  /** What is in none of the layers. */
  readonly rest: TimeChange;
  /** Of the slowest layer. */
  readonly most: number;
  /** Of layers that are computed on their own. */
  readonly layers: ReadonlyMap<string, TimeChange>;
}

/** @param names of the layers */
export function timesView({ original, compressed }: LayerTimesRecord, names: readonly string[]): TimesView {
  const [before, after] = [original, compressed].map(
    ({ layers }) => new Map(layers.map(({ name, ms }) => [name, ms])),
  );
  const layers = new Map<string, TimeChange>();
  const rest = { before: original.wholeMs, after: compressed.wholeMs };
  // More than none, for what is drawn as a share of it.
  let most = 1e-6;
  for (const name of names) {
    const ms = before?.get(name);
    if (ms === undefined) continue;
    const change = { before: ms, after: orDefault(after?.get(name), 0) };
    layers.set(name, change);
    rest.before -= change.before;
    rest.after -= change.after;
    most = Math.max(most, change.before, change.after);
  }
  return {
    whole: { before: original.wholeMs, after: compressed.wholeMs },
    // Where reading the clock costs more than what is not in layers, they add up to more than the whole.
    rest: { before: Math.max(0, rest.before), after: Math.max(0, rest.after) },
    most,
    layers,
  };
}
