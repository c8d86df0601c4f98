import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Random } from "../../src/data/random.js";
import { samplePositions } from "../../src/measure/sampled_columns.js";

const side = fc.integer({ min: 3, max: 9 });
const pad = fc.integer({ min: 0, max: 2 });
const pair = (low: number, high: number) =>
  fc.tuple(fc.integer({ min: low, max: high }), fc.integer({ min: low, max: high }));

test("positions are different ones, and each tap reads where a convolution reads", () => {
  fc.assert(
    fc.property(
      fc.tuple(side, side),
      pair(1, 3),
      pair(1, 3),
      pair(1, 2),
      fc.tuple(pad, pad, pad, pad),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer(),
      (input, kernel, strides, dilations, pads, share, seed) => {
        const output = [0, 1].map((axis) => {
          const reach = (dilations[axis] ?? 1) * ((kernel[axis] ?? 1) - 1) + 1;
          const room = (input[axis] ?? 0) + (pads[axis] ?? 0) + (pads[axis + 2] ?? 0) - reach;
          return Math.floor(room / (strides[axis] ?? 1)) + 1;
        });
        const [height = 0, width = 0] = output;
        fc.pre(height > 0 && width > 0);
        const total = height * width;
        const count = Math.max(1, Math.round(share * total));
        const geometry = {
          batch: 1,
          inputChannels: 1,
          outputChannels: 1,
          groups: 1,
          input,
          kernel,
          output: [height, width] as const,
          strides,
          dilations,
          pads,
        };
        const { outputs, inputs, inside } = samplePositions(geometry, count, new Random(seed));
        assert.equal(outputs.length, count);
        outputs.forEach((position, index) => {
          assert.ok(position < total && position > (outputs[index - 1] ?? -1));
          for (let r = 0; r < kernel[0]; r++) {
            for (let s = 0; s < kernel[1]; s++) {
              const y = Math.floor(position / width) * strides[0] + r * dilations[0] - (pads[0] ?? 0);
              const x = (position % width) * strides[1] + s * dilations[1] - (pads[1] ?? 0);
              const isInside = y >= 0 && x >= 0 && y < input[0] && x < input[1];
              const at = (r * kernel[1] + s) * count + index;
              assert.equal(inside[at], isInside ? 1 : 0);
              assert.equal(inputs[at], isInside ? y * input[1] + x : 0);
            }
          }
        });
      },
    ),
  );
});

test("every position is as likely as any other", () => {
  const geometry = {
    batch: 1,
    inputChannels: 1,
    outputChannels: 1,
    groups: 1,
    input: [4, 5] as const,
    kernel: [1, 1] as const,
    output: [4, 5] as const,
    strides: [1, 1] as const,
    dilations: [1, 1] as const,
    pads: [0, 0, 0, 0] as const,
  };
  const seen = new Float64Array(20);
  const draws = 4000;
  for (let seed = 0; seed < draws; seed++) {
    for (const position of samplePositions(geometry, 5, new Random(seed)).outputs) {
      seen[position] = (seen[position] ?? 0) + 1;
    }
  }
  // 1000 expected, with a deviation of 27.
  for (const times of seen) assert.ok(Math.abs(times - 1000) < 5 * 27.4, `${times}`);
});
