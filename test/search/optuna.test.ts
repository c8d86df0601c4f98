import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { before, describe, test } from "node:test";
import { promisify } from "node:util";
import { Random } from "../../src/data/random.js";
import { at, present } from "../../src/graph/at.js";
import { hypervolume } from "../../src/search/pareto.js";
import type { Params, Space } from "../../src/search/space.js";
import { Study } from "../../src/search/study.js";
import { tpeSampler } from "../../src/search/tpe.js";

const TRIALS = 40;
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
    space: unitSpace(5),
    values: zdt((f1, g) => 1 - Math.sqrt(f1 / g)),
    reference: [1.1, 7],
    python: ZDT_PYTHON(5, "1 - r ** 0.5"),
  },
  ZDT2: {
    space: unitSpace(5),
    values: zdt((f1, g) => 1 - (f1 / g) ** 2),
    reference: [1.1, 7],
    python: ZDT_PYTHON(5, "1 - r ** 2"),
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

/** One process for all: what it takes to load Optuna is more than a study. */
const SCRIPT = `import json, math, optuna, warnings
warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)
objectives = {}
${Object.entries(problems)
  .map(
    ([name, { python }]) => `def objective(trial):${python}\nobjectives[${JSON.stringify(name)}] = objective`,
  )
  .join("\n")}
samplers = {"tpe": optuna.samplers.TPESampler, "nsga2": optuna.samplers.NSGAIISampler}
def points(objective, sampler):
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    study.optimize(objective, n_trials=${TRIALS})
    return [trial.values for trial in study.trials]
print(json.dumps({
    problem: {name: [points(objective, make(seed=seed)) for seed in range(${SEEDS})] for name, make in samplers.items()}
    for problem, objective in objectives.items()
}))`;

type Points = readonly (readonly number[])[];

/** The points of each seed, of each sampler, of each problem. */
type Theirs = Readonly<Record<string, Readonly<Record<string, readonly Points[]>>>>;

const execute = promisify(execFile);

async function optuna(program: string): Promise<Theirs> {
  const { stdout } = await execute(program, ["-c", SCRIPT], { maxBuffer: 2 ** 26 });
  return JSON.parse(stdout) as Theirs;
}

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return (
    (at(sorted, Math.floor((sorted.length - 1) / 2)) + at(sorted, Math.ceil((sorted.length - 1) / 2))) / 2
  );
};

function ours({ space, values }: Problem, seed: number): Points {
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

/** Debian's own has Debian's packages, whichever other one comes first. Only looked for: loading it takes seconds. */
const python = ["python3", "/usr/bin/python3"].find(
  (program) =>
    spawnSync(program, ["-c", 'import importlib.util as u, sys; sys.exit(u.find_spec("optuna") is None)'])
      .status === 0,
);

describe(`the hypervolume after ${TRIALS} trials is at least 0.95 of Optuna's median over ${SEEDS} seeds`, {
  skip: python !== undefined ? false : "needs python3-optuna",
}, () => {
  let theirs: Theirs = {};
  const own = new Map<string, number>();
  const volumes = (runs: readonly Points[], { reference }: Problem): number =>
    median(runs.map((points) => hypervolume(points, reference)));

  before(async () => {
    const coming = optuna(String(python));
    for (const [name, problem] of Object.entries(problems))
      own.set(
        name,
        volumes(
          Array.from({ length: SEEDS }, (_, seed) => ours(problem, seed)),
          problem,
        ),
      );
    theirs = await coming;
  });

  for (const [name, problem] of Object.entries(problems))
    test(name, (context) => {
      const found = present(own.get(name));
      const samplers = Object.entries(present(theirs[name]));
      assert.equal(samplers.length, 2);
      for (const [sampler, runs] of samplers) {
        assert.deepEqual([runs.length, present(runs[0]).length], [SEEDS, TRIALS]);
        const other = volumes(runs, problem);
        context.diagnostic(`${found.toFixed(4)}, Optuna's ${sampler} ${other.toFixed(4)}`);
        assert.ok(found >= 0.95 * other, `${found} of ${sampler}'s ${other}`);
      }
    });
});
