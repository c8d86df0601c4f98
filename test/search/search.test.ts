import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Random } from "../../src/data/random.js";
import { at } from "../../src/graph/at.js";
import { dominates, frontRanks, greedySubset, hypervolume, nonDominated } from "../../src/search/pareto.js";
import { normalCdf, normalQuantile } from "../../src/search/parzen.js";
import { gridSampler, haltonSampler, randomSampler } from "../../src/search/samplers.js";
import { type Space, valueAt } from "../../src/search/space.js";
import { type Sampler, Study, type TrialResult } from "../../src/search/study.js";
import { tpeSampler } from "../../src/search/tpe.js";

const streams = (...keys: readonly number[]): Random => new Random(...keys);

const SIDE = 5;
const point = (dimensions: number) =>
  fc.array(fc.integer({ min: 0, max: SIDE + 1 }), { minLength: dimensions, maxLength: dimensions });
const points = fc
  .integer({ min: 1, max: 3 })
  .chain((dimensions) => fc.array(point(dimensions), { minLength: 1, maxLength: 12 }));

/** Unit cells below the reference that some point dominates: what the hypervolume of whole numbers is. */
function countedCells(list: readonly (readonly number[])[]): number {
  const dimensions = at(list, 0).length;
  let count = 0;
  for (let cell = 0; cell < SIDE ** dimensions; cell++) {
    const corner = Array.from({ length: dimensions }, (_, index) => Math.floor(cell / SIDE ** index) % SIDE);
    if (list.some((one) => one.every((cost, index) => cost <= at(corner, index)))) count++;
  }
  return count;
}

describe("dominance", () => {
  test("is a strict order", () => {
    fc.assert(
      fc.property(point(3), point(3), point(3), (a, b, c) => {
        assert.ok(!dominates(a, a));
        assert.ok(!(dominates(a, b) && dominates(b, a)));
        if (dominates(a, b) && dominates(b, c)) assert.ok(dominates(a, c));
      }),
    );
  });

  test("of equal points all stay on the front, whatever the order", () => {
    assert.deepEqual(
      nonDominated([
        [1, 2],
        [2, 1],
        [1, 2],
        [2, 2],
      ]),
      [0, 1, 2],
    );
    fc.assert(
      fc.property(points, (list) => {
        const front = nonDominated(list).map((index) => at(list, index).join());
        const turned = list.toReversed();
        assert.deepEqual(
          nonDominated(turned)
            .map((index) => at(turned, index).join())
            .toSorted(),
          front.toSorted(),
        );
        for (const one of list)
          assert.ok(
            front.includes(one.join()) || front.some((best) => dominates(best.split(",").map(Number), one)),
          );
      }),
    );
  });

  test("ranks: each point behind the first front is dominated by one of the front before, and by none of its own", () => {
    fc.assert(
      fc.property(points, (list) => {
        const ranks = frontRanks(list);
        list.forEach((one, index) => {
          const rank = at(ranks, index);
          const dominating = list.flatMap((other, place) =>
            dominates(other, one) ? [at(ranks, place)] : [],
          );
          assert.ok(dominating.every((other) => other < rank));
          assert.equal(rank, dominating.length === 0 ? 0 : 1 + Math.max(...dominating));
        });
      }),
    );
  });
});

describe("hypervolume", () => {
  test("of whole numbers is the number of dominated cells", () => {
    fc.assert(
      fc.property(points, (list) => {
        assert.equal(
          hypervolume(
            list,
            at(list, 0).map(() => SIDE),
          ),
          countedCells(list),
        );
      }),
    );
  });

  test("is not changed by points that another one dominates", () => {
    fc.assert(
      fc.property(points, (list) => {
        const reference = at(list, 0).map(() => SIDE);
        const front = nonDominated(list).map((index) => at(list, index));
        assert.equal(hypervolume(front, reference), hypervolume(list, reference));
      }),
    );
  });

  test("the greedy subset begins with the point that dominates most", () => {
    assert.deepEqual(
      greedySubset(
        [
          [0, 4],
          [2, 2],
          [4, 0],
        ],
        2,
        [5, 5],
      )[0],
      1,
    );
    assert.deepEqual(greedySubset([[1, 1]], 3, [5, 5]), [0]);
  });
});

const space: Space = {
  basis: { kind: "int", low: 2, high: 6, log: false },
  width: { kind: "int", low: 1, high: 64, log: true },
  l1: { kind: "float", low: 1e-6, high: 1e-2, log: true },
  share: { kind: "float", low: 0.2, high: 0.9, log: false },
  start: { kind: "categorical", choices: ["svd", "calibrate", true] },
};

const samplers: Readonly<Record<string, (seed: number) => Sampler>> = {
  random: (seed) => randomSampler(seed, 40, streams),
  halton: (seed) => haltonSampler(seed, 40, streams),
  tpe: (seed) => tpeSampler(seed, 40, streams),
};

/** What some trial comes to: a function of its parameters, with pruned and failed ones among them. */
function resultOf(number: number, { basis, l1, share }: Readonly<Record<string, unknown>>): TrialResult {
  if (number % 11 === 10) return "failed";
  if (number % 7 === 6) return "pruned";
  return [Number(share) * Number(basis), Math.abs(Math.log10(Number(l1)) + 4) - Number(share)];
}

describe("samplers", () => {
  for (const [name, make] of Object.entries(samplers)) {
    const study = (seed: number): Study =>
      new Study({ space, directions: ["maximize", "minimize"], sampler: make(seed) });

    test(`${name}: stays in its space, and gives what the seed says`, () => {
      const runs = [1, 1, 2].map((seed) => {
        const asked = study(seed);
        while (!asked.isExhausted) {
          const { number, params } = asked.ask();
          const { basis, width, l1, share, start } = params;
          for (const [value, low, high] of [
            [basis, 2, 6],
            [width, 1, 64],
          ] as const)
            assert.ok(Number.isInteger(value) && Number(value) >= low && Number(value) <= high, `${value}`);
          assert.ok(Number(l1) >= 1e-6 && Number(l1) <= 1e-2 && Number(share) >= 0.2 && Number(share) <= 0.9);
          assert.ok(["svd", "calibrate", true].includes(start as string));
          asked.tell(number, resultOf(number, params));
        }
        assert.throws(() => asked.ask(), RangeError);
        return asked.trials.map(({ params }) => params);
      });
      assert.deepEqual(runs[0], runs[1]);
      assert.notDeepEqual(runs[0], runs[2]);
    });

    test(`${name}: goes on as if it had not been interrupted, wherever that was`, () => {
      const whole = study(3);
      while (!whole.isExhausted) {
        const { number, params } = whole.ask();
        whole.tell(number, resultOf(number, params));
      }
      for (const cut of [0, 1, 12, 23, 39]) {
        const again = study(3);
        for (const { params } of whole.trials.slice(0, cut)) {
          const number = again.add(params);
          again.tell(number, resultOf(number, params));
        }
        assert.deepEqual(again.ask().params, whole.trials[cut]?.params);
      }
    });
  }

  test("a grid is every combination once, the last axis first", () => {
    const grid: Space = {
      a: { kind: "categorical", choices: [1, 2] },
      b: { kind: "categorical", choices: ["x", "y", "z"] },
    };
    const study = new Study({ space: grid, directions: [], sampler: gridSampler(grid) });
    const found: string[] = [];
    while (!study.isExhausted) found.push(Object.values(study.ask().params).join(""));
    assert.deepEqual(found, ["1x", "1y", "1z", "2x", "2y", "2z"]);
    assert.throws(() => gridSampler(space), RangeError);
  });

  test("Halton's points fall into every interval of their base once", () => {
    const unit = { kind: "float", low: 0, high: 1, log: false } as const;
    const sampler = haltonSampler(5, 100, streams);
    for (const [name, count] of [
      ["x", 32],
      ["y", 27],
      ["z", 25],
    ] as const) {
      const cells = Array.from({ length: count }, (_, number) =>
        Math.floor(Number(sampler.sample({ x: unit, y: unit, z: unit }, number, [])[name]) * count),
      );
      assert.deepEqual(
        cells.toSorted((a, b) => a - b),
        Array.from({ length: count }, (_, index) => index),
      );
    }
  });

  test("shares become values whose ends are as likely as the rest", () => {
    const counts = new Map<unknown, number>();
    const dimension = { kind: "int", low: 1, high: 4, log: false } as const;
    for (let step = 0; step < 400; step++) {
      const value = valueAt(dimension, (step + 0.5) / 400);
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    assert.deepEqual(
      [...counts],
      [
        [1, 100],
        [2, 100],
        [3, 100],
        [4, 100],
      ],
    );
  });

  test("a study refuses values that nothing can be made of", () => {
    const study = new Study({ space, directions: ["minimize"], sampler: randomSampler(1, 3, streams) });
    const { number } = study.ask();
    assert.throws(() => study.tell(number, [Number.NaN]), RangeError);
    assert.throws(() => study.tell(number, [1, 2]), RangeError);
    assert.throws(() => study.tell(number + 1, [1]), RangeError);
    study.tell(number, [1]);
    assert.deepEqual(
      study.best.map((trial) => trial.number),
      [0],
    );
  });
});

test("the normal distribution and its inverse are those of the tables", () => {
  // Abramowitz and Stegun, table 26.1.
  for (const [x, share] of [
    [0, 0.5],
    [1, 0.8413447461],
    [-1, 0.1586552539],
    [1.96, 0.9750021049],
    [3, 0.998650102],
  ] as const) {
    assert.ok(Math.abs(normalCdf(x) - share) < 1e-7);
    assert.ok(Math.abs(normalQuantile(share) - x) < 1e-4);
  }
});
