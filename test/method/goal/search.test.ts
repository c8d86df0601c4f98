import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Try } from "../../../src/method/goal/schema.js";
import {
  bestTry,
  nextFraction,
  type SearchBounds,
  type SearchRules,
  searchFraction,
} from "../../../src/method/goal/search.js";

const cost: SearchRules = {
  wanted: "largest",
  most: 8,
  resolution: 0.004,
  close: 0.98,
  aim: 0.99,
  curve: "line",
  margin: 0.05,
};

const loss: SearchRules = {
  wanted: "smallest",
  most: 8,
  resolution: 0.02,
  close: 1,
  aim: 1,
  curve: "exponential",
  margin: 0.2,
};

interface Case {
  readonly rules: SearchRules;
  readonly limit: number;
  readonly bounds: SearchBounds;
  readonly first?: number;
  readonly of: (fraction: number) => Pick<Try, "value" | "low" | "high">;
}

function search(
  { rules, limit, bounds, first, of }: Case,
  tries: readonly Try[] = [],
): Promise<readonly Try[]> {
  const attempt = async (fraction: number) => ({ ...of(fraction), bytes: Math.round(1e6 * fraction) });
  return searchFraction({ rules, limit, bounds, first, tries, attempt });
}

/** Increasing, with a bend: least at 0.1, 1 at 1. */
const costs = fc
  .record({
    least: fc.double({ min: 0.001, max: 0.4, noNaN: true }),
    bend: fc.double({ min: 0.5, max: 2, noNaN: true }),
  })
  .map(
    ({ least, bend }) =>
      (fraction: number) =>
        least + (1 - least) * ((fraction - 0.1) / 0.9) ** bend,
  );

/** Decreasing, steep at small fractions: 0 at 1. */
const losses = fc
  .record({
    size: fc.double({ min: 1, max: 60, noNaN: true }),
    steepness: fc.double({ min: 3, max: 15, noNaN: true }),
  })
  .map(
    ({ size, steepness }) =>
      (fraction: number) =>
        size * (Math.exp(-steepness * (fraction - 0.1)) - Math.exp(-steepness * 0.9)),
  );

const share = fc.double({ min: 0.15, max: 0.95, noNaN: true });

test("a cost: the largest fraction that holds is found, to 2 % of the limit", async () => {
  await fc.assert(
    fc.asyncProperty(costs, share, fc.option(share, { nil: undefined }), async (of, at, first) => {
      const limit = of(at);
      const bounds = { least: { fraction: 0.1, value: of(0.1) }, most: { fraction: 1, value: 1 } };
      const tries = await search({
        rules: cost,
        limit,
        bounds,
        of: (fraction) => ({ value: of(fraction) }),
        ...(first === undefined ? {} : { first }),
      });
      assert.ok(tries.length <= cost.most);
      for (const { value, holds } of tries) assert.equal(holds, value <= limit);
      const best = bestTry(tries, "largest");
      assert.ok(best !== undefined && best.value <= limit);
      assert.ok(best.value >= 0.98 * limit, `${best.value} of ${limit} after ${tries.length} tries`);
    }),
  );
});

const plains = fc.double({ min: 0.4, max: 0.95, noNaN: true });

test("a cost with a plain, as where weights are stored dense however many are zero, is searched to 4 %", async () => {
  await fc.assert(
    fc.asyncProperty(costs, plains, share, async (slope, plain, at) => {
      const of = (fraction: number): number => Math.min(slope(fraction), slope(plain));
      const limit = 0.97 * of(at);
      if (limit <= of(0.1)) return;
      const bounds = { least: { fraction: 0.1, value: of(0.1) }, most: { fraction: 1, value: of(1) } };
      const rules = { ...cost, most: 12 };
      const best = bestTry(await search({ rules, limit, bounds, of: (f) => ({ value: of(f) }) }), "largest");
      assert.ok(
        best !== undefined && best.value <= limit && best.value >= 0.96 * limit,
        `${best?.value} of ${limit}`,
      );
    }),
    { numRuns: 500 },
  );
});

test("a loss: the smallest fraction that holds is found, to 3 %", async () => {
  await fc.assert(
    fc.asyncProperty(losses, share, share, async (of, at, first) => {
      const limit = of(at);
      const bounds = { least: { fraction: 0.1 }, most: { fraction: 1, value: 0 } };
      const tries = await search({
        rules: loss,
        limit,
        bounds,
        first,
        of: (fraction) => ({ value: of(fraction) }),
      });
      assert.ok(tries.length <= loss.most);
      const best = bestTry(tries, "smallest");
      assert.ok(best !== undefined && best.value <= limit);
      assert.ok(best.fraction <= 1.03 * at, `${best.fraction}, not ${at}, after ${tries.length} tries`);
    }),
  );
});

test("a search that is gone on with after any of its tries goes the same way", async () => {
  await fc.assert(
    fc.asyncProperty(losses, share, fc.nat(8), async (of, at, kept) => {
      const bounds = { least: { fraction: 0.1 }, most: { fraction: 1, value: 0 } };
      const given: Case = { rules: loss, limit: of(at), bounds, first: 0.5, of: (f) => ({ value: of(f) }) };
      const whole = await search(given);
      assert.deepEqual(await search(given, JSON.parse(JSON.stringify(whole.slice(0, kept)))), whole);
    }),
  );
});

test("a time holds with its whole interval, and one unlucky measurement below the best does not count", async () => {
  const bounds = { least: { fraction: 0.1, value: 0.2 }, most: { fraction: 1, value: 2 } };
  const tries = await search({
    rules: cost,
    limit: 1,
    bounds,
    first: 0.48,
    of: (fraction) => {
      const value = 2 * fraction * (fraction < 0.485 && fraction > 0.475 ? 1.2 : 1);
      return { value, low: 0.97 * value, high: 1.03 * value };
    },
  });
  assert.equal(tries[0]?.holds, false);
  const best = bestTry(tries, "largest");
  assert.ok(best?.high !== undefined && best.high <= 1 && best.fraction > 0.4, JSON.stringify(tries));
  for (const { high = 0, holds } of tries) assert.equal(holds, high <= 1);
});

test("a goal that nothing reaches ends without a try that holds", async () => {
  const bounds = { least: { fraction: 0.1 }, most: { fraction: 1, value: 0 } };
  const tries = await search({ rules: loss, limit: 0.5, bounds, first: 0.58, of: () => ({ value: 40 }) });
  assert.ok(tries.length > 1 && tries.length <= loss.most);
  assert.equal(bestTry(tries, "smallest"), undefined);
  assert.ok((tries.at(-1)?.fraction ?? 0) > 0.9, "the largest fractions were tried");
});

test("where not even the largest fraction may hold, it is tried second, and the rest only if it does", async () => {
  const bounds = { least: { fraction: 0.1 }, most: { fraction: 0.74 } };
  const fractionsOf = (tries: readonly Try[]) => tries.map(({ fraction }) => fraction);
  const hopeless = await search({ rules: loss, limit: 1, bounds, first: 0.42, of: () => ({ value: 3 }) });
  assert.deepEqual(fractionsOf(hopeless), [0.42, 0.74]);
  const of = (fraction: number) => ({ value: fraction > 0.55 ? 0.5 : 3 });
  const tries = await search({ rules: loss, limit: 1, bounds, first: 0.42, of });
  assert.deepEqual(fractionsOf(tries).slice(0, 2), [0.42, 0.74]);
  const best = bestTry(tries, "smallest");
  assert.ok(best !== undefined && best.fraction > 0.55 && best.fraction < 0.57, JSON.stringify(tries));
  const at = await search({ rules: loss, limit: 1, bounds, first: 0.9, of: () => ({ value: 3 }) });
  assert.deepEqual(fractionsOf(at), [0.74]);
});

test("a loss that nothing causes ends near the least fraction", async () => {
  const bounds = { least: { fraction: 0.1 }, most: { fraction: 1, value: 0 } };
  const tries = await search({ rules: loss, limit: 0.5, bounds, first: 0.58, of: () => ({ value: -0.2 }) });
  assert.ok((bestTry(tries, "smallest")?.fraction ?? 1) < 0.2, JSON.stringify(tries));
});

test("a loss of 0 is a limit like others", async () => {
  const bounds = { least: { fraction: 0.1 }, most: { fraction: 1, value: 0 } };
  const of = (fraction: number) => ({ value: fraction >= 0.7 ? 0 : 3 });
  const best = bestTry(await search({ rules: loss, limit: 0, bounds, first: 0.58, of }), "smallest");
  assert.ok(best !== undefined && best.fraction >= 0.7 && best.fraction < 0.8);
});

test("nothing below the least fraction and nothing above the original is tried", () => {
  const bounds = { least: { fraction: 0.3, value: 1 }, most: { fraction: 1, value: 2 } };
  assert.equal(nextFraction(cost, 1.5, bounds, 0.05, []), 0.3);
  assert.equal(nextFraction(cost, 1.5, bounds, 7, []), 1);
  assert.equal(nextFraction(cost, 1.5, bounds, undefined, []), 0.6395);
});

test("where the most expensive of all is cheap enough, it is tried and the search is over", async () => {
  const bounds = { least: { fraction: 0.1, value: 1 }, most: { fraction: 0.7, value: 2 } };
  const tries = await search({
    rules: cost,
    limit: 3,
    bounds,
    first: 0.4,
    of: (f) => ({ value: 1 + f / 0.7 }),
  });
  assert.deepEqual(
    tries.map(({ fraction }) => fraction),
    [0.7],
  );
});
