import { at, present } from "../graph/at.js";
import { type Costs, nonDominated } from "./pareto.js";
import type { Params, Space } from "./space.js";

export type Direction = "minimize" | "maximize";

/** How a trial ended: its objectives in the study's order, or without them. */
export type TrialResult = readonly number[] | "pruned" | "failed";

/** A trial as samplers see it. */
export interface StudyTrial {
  readonly number: number;
  readonly params: Params;
  /** All to be small; undefined unless the trial was completed. */
  readonly costs: Costs | undefined;
  readonly state: "running" | "complete" | "pruned" | "failed";
}

/** Chooses where to look next. A function of its seed, the trial's number and what the trials before came to. */
export interface Sampler {
  /** How many trials there are to be had. */
  readonly most: number;
  sample(space: Space, number: number, trials: readonly StudyTrial[]): Params;
}

/** What a sampler draws from: numbers in [0, 1). */
export interface RandomSource {
  uniform(): number;
}

/** The source that belongs to some keys: the same for the same keys. */
export type RandomStreams = (...keys: readonly number[]) => RandomSource;

export interface StudyOptions {
  readonly space: Space;
  /** One for each objective. */
  readonly directions: readonly Direction[];
  readonly sampler: Sampler;
}

/**
 * A search, asked for the next trial and told what it came to, as Optuna's. It keeps nothing but its trials: one that
 * was interrupted is the same again when `add` gave it the trials that there were.
 */
export class Study {
  private readonly known: StudyTrial[] = [];

  constructor(private readonly options: StudyOptions) {}

  get trials(): readonly StudyTrial[] {
    return this.known;
  }

  /** Whether there is nothing left to ask for. */
  get isExhausted(): boolean {
    return this.known.length >= this.options.sampler.most;
  }

  /** The next trial. @throws RangeError if there is none left */
  ask(): { readonly number: number; readonly params: Params } {
    if (this.isExhausted) throw new RangeError(`the search has ${this.known.length} trials`);
    const { space, sampler } = this.options;
    const number = this.known.length;
    const params = sampler.sample(space, number, this.known);
    this.known.push({ number, params, costs: undefined, state: "running" });
    return { number, params };
  }

  /** Takes in a trial of an earlier session, in the order of their numbers. @returns its number */
  add(params: Params): number {
    const number = this.known.length;
    this.known.push({ number, params, costs: undefined, state: "running" });
    return number;
  }

  /**
   * Says what a trial came to; what was said of it before is forgotten.
   * @throws RangeError if there is no such trial, or it does not have a finite value for each objective
   */
  tell(number: number, result: TrialResult): void {
    const trial = this.known[number];
    if (trial === undefined) throw new RangeError(`there is no trial ${number}`);
    this.known[number] =
      typeof result === "string"
        ? { ...trial, costs: undefined, state: result }
        : { ...trial, costs: this.costsOf(result), state: "complete" };
  }

  /** The complete trials that no other one beats in every objective. */
  get best(): readonly StudyTrial[] {
    const complete = this.known.filter(({ costs }) => costs !== undefined);
    return nonDominated(complete.map(({ costs }) => present(costs))).map((index) => at(complete, index));
  }

  private costsOf(values: readonly number[]): Costs {
    const { directions } = this.options;
    if (values.length !== directions.length || !values.every(Number.isFinite))
      throw new RangeError(`expected ${directions.length} finite values, found ${values.join(", ")}`);
    return values.map((value, index) => (directions[index] === "maximize" ? -value : value));
  }
}
