import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { runGraph } from "../../src/execute/node.js";
import { float, int, text } from "../../src/graph/attributes.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { type ImageDims, type ImageLike, imageLevels } from "../../src/runtime/index.js";
import { node, smallGraph } from "../../support/small_models.js";
import { randomData } from "./support.js";

/** A picture of noise, without transparent parts. */
function noise(width: number, height: number, seed = 1): ImageLike {
  const data = Uint8Array.from(randomData(4 * width * height, seed), (x) => 127.5 * (x + 1));
  for (let alpha = 3; alpha < data.length; alpha += 4) data[alpha] = 255;
  return { width, height, data };
}

/** ONNX Runtime's own antialiased resize, float32 [3, rows, columns]. */
async function resized(
  { width, height, data }: ImageLike,
  rows: number,
  columns: number,
): Promise<Float32Array> {
  const planes = [0, 1, 2].flatMap((channel) => Array.from(data).filter((_, index) => index % 4 === channel));
  const graph: Graph = {
    ...smallGraph(
      [1, 3, height, width],
      [
        node("Resize", ["x", "", "scales"], "y", {
          mode: text("cubic"),
          coordinate_transformation_mode: text("half_pixel"),
          antialias: int(1),
          exclude_outside: int(1),
          cubic_coeff_a: float(-0.5),
        }),
      ],
      { scales: float32Tensor([4], [1, 1, rows / height, columns / width]) },
    ),
    opsets: new Map([["", 18]]),
    outputs: [{ name: "y", type: { elementType: "float32", shape: [1, 3, rows, columns] } }],
  };
  const [found] = (
    await runGraph(graph, new Map([["x", float32Tensor([1, 3, height, width], planes)]]))
  ).values();
  assert.ok(found !== undefined);
  return float32Data(found);
}

/** Rounded to 1/256 along rows, then to whole levels along columns, with weights of 17 bits; ORT computes in float32. */
const ROUNDING = 0.5 + 1 / 512 + 0.02;

function assertNear(levels: Uint8Array, expected: Float32Array): void {
  assert.equal(levels.length, expected.length);
  levels.forEach((level, index) => {
    const within = Math.min(255, Math.max(0, expected[index] ?? Number.NaN));
    const distance = Math.abs(level - within);
    assert.ok(distance <= ROUNDING, `[${index}]: ${level} instead of ${expected[index]}`);
  });
}

// Sizes whose ratios float32 holds exactly: the runtime derives its grid from them.
for (const [width, height, columns, rows] of [
  [64, 48, 32, 24],
  [96, 20, 24, 20],
  [8, 6, 32, 24],
  [20, 64, 40, 16],
  [5, 3, 5, 3],
  [640, 480, 40, 30],
  [1, 1, 4, 4],
] as const) {
  test(`stretched from ${width}x${height} to ${columns}x${rows} as by ONNX Runtime`, async () => {
    const picture = noise(width, height);
    assertNear(
      imageLevels(picture, [3, rows, columns], { resize: "stretch" }),
      await resized(picture, rows, columns),
    );
  });
}

const sizes = fc.record({
  width: fc.integer({ min: 1, max: 70 }),
  height: fc.integer({ min: 1, max: 70 }),
  rows: fc.integer({ min: 1, max: 40 }),
  columns: fc.integer({ min: 1, max: 40 }),
  resize: fc.constantFrom("cover" as const, "stretch" as const),
});

test("cut to proportion: the middle of what ONNX Runtime makes of the whole", async () => {
  for (const [width, height] of [
    [96, 64],
    [64, 96],
    [16, 8],
    [64, 64],
  ] as const) {
    const picture = noise(width, height);
    const scale = 32 / Math.min(width, height);
    const [columns, rows] = [width * scale, height * scale];
    const whole = await resized(picture, rows, columns);
    const middle = Float32Array.from({ length: 3 * 32 * 32 }, (_, index) => {
      const [plane, y, x] = [Math.floor(index / 1024), Math.floor((index % 1024) / 32), index % 32];
      const [top, left] = [(rows - 32) / 2, (columns - 32) / 2];
      return whole[(plane * rows + top + y) * columns + left + x] ?? Number.NaN;
    });
    assertNear(imageLevels(picture, [3, 32, 32]), middle);
  }
});

test("a crop: the middle of what ONNX Runtime makes of the whole for a larger size", async () => {
  for (const [resize, width, height, crop] of [
    ["cover", 96, 64, 0.5],
    ["cover", 64, 128, 0.5],
    ["stretch", 128, 64, 0.5],
    ["cover", 128, 128, 0.75],
    ["stretch", 24, 48, 0.75],
  ] as const) {
    const side = 24;
    const larger = side / crop;
    const scale = larger / Math.min(width, height);
    const [columns, rows] = resize === "stretch" ? [larger, larger] : [width * scale, height * scale];
    const picture = noise(width, height);
    const whole = await resized(picture, rows, columns);
    const [top, left] = [(rows - side) / 2, (columns - side) / 2];
    const middle = Float32Array.from({ length: 3 * side * side }, (_, index) => {
      const [plane, at] = [Math.floor(index / side ** 2), index % side ** 2];
      const [y, x] = [Math.floor(at / side), at % side];
      return whole[(plane * rows + top + y) * columns + left + x] ?? Number.NaN;
    });
    assertNear(imageLevels(picture, [3, side, side], { resize, crop }), middle);
  }
});

test("a letterbox: all of the image, its proportions to a pixel, in the middle of a frame", () => {
  fc.assert(
    fc.property(
      sizes,
      fc.constantFrom(1 as const, 3 as const),
      ({ width, height, rows, columns }, channels) => {
        const picture = noise(width, height, width);
        const pad = [200, 100, 7];
        const levels = imageLevels(picture, [channels, rows, columns], { resize: "letterbox", pad });
        const scale = Math.min(rows / height, columns / width);
        const fitted = (side: number): number => Math.max(1, Math.floor(side * scale + 0.5 + 1e-9));
        const [innerRows, innerColumns] = [fitted(height), fitted(width)];
        const inner = imageLevels(picture, [channels, innerRows, innerColumns], { resize: "stretch" });
        const [top, left] = [Math.floor((rows - innerRows) / 2), Math.floor((columns - innerColumns) / 2)];
        const grey = Math.round(0.299 * 200 + 0.587 * 100 + 0.114 * 7);
        levels.forEach((level, index) => {
          const plane = Math.floor(index / (rows * columns));
          const y = Math.floor((index % (rows * columns)) / columns) - top;
          const x = (index % columns) - left;
          const isInside = y >= 0 && y < innerRows && x >= 0 && x < innerColumns;
          const frame = channels === 1 ? grey : pad[plane];
          assert.equal(level, isInside ? inner[(plane * innerRows + y) * innerColumns + x] : frame);
        });
      },
    ),
    { seed: 15 },
  );
});

test("rows of a million pixels, which division alone rounds right", () => {
  for (const [width, columns] of [
    [1_000_000, 3],
    [3_000_001, 1],
  ] as const) {
    const data = new Uint8Array(3 * width).fill(201);
    assert.deepEqual(
      [...imageLevels({ width, height: 1, data }, [1, 1, columns], { resize: "stretch" })],
      [...new Uint8Array(columns).fill(201)],
    );
  }
});

test("pictures of one colour stay what they are, at any size", () => {
  fc.assert(
    fc.property(
      sizes,
      fc.integer({ min: 0, max: 255 }),
      ({ width, height, rows, columns, resize }, level) => {
        const data = new Uint8Array(3 * width * height).fill(level);
        const levels = imageLevels({ width, height, data }, [3, rows, columns], { resize });
        assert.ok(levels.every((found) => found === level));
      },
    ),
    { seed: 7 },
  );
});

test("a mirrored picture gives the mirrored levels, to the bit", () => {
  fc.assert(
    fc.property(sizes, ({ width, height, rows, columns, resize }) => {
      const picture = noise(width, height, width);
      const data = Uint8Array.from(picture.data, (_, index) => {
        const [pixel, channel] = [Math.floor(index / 4), index % 4];
        const [y, x] = [Math.floor(pixel / width), pixel % width];
        return picture.data[4 * (y * width + width - 1 - x) + channel] ?? 0;
      });
      const levels = imageLevels(picture, [3, rows, columns], { resize });
      const mirrored = imageLevels({ width, height, data }, [3, rows, columns], { resize });
      mirrored.forEach((level, index) => {
        const [row, x] = [Math.floor(index / columns), index % columns];
        assert.equal(level, levels[row * columns + columns - 1 - x]);
      });
    }),
    { seed: 7 },
  );
});

test("the same size: the pixels themselves; with three bytes a pixel the same as with four", () => {
  const { width, height, data } = noise(7, 5);
  const dims: ImageDims = [3, height, width];
  const levels = imageLevels({ width, height, data }, dims);
  levels.forEach((level, index) => {
    assert.equal(level, data[4 * (index % 35) + Math.floor(index / 35)]);
  });
  const opaque = data.filter((_, index) => index % 4 !== 3);
  assert.deepEqual(imageLevels({ width, height, data: opaque }, dims), levels);
});

test("transparent parts are black, grey is made of all channels", () => {
  const data = Uint8Array.of(200, 100, 50, 255, 200, 100, 50, 128, 200, 100, 50, 0);
  const picture = { width: 3, height: 1, data };
  assert.deepEqual([...imageLevels(picture, [3, 1, 3])], [200, 100, 0, 100, 50, 0, 50, 25, 0]);
  // 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2
  assert.deepEqual([...imageLevels(picture, [1, 1, 3])], [124, 62, 0]);
});
