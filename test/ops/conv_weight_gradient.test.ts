import { test } from "node:test";
import { float32Data } from "../../src/graph/tensor.js";
import type { Tensor } from "../../src/graph/types.js";
import {
  type ConvGeometry,
  type WeightGradientFormulation,
  weightGradients,
} from "../../src/ops/families/conv_gradient.js";
import { assertNear, builderOver, compute, randomIn } from "../train/support.js";

type Request = Omit<ConvGeometry, "output" | "batch">;

const plain: Request = {
  inputChannels: 3,
  outputChannels: 4,
  groups: 1,
  input: [6, 5],
  kernel: [3, 3],
  strides: [1, 1],
  dilations: [1, 1],
  pads: [1, 1, 1, 1],
};

const requests: Readonly<Record<string, Request>> = {
  "3x3": plain,
  "without padding": { ...plain, pads: [0, 0, 0, 0] },
  "with uneven padding": { ...plain, pads: [0, 2, 1, 0] },
  "with a 2x3 kernel": { ...plain, kernel: [2, 3] },
  "1x1": { ...plain, kernel: [1, 1], pads: [0, 0, 0, 0] },
  dilated: { ...plain, dilations: [2, 1], pads: [2, 1, 2, 1] },
  "with stride 2": { ...plain, strides: [2, 2] },
  "with strides 2 and 3 and dilation": { ...plain, input: [8, 9], strides: [2, 3], dilations: [1, 2] },
  "1x1 with stride 2": { ...plain, kernel: [1, 1], strides: [2, 2], pads: [0, 0, 0, 0] },
  "in groups": { ...plain, inputChannels: 4, groups: 2 },
  depthwise: { ...plain, inputChannels: 4, groups: 4, strides: [2, 2] },
};

function withOutput(request: Request): ConvGeometry {
  const { input, kernel, strides, dilations, pads } = request;
  const size = (axis: 0 | 1): number =>
    Math.floor(
      (input[axis] + pads[axis] + pads[axis === 0 ? 2 : 3] - dilations[axis] * (kernel[axis] - 1) - 1) /
        strides[axis],
    ) + 1;
  return { ...request, batch: 2, output: [size(0), size(1)] };
}

/** dw[k, c, r, s] = Σ dy[n, k, p, q] · x[n, g(k) + c, p·stride + r·dilation - pad, ...], by its definition. */
function reference(geometry: ConvGeometry, x: Float32Array, dy: Float32Array): number[] {
  const { batch, inputChannels, outputChannels, groups, input, kernel, output, strides, dilations, pads } =
    geometry;
  const perGroup = inputChannels / groups;
  const dw: number[] = [];
  for (let k = 0; k < outputChannels; k++)
    for (let c = 0; c < perGroup; c++)
      for (let r = 0; r < kernel[0]; r++)
        for (let s = 0; s < kernel[1]; s++) {
          let sum = 0;
          const channel = Math.floor(k / (outputChannels / groups)) * perGroup + c;
          for (let n = 0; n < batch; n++)
            for (let p = 0; p < output[0]; p++)
              for (let q = 0; q < output[1]; q++) {
                const row = p * strides[0] + r * dilations[0] - pads[0];
                const column = q * strides[1] + s * dilations[1] - pads[1];
                if (row < 0 || column < 0 || row >= input[0] || column >= input[1]) continue;
                const at = ((n * inputChannels + channel) * input[0] + row) * input[1] + column;
                const from = ((n * outputChannels + k) * output[0] + p) * output[1] + q;
                sum += (x[at] ?? NaN) * (dy[from] ?? NaN);
              }
          dw.push(sum);
        }
  return dw;
}

/** What a formulation is not made for. */
function isServed(formulation: WeightGradientFormulation, { groups, strides }: Request): boolean {
  if (formulation === "patches") return true;
  return groups === 1 && (formulation === "swap" || strides.every((stride) => stride === 1));
}

for (const [name, request] of Object.entries(requests)) {
  for (const formulation of Object.keys(weightGradients) as WeightGradientFormulation[]) {
    if (!isServed(formulation, request)) continue;
    test(`weight gradient by ${formulation}, ${name}: the sum that defines it (1e-5)`, async () => {
      const geometry = withOutput(request);
      const { batch, inputChannels, outputChannels, input, output } = geometry;
      const x = randomIn([batch, inputChannels, ...input], 1);
      const dy = randomIn([batch, outputChannels, ...output], 2);
      const feeds = new Map<string, Tensor>([
        ["x", x],
        ["dy", dy],
      ]);
      const b = builderOver(feeds, 13);
      const [dw] = await compute(b, feeds, [weightGradients[formulation](b, geometry, "x", "dy")]);
      assertNear(dw ?? [], reference(geometry, float32Data(x), float32Data(dy)), 1e-5);
    });
  }
}
