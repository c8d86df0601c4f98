import { Random } from "../data/random.js";
import { gridSampler, haltonSampler, randomSampler } from "../search/samplers.js";
import type { Dimension, Space } from "../search/space.js";
import { type Sampler, Study, type TrialResult } from "../search/study.js";
import { tpeSampler } from "../search/tpe.js";
import { directionOf, type MetricName, metricOf } from "./metrics.js";
import type { Axis, SearchSpec, SweepSpec } from "./spec.js";
import type { SweepState, TrialState } from "./state.js";

function dimensionOf(axis: Axis): Dimension {
  if (Array.isArray(axis)) return { kind: "categorical", choices: axis };
  const { min, max, log = false, integer = false } = axis;
  return { kind: integer ? "int" : "float", low: min, high: max, log };
}

export function spaceOf(axes: SweepSpec["axes"]): Space {
  return Object.fromEntries(Object.entries(axes).map(([name, axis]) => [name, dimensionOf(axis)]));
}

const streams = (...keys: readonly number[]): Random => new Random(...keys);

function samplerOf(search: SearchSpec, space: Space): Sampler {
  switch (search.kind) {
    case "grid":
      return gridSampler(space);
    case "random":
      return randomSampler(search.seed, search.trials, streams);
    case "halton":
      return haltonSampler(search.seed, search.trials, streams);
    case "tpe":
      return tpeSampler(search.seed, search.trials, streams);
  }
}

export const objectivesOf = (search: SearchSpec): readonly MetricName[] =>
  search.kind === "grid" ? [] : search.objectives;

/** The search as it stands after the trials that there are. */
export function studyOf({ axes, search }: SweepSpec, state: SweepState): Study {
  const space = spaceOf(axes);
  const directions = objectivesOf(search).map(directionOf);
  const study = new Study({ space, directions, sampler: samplerOf(search, space) });
  for (const trial of state) {
    study.add(trial.values);
    const result = resultOf(trial, search);
    if (result !== undefined) study.tell(trial.number, result);
  }
  return study;
}

/** What a study is told of a trial; nothing of one that has not ended. */
export function resultOf({ status, summary }: TrialState, search: SearchSpec): TrialResult | undefined {
  if (status === "stopped") return "pruned";
  if (status === "failed") return "failed";
  if (summary === undefined) return undefined;
  const values = objectivesOf(search).map((name) => metricOf(name, summary));
  const finite = values.filter((value) => value !== undefined);
  // One that has no such figure, as a time that could not be measured, cannot be compared.
  return finite.length === values.length ? finite : "failed";
}
