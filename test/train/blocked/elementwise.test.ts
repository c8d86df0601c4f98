import assert from "node:assert/strict";
import { test } from "node:test";
import { float, int, ints, text } from "../../../src/graph/attributes.js";
import type { Graph } from "../../../src/graph/types.js";
import { PENNI_DOMAIN } from "../../../src/ops/core/composite.js";
import { add, mul, reduceMean, sub } from "../../../src/ops/core/emit.js";
import { assertSame, conv, count, type Made, skip } from "./support.js";

const clipped =
  (low: number | undefined, high: number | undefined) =>
  ({ b }: Made, x: string): string =>
    b.emit("Clip", [x, low === undefined ? "" : b.scalar(low), high === undefined ? "" : b.scalar(high)]);

const sigmoid = ({ b }: Made, x: string): string => b.emit("Sigmoid", [x]);

/** Activations with a form on blocked values, of an image of 20 channels: padding included. */
const activations: Readonly<Record<string, (made: Made, x: string) => string>> = {
  "Clip to [0, 0.5]": clipped(0, 0.5),
  "Clip to [-0.25, 0.5]": clipped(-0.25, 0.5),
  "Clip to bounds whose middle is no float32": clipped(-0.1, 1e-8),
  "Clip from below": clipped(-0.25, undefined),
  "Clip from above": clipped(undefined, 0.25),
  "Clip to the largest float32": clipped(0, 3.4028234663852886e38),
  HardSigmoid: ({ b }, x) =>
    b.emit("HardSigmoid", [x], { attributes: { alpha: float(1.5), beta: float(0.5) } }),
  LeakyRelu: ({ b }, x) => b.emit("LeakyRelu", [x], { attributes: { alpha: float(0.1) } }),
  "LeakyRelu of a value with another reader": ({ b }, x) =>
    b.emit("Mul", [x, b.emit("LeakyRelu", [x], { attributes: { alpha: float(0.1) } })]),
  "Resize by repeating": ({ b }, x) =>
    b.emit("Resize", [x, "", b.floats("scales", [4], [1, 1, 2, 3])], {
      attributes: {
        mode: text("nearest"),
        coordinate_transformation_mode: text("asymmetric"),
        nearest_mode: text("floor"),
      },
    }),
  Sigmoid: sigmoid,
  Silu: ({ b }, x) => b.emit("Silu", [x], { domain: PENNI_DOMAIN }),
  "Mul by its Sigmoid": (made, x) => mul(made.b, x, sigmoid(made, x)),
  Tanh: ({ b }, x) => b.emit("Tanh", [x]),
  numbers: ({ b }, x) => sub(b, b.scalar(2), add(b, mul(b, x, b.scalar(3)), b.scalar(1))),
};

for (const [name, activation] of Object.entries(activations)) {
  test(`on blocked values: ${name}`, { skip }, async () => {
    const blocked = await assertSame([4, 3, 6, 6], (made) =>
      conv(made, activation(made, conv(made, "x", 20)), 32),
    );
    assert.equal(count(blocked, "Where"), 0);
  });
}

test("an activation that two values read is a node of its own", { skip }, async () => {
  await assertSame([4, 3, 6, 6], (made) => {
    const x = conv(made, "x", 16);
    return add(made.b, clipped(0, 0.5)(made, x), x);
  });
});

test("Clip whose bounds leave out 0 stays plain", { skip }, async () => {
  await assertSame([4, 3, 6, 6], (made) => conv(made, clipped(0.1, 0.5)(made, conv(made, "x", 20)), 32));
});

test("squeeze and excitation", { skip }, async () => {
  const blocked = await assertSame([4, 3, 6, 6], (made) => {
    const { b } = made;
    const x = conv(made, "x", 32);
    const pointwise = { kernel: [1, 1], pads: [0, 0, 0, 0], bias: true } as const;
    const squeezed = b.emit("Relu", [conv(made, reduceMean(b, x, [2, 3], true), 16, pointwise)]);
    return mul(b, sigmoid(made, conv(made, squeezed, 32, pointwise)), x);
  });
  assert.equal(count(blocked, "Expand"), 1, "more than that of the loss");
});

const channels = { axis: int(1) };

test("Concat and Slice of whole blocks, and a piece that is not whole at the end", { skip }, async () => {
  const blocked = await assertSame([4, 3, 6, 6], (made) => {
    const { b } = made;
    const [x, y, z] = [32, 16, 20].map((outputs) => conv(made, "x", outputs));
    const joined = b.emit("Concat", [x ?? "", y ?? "", z ?? ""], { attributes: channels });
    const end = b.emit("Slice", [joined, b.axes([32]), b.axes([68]), b.axes([1]), b.axes([1])]);
    return conv(made, add(b, conv(made, joined, 16), conv(made, end, 16)), 16);
  });
  assert.equal(count(blocked, "Concat"), 1);
});

test("Concat and Split of pieces that are not whole blocks", { skip }, async () => {
  await assertSame([4, 3, 6, 6], (made) => {
    const { b } = made;
    const joined = b.emit("Concat", [conv(made, "x", 20), conv(made, "x", 24)], { attributes: channels });
    const parts = [b.freshName("part"), b.freshName("part")];
    b.emit("Split", [joined, b.axes([30, 14])], { outputs: parts, attributes: channels });
    return add(b, conv(made, parts[0] ?? "", 16), conv(made, parts[1] ?? "", 16));
  });
});

/** Elements added, or removed, before and after each axis of an image [4, 20, 6, 6]. */
const margins: Readonly<Record<string, readonly number[]>> = {
  "channels on both sides": [0, 10, 0, 0, 0, 10, 0, 0],
  "channels before, in whole blocks": [0, 16, 0, 0, 0, 0, 0, 0],
  "channels removed": [0, -2, 0, 0, 0, -3, 0, 0],
  "rows and columns": [0, 0, 1, 2, 0, 0, 3, 0],
  "rows removed, columns added": [0, 0, -1, 1, 0, 0, -2, 0],
  "channels removed before and added behind, rows and columns": [0, -5, 1, -1, 0, 9, -1, 2],
};

/** The Pad nodes that say what is filled in, as those of a network do and Penni's own do not. */
const withFill = ({ nodes }: Graph): number =>
  nodes.filter(({ op, inputs }) => op === "Pad" && inputs.length === 3).length;

for (const [name, pads] of Object.entries(margins)) {
  test(`Pad: ${name}`, { skip }, async () => {
    const blocked = await assertSame([4, 3, 6, 6], (made) => {
      const { b } = made;
      return conv(made, b.emit("Pad", [conv(made, "x", 20), b.axes(pads), b.scalar(0)]), 16);
    });
    assert.equal(withFill(blocked), 0);
  });
}

test("Pad with anything but zeros stays plain", { skip }, async () => {
  const blocked = await assertSame([4, 3, 6, 6], (made) => {
    const { b } = made;
    const pads = b.axes([0, 6, 1, 1, 0, 6, 1, 1]);
    return conv(made, b.emit("Pad", [conv(made, "x", 20), pads, b.scalar(2)]), 16);
  });
  assert.equal(withFill(blocked), 1);
});

test("Slice of channels that are not whole blocks, of rows and of columns", { skip }, async () => {
  await assertSame([4, 3, 6, 6], (made) => {
    const { b } = made;
    const ranges = [
      [3, 1, 0],
      [19, 6, 4],
      [1, 2, 3],
    ].map((values) => b.axes(values));
    return conv(made, b.emit("Slice", [conv(made, "x", 20), ...ranges]), 16);
  });
});

test("Split of whole blocks", { skip }, async () => {
  await assertSame([4, 3, 6, 6], (made) => {
    const { b } = made;
    const parts = [b.freshName("part"), b.freshName("part")];
    b.emit("Split", [conv(made, "x", 40), b.axes([16, 24])], { outputs: parts, attributes: channels });
    return add(b, conv(made, parts[0] ?? "", 16), conv(made, parts[1] ?? "", 16));
  });
});

interface Pooling {
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly pads?: readonly number[];
  readonly ceil?: boolean;
  readonly input?: readonly [number, number];
}

const poolings: Readonly<Record<string, Pooling>> = {
  "3x3, stride 2, padded": { kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
  "3x3, stride 2, odd sizes": { kernel: [3, 3], strides: [2, 2], input: [9, 7] },
  "3x3, stride 2, ceil_mode": { kernel: [3, 3], strides: [2, 2], ceil: true },
  "3x3, stride 1, padded": { kernel: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1] },
  "2x2, stride 2, odd sizes": { kernel: [2, 2], strides: [2, 2], input: [9, 7] },
  "2x3, stride 1x2, padded on one side": { kernel: [2, 3], strides: [1, 2], pads: [0, 1, 1, 0] },
  "2x2, stride 3: elements that no window has": { kernel: [2, 2], strides: [3, 3], input: [8, 11] },
};

for (const [name, { kernel, strides, pads = [0, 0, 0, 0], ceil, input = [8, 10] }] of Object.entries(
  poolings,
)) {
  for (const op of ["MaxPool", "AveragePool"]) {
    test(`${op} of windows that overlap or leave something out: ${name}`, { skip }, async () => {
      const blocked = await assertSame([4, 3, ...input], (made) => {
        const attributes = {
          kernel_shape: ints(kernel),
          strides: ints(strides),
          pads: ints(pads),
          ceil_mode: ceil === true ? int(1) : undefined,
        };
        return conv(made, made.b.emit(op, [conv(made, "x", 20)], { attributes }), 16);
      });
      assert.equal(count(blocked, "MaxUnpool"), 0);
    });
  }
}
