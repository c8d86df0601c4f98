import assert from "node:assert/strict";
import { test } from "node:test";
import { PenniError } from "../../src/graph/errors.js";
import { type Costs, growth, mostBytes, refuseLarger, STRUCTURE_BYTES } from "../../src/run/never_larger.js";

const costs = (changes: Partial<Costs> = {}): Costs => ({
  parameters: 100,
  paperMacs: 1000,
  executedMacs: 2000,
  bytes: 1687,
  ...changes,
});

const large = { bytes: STRUCTURE_BYTES + 1000 };

test("what is the same or smaller is neither refused nor told", () => {
  for (const original of [costs(), costs(large)]) {
    refuseLarger(original, original);
    assert.equal(growth(original, original), undefined);
    assert.equal(growth(original, costs({ bytes: 1 })), undefined);
  }
});

test("one more of any count is refused, however small the file", () => {
  for (const size of [{}, large])
    for (const key of ["parameters", "paperMacs", "executedMacs"] as const) {
      const original = costs(size);
      const larger = { ...original, [key]: original[key] + 1 };
      assert.throws(
        () => refuseLarger(original, larger),
        (error) => error instanceof PenniError && error.code === "bad-option",
      );
    }
});

test("a file may grow by what structure costs and says by how much; beyond the bound a byte is refused", () => {
  const tiny = costs({ bytes: 1817 });
  refuseLarger(costs(), tiny);
  assert.match(growth(costs(), tiny) ?? "", /^the file is 130 bytes larger \(1,817, was 1,687\)/);
  // A file of int8 weights that is written as float32 grows by its weights.
  assert.match(growth(costs(), tiny) ?? "", /--weights-type/);
  refuseLarger(costs(), costs({ bytes: STRUCTURE_BYTES }));
  assert.throws(() => refuseLarger(costs(), costs({ bytes: STRUCTURE_BYTES + 1 })), /at most 65,536 bytes/);
  // A larger one by a hundredth: a detector at 80 % of its work was 1,842 bytes larger for its names and record.
  refuseLarger(costs({ bytes: 778_814 }), costs({ bytes: 780_656 }));
  assert.equal(mostBytes(large.bytes), 67_201);
  refuseLarger(costs(large), costs({ bytes: 67_201 }));
  assert.match(growth(costs(large), costs({ bytes: 67_201 })) ?? "", /^the file is 665 bytes larger/);
  assert.throws(
    () => refuseLarger(costs(large), costs({ bytes: 67_202 })),
    /at most 67,201 bytes.*--weights-type/,
  );
});
