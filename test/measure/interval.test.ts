import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../src/data/random.js";
import {
  medianInterval,
  pairedDifference,
  ratioOfRounds,
  shareInterval,
  shareOfThingsInterval,
} from "../../src/measure/interval.js";
import { spreadOf } from "../../src/measure/rounds.js";

function near(found: number, expected: number, tolerance: number): void {
  assert.ok(Math.abs(found - expected) <= tolerance, `${found} is not ${expected}`);
}

test("Wilson's interval of a share, against published values and by what defines it", () => {
  for (const [correct, total, low, high] of [
    [2, 3, 0.2077, 0.9385],
    [0, 10, 0, 0.2775],
    [10, 10, 0.7225, 1],
  ] as const) {
    const interval = shareInterval(correct, total);
    near(interval.low, low, 5e-5);
    near(interval.high, high, 5e-5);
  }
  // The ends are the shares of which what was seen is 1.96 standard deviations away.
  for (const [correct, total] of [
    [9173, 10_000],
    [1, 7],
    [77, 256],
  ] as const) {
    for (const end of Object.values(shareInterval(correct, total)) as number[])
      near(Math.abs(correct / total - end) / Math.sqrt((end * (1 - end)) / total), 1.959964, 1e-6);
  }
  assert.deepEqual(shareInterval(0, 0), { low: 0, high: 1 });
});

test("the median's interval leaves out as many values as 95 % allow, whatever their distribution", () => {
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => count - index);
  assert.deepEqual(medianInterval(upTo(5)), { low: 1, high: 5 });
  assert.deepEqual(medianInterval(upTo(6)), { low: 1, high: 6 });
  assert.deepEqual(medianInterval(upTo(8)), { low: 1, high: 8 });
  assert.deepEqual(medianInterval(upTo(9)), { low: 2, high: 8 });
  assert.deepEqual(medianInterval(upTo(30)), { low: 10, high: 21 });
  // Where both ways of counting meet, and where 2^-n is no number any more.
  assert.deepEqual(medianInterval(upTo(500)), { low: 228, high: 273 });
  assert.deepEqual(medianInterval(upTo(5000)), { low: 2430, high: 2571 });
});

test("intervals hold the true value about 95 times of 100", () => {
  const random = new Random(7);
  let held = 0;
  let differences = 0;
  let shares = 0;
  for (let trial = 0; trial < 1000; trial++) {
    // Skewed, with rare very slow rounds, as times are: without them that of Exp(1).
    const rounds = Array.from({ length: 9 }, () =>
      random.uniform() < 0.05 ? 100 : -Math.log(1 - random.uniform()),
    );
    const { low, high } = medianInterval(rounds);
    const median = -Math.log(1 - 0.5 / 0.95);
    if (low <= median && median <= high) held++;
    // Of 200 images one network is right on 8 % that the other is not, and the other way round on 5 %.
    let [gained, lost, correct] = [0, 0, 0];
    for (let image = 0; image < 200; image++) {
      const draw = random.uniform();
      if (draw < 0.08) gained++;
      else if (draw < 0.13) lost++;
      if (random.uniform() < 0.9) correct++;
    }
    const change = pairedDifference(gained, lost, 200);
    if (change.low <= 0.03 && 0.03 <= change.high) differences++;
    const share = shareInterval(correct, 200);
    if (share.low <= 0.9 && 0.9 <= share.high) shares++;
  }
  for (const count of [held, differences, shares])
    assert.ok(count >= 930 && count <= 985, `${count} of 1000`);
});

test("a difference is one only where chance is excluded", () => {
  assert.equal(pairedDifference(0, 0, 100).differs, false);
  assert.equal(pairedDifference(3, 6, 1000).differs, false);
  assert.equal(pairedDifference(100, 160, 10_000).differs, true);
  near(pairedDifference(100, 160, 10_000).value, -0.006, 1e-12);
  const steady = [10, 11, 10, 12, 10, 11, 10, 10, 11];
  assert.equal(ratioOfRounds(steady, steady.toReversed()).differs, false);
  // A busy machine: both take from one to five times as long, but always in proportion.
  const busy = steady.map((ms, round) => ms * (1 + (round % 5)));
  const halved = ratioOfRounds(
    busy,
    busy.map((ms) => ms / 2),
  );
  assert.deepEqual([halved.value, halved.differs], [0.5, true]);
  // Faster in every one of five rounds: that happens by chance, too.
  assert.equal(ratioOfRounds([2, 2, 2, 2, 2], [1, 1, 1, 1, 1]).differs, false);
});

test("a spread says how many runs there were, and how far the rounds are apart", () => {
  const rounds = [[3, 1, 2], [4, 4, 4], [5], [2, 2], [3], [9]];
  assert.deepEqual(spreadOf(rounds), {
    medianMs: 3.5,
    minMs: 1,
    lowMs: 2,
    highMs: 9,
    runs: 11,
    roundsMs: [2, 4, 5, 2, 3, 9],
  });
});

test("things of one image are alike: however many there are, an image counts as ten at most", () => {
  assert.deepEqual(shareOfThingsInterval(0.95, 60, 60), shareInterval(57, 60));
  const [few, many] = [shareOfThingsInterval(0.9, 5000, 10), shareOfThingsInterval(0.9, 5_000_000, 10)];
  assert.ok(few.low > 0.82 && few.low < 0.84, `${few.low}`);
  assert.ok(Math.abs(few.low - many.low) < 1e-2);
  assert.ok(many.low > shareInterval(90, 100).low - 1e-4);
  assert.deepEqual(shareOfThingsInterval(1, 0, 3), { low: 0, high: 1 });
});
