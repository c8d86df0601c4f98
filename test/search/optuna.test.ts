import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import { Random } from "../../src/data/random.js";
import { at } from "../../src/graph/at.js";
import { hypervolume } from "../../src/search/pareto.js";
import type { Params, Space } from "../../src/search/space.js";
import { Study } from "../../src/search/study.js";
import { tpeSampler } from "../../src/search/tpe.js";

const TRIALS = 64;
const SEEDS = 10;

interface Problem {
  readonly space: Space;
  readonly values: (params: Params) => readonly number[];
  readonly reference: readonly number[];
  /** The same for Optuna: a body that returns the values from a `trial`. */
  readonly python: string;
}

const UNIT = { kind: "float", low: 0, high: 1, log: false } as const;
const unitSpace = (count: number): Space =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`x${index}`, UNIT]));
const numbers = (params: Params): readonly number[] => Object.values(params).map(Number);
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Zitzler, Deb and Thiele 2000. */
const zdt =
  (front: (f1: number, g: number) => number) =>
  (params: Params): readonly number[] => {
    const [f1, ...rest] = numbers(params);
    const g = 1 + (9 * sum(rest)) / rest.length;
    return [Number(f1), g * front(Number(f1), g)];
  };

const ZDT_PYTHON = (count: number, front: string): string => `
    x = [trial.suggest_float(f"x{i}", 0, 1) for i in range(${count})]
    g = 1 + 9 * sum(x[1:]) / ${count - 1}
    r = x[0] / g
    return x[0], g * (${front})`;

const problems: Readonly<Record<string, Problem>> = {
  ZDT1: {
    space: unitSpace(8),
    values: zdt((f1, g) => 1 - Math.sqrt(f1 / g)),
    reference: [1.1, 7],
    python: ZDT_PYTHON(8, "1 - r ** 0.5"),
  },
  ZDT2: {
    space: unitSpace(8),
    values: zdt((f1, g) => 1 - (f1 / g) ** 2),
    reference: [1.1, 7],
    python: ZDT_PYTHON(8, "1 - r ** 2"),
  },
  // Like a compression: a size, a strength on a logarithmic scale, a name that changes both objectives.
  "whole numbers, a logarithmic one and names": {
    space: {
      basis: { kind: "int", low: 1, high: 9, log: false },
      l1: { kind: "float", low: 1e-6, high: 1e-1, log: true },
      share: UNIT,
      penalty: { kind: "categorical", choices: ["elements", "channels", "none"] },
    },
    values: ({ basis, l1, share, penalty }) => {
      const bend = { elements: 0, channels: 0.15, none: 0.4 }[String(penalty)] ?? Number.NaN;
      const far = (Math.log10(Number(l1)) + 3.5) ** 2;
      const kept = Number(share) * (Number(basis) / 9);
      return [kept + bend / 2, (1 - kept) ** 3 + 0.1 * far + bend * (1 - Number(share))];
    },
    reference: [1.2, 2],
    python: `
    basis = trial.suggest_int("basis", 1, 9)
    l1 = trial.suggest_float("l1", 1e-6, 1e-1, log=True)
    share = trial.suggest_float("share", 0, 1)
    bend = {"elements": 0, "channels": 0.15, "none": 0.4}[trial.suggest_categorical("penalty", ["elements", "channels", "none"])]
    far = (math.log10(l1) + 3.5) ** 2
    kept = share * (basis / 9)
    return kept + bend / 2, (1 - kept) ** 3 + 0.1 * far + bend * (1 - share)`,
  },
};

function script({ python }: Problem): string {
  return `import json, math, optuna, warnings
warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)
def objective(trial):${python}
samplers = {"tpe": optuna.samplers.TPESampler, "nsga2": optuna.samplers.NSGAIISampler}
found = {name: [] for name in samplers}
for name, make in samplers.items():
    for seed in range(${SEEDS}):
        study = optuna.create_study(directions=["minimize", "minimize"], sampler=make(seed=seed))
        study.optimize(objective, n_trials=${TRIALS})
        found[name].append([trial.values for trial in study.trials])
print(json.dumps(found))`;
}

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return (
    (at(sorted, Math.floor((sorted.length - 1) / 2)) + at(sorted, Math.ceil((sorted.length - 1) / 2))) / 2
  );
};

function ours({ space, values }: Problem, seed: number): readonly (readonly number[])[] {
  const study = new Study({
    space,
    directions: ["minimize", "minimize"],
    sampler: tpeSampler(seed, TRIALS, (...keys) => new Random(...keys)),
  });
  while (!study.isExhausted) {
    const { number, params } = study.ask();
    study.tell(number, values(params));
  }
  return study.trials.map(({ params }) => values(params));
}

/** Debian's own has Debian's packages, whichever other one comes first. */
const python = ["python3", "/usr/bin/python3"].find(
  (program) => spawnSync(program, ["-c", "import optuna"]).status === 0,
);

describe(`the hypervolume after ${TRIALS} trials is at least 0.95 of Optuna's median over ${SEEDS} seeds`, {
  skip: python !== undefined ? false : "needs python3-optuna",
}, () => {
  for (const [name, problem] of Object.entries(problems)) {
    test(name, (context) => {
      const { status, stdout, stderr } = spawnSync(String(python), ["-c", script(problem)], {
        encoding: "utf8",
        maxBuffer: 2 ** 26,
      });
      assert.equal(status, 0, stderr);
      const theirs = JSON.parse(stdout) as Readonly<
        Record<string, readonly (readonly (readonly number[])[])[]>
      >;
      const volume = (points: readonly (readonly number[])[]): number =>
        hypervolume(points, problem.reference);
      const own = median(Array.from({ length: SEEDS }, (_, seed) => volume(ours(problem, seed))));
      for (const [sampler, runs] of Object.entries(theirs)) {
        const other = median(runs.map(volume));
        context.diagnostic(`${own.toFixed(4)}, Optuna's ${sampler} ${other.toFixed(4)}`);
        assert.ok(own >= 0.95 * other, `${own} of ${sampler}'s ${other}`);
      }
    });
  }
});
