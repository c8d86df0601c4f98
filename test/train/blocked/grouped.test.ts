import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { assertSame, base, block, type ConvCase, conv, count, randomWindow, skip } from "./support.js";

interface GroupedCase extends Partial<ConvCase> {
  readonly groups: number;
  /** Of a group. */
  readonly width: number;
}

const groupedCases: Readonly<Record<string, GroupedCase>> = {
  "groups of half a block": { groups: 4, width: 8 },
  "groups of 4": { groups: 8, width: 4 },
  "an odd number of groups that fill no block": { groups: 5, width: 8 },
  "groups of a block, with bias": { groups: 3, width: 16, bias: true },
  "groups of two blocks": { groups: 3, width: 32 },
  "stride 2": { groups: 4, width: 8, strides: [2, 2] },
  "stride 2 on odd sizes, groups of two blocks": { groups: 2, width: 32, strides: [2, 2], input: [7, 9] },
  "uneven padding": { groups: 2, width: 16, pads: [0, 1, 2, 0] },
  "5x1": { groups: 4, width: 8, kernel: [5, 1], pads: [2, 0, 2, 0] },
  "a batch of one": { groups: 4, width: 8, batch: 1 },
  "a batch of 16": { groups: 5, width: 8, batch: 16 },
};

for (const [name, { groups, width, ...options }] of Object.entries(groupedCases)) {
  test(`blocked convolution of groups and its gradients: ${name} (relative 2e-4)`, { skip }, async () => {
    const { batch, input } = { ...base, ...options };
    const blocked = await assertSame([batch, groups * width, ...input], (made) =>
      conv(made, made.b.emit("Relu", ["x"]), groups * width, { ...options, groups }),
    );
    if (block !== undefined && block % width === 0)
      assert.equal(count(blocked, "ConvTranspose"), 0, "the input's gradient is not blocked");
  });
}

test("groups that fit no block, or are not alike in inputs and outputs, stay plain", { skip }, async () => {
  await assertSame([4, 36, 6, 6], (made) =>
    conv(made, conv(made, "x", 36, { groups: 3 }), 24, { groups: 2 }),
  );
});

test("random convolutions of groups", { skip }, async () => {
  const cases = fc.record({
    batch: fc.constantFrom(1, 3, 8, 16),
    groups: fc.integer({ min: 2, max: 5 }),
    width: fc.constantFrom(2, 4, 8, 16),
    ...randomWindow,
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ batch, groups, width, input, ...options }) => {
      await assertSame([batch, groups * width, ...input], (made) =>
        conv(made, "x", groups * width, { ...options, groups }),
      );
    }),
    { numRuns: 40, seed: 1 },
  );
});
