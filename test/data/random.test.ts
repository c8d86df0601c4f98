import assert from "node:assert/strict";
import { test } from "node:test";
import { holdOut } from "../../src/data/index.js";
import { Random } from "../../src/data/random.js";

test("the same keys give the same numbers, others give others", () => {
  const draw = (...keys: number[]) => {
    const random = new Random(...keys);
    return [random.uint32(), random.uint32(), random.uniform(), random.below(1000)];
  };
  assert.deepEqual(draw(1, 2), draw(1, 2));
  assert.notDeepEqual(draw(1, 2), draw(2, 1));
  assert.notDeepEqual(draw(1), draw(1, 0));
  assert.notDeepEqual(draw(5), draw(5 + 2 ** 32));
});

test("numbers are uniform: chi-squared of 64 cells over 64,000 draws below the 99.99 % point", () => {
  const random = new Random(11);
  const cells = new Float64Array(64);
  for (let draw = 0; draw < 64_000; draw += 1) {
    const cell = random.below(64);
    cells[cell] = (cells[cell] ?? 0) + 1;
  }
  const chiSquared = cells.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
  assert.ok(chiSquared < 112, `${chiSquared}`);
});

test("shuffling keeps the items", () => {
  const items = new Random(4).shuffle(Uint32Array.from({ length: 100 }, (_, index) => index));
  assert.notEqual(items[0], items[1]);
  assert.deepEqual(
    [...items].sort((a, b) => a - b),
    Array.from({ length: 100 }, (_, index) => index),
  );
});

test("a held-out part has its share of every class, nothing in common with the rest, and is seeded", () => {
  const labels = Uint16Array.from({ length: 230 }, (_, index) => (index < 200 ? index % 2 : 2));
  const split = { count: labels.length, labels };
  const { train, validation } = holdOut(split, 0.1, 5);
  assert.deepEqual(
    [...train, ...validation].sort((a, b) => a - b),
    Array.from(labels, (_, index) => index),
  );
  const perClass = [0, 1, 2].map((label) => validation.filter((index) => labels[index] === label).length);
  assert.deepEqual(perClass, [10, 10, 3]);
  assert.deepEqual(holdOut(split, 0.1, 5).validation, validation);
  assert.notDeepEqual(holdOut(split, 0.1, 6).validation, validation);
  assert.equal(holdOut(split, 0, 5).validation.length, 0);
  assert.equal(holdOut({ count: 3, labels: Uint16Array.of(0, 0, 1) }, 0.01, 5).validation.length, 1);
  assert.equal(holdOut({ count: 230, labels: undefined }, 0.1, 5).validation.length, 23);
});
