import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { add } from "../../../src/ops/core/emit.js";
import { assertSame, base, type ConvCase, conv, count, normalize, randomWindow, skip } from "./support.js";

const depthwiseCases: Readonly<Record<string, Partial<ConvCase>>> = {
  "3x3": {},
  "3x3 with bias": { bias: true },
  "channels that are not whole blocks": { channels: [24, 24] },
  "fewer channels than a block": { channels: [6, 6] },
  "stride 2": { strides: [2, 2] },
  "stride 2 on odd sizes": { strides: [2, 2], input: [7, 9] },
  "stride 2 without padding": { strides: [2, 2], pads: [0, 0, 0, 0] },
  "stride 2x1": { strides: [2, 1] },
  "stride 3": { strides: [3, 3], input: [9, 12] },
  "5x5 with stride 2": { kernel: [5, 5], pads: [2, 2, 2, 2], strides: [2, 2] },
  "dilation 2": { dilations: [2, 2], pads: [2, 2, 2, 2] },
  "stride 2 and dilation 2": { strides: [2, 2], dilations: [2, 2], pads: [2, 2, 2, 2] },
  "uneven padding": { pads: [0, 1, 2, 0] },
  "a batch of one": { batch: 1 },
};

for (const [name, options] of Object.entries(depthwiseCases)) {
  test(`blocked depthwise convolution and its gradients: ${name} (relative 2e-4)`, { skip }, async () => {
    const { batch, channels, input } = { ...base, channels: [32, 32] as const, ...options };
    const blocked = await assertSame([batch, channels[0], ...input], (made) =>
      conv(made, made.b.emit("Relu", ["x"]), channels[1], { ...options, groups: channels[0] }),
    );
    assert.equal(count(blocked, "ConvTranspose") + count(blocked, "MatMul"), 0);
  });
}

test("random depthwise convolutions", { skip }, async () => {
  const cases = fc.record({
    batch: fc.constantFrom(1, 3, 8),
    channels: fc.integer({ min: 2, max: 36 }),
    ...randomWindow,
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ batch, channels, input, ...options }) => {
      await assertSame([batch, channels, ...input], (made) =>
        conv(made, "x", channels, { ...options, groups: channels }),
      );
    }),
    { numRuns: 40, seed: 1 },
  );
});

test("an inverted residual: the depthwise convolution takes normalization and activation", {
  skip,
}, async () => {
  const blocked = await assertSame([4, 16, 6, 6], (made) => {
    const { b } = made;
    const relu6 = (x: string): string => b.emit("Clip", [x, b.scalar(0), b.scalar(6)]);
    const pointwise = { kernel: [1, 1], pads: [0, 0, 0, 0] } as const;
    const wide = relu6(normalize(made, conv(made, "x", 48, pointwise)));
    const filtered = relu6(normalize(made, conv(made, wide, 48, { groups: 48 })));
    return add(b, normalize(made, conv(made, filtered, 16, pointwise)), "x");
  });
  assert.equal(count(blocked, "Clip") + count(blocked, "Where"), 0);
});
