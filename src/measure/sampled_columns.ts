import type { Random } from "../data/random.js";
import { present } from "../graph/at.js";
import type { ConvGeometry } from "../ops/families/conv_gradient.js";

/** Output positions of a convolution, and where each tap of their kernels reads. */
export interface SampledPositions {
  /** Indices into the plane of outputs, ascending: [count]. */
  readonly outputs: Int32Array;
  /** Indices into the plane of inputs, [taps, count]; 0 where a tap lies outside. */
  readonly inputs: Int32Array;
  /** 1 where a tap lies inside, 0 where it meets the padding: [taps, count]. */
  readonly inside: Float32Array;
}

/** `count` different output positions of a convolution, drawn at random. */
export function samplePositions(geometry: ConvGeometry, count: number, random: Random): SampledPositions {
  const { input, kernel, output, strides, dilations, pads } = geometry;
  const outputs = drawn(output[0] * output[1], count, random);
  const taps = kernel[0] * kernel[1];
  const inputs = new Int32Array(taps * count);
  const inside = new Float32Array(taps * count);
  for (let tap = 0; tap < taps; tap++) {
    const down = Math.floor(tap / kernel[1]) * dilations[0] - pads[0];
    const right = (tap % kernel[1]) * dilations[1] - pads[1];
    outputs.forEach((position, index) => {
      const y = Math.floor(position / output[1]) * strides[0] + down;
      const x = (position % output[1]) * strides[1] + right;
      if (y < 0 || x < 0 || y >= input[0] || x >= input[1]) return;
      inputs[tap * count + index] = y * input[1] + x;
      inside[tap * count + index] = 1;
    });
  }
  return { outputs, inputs, inside };
}

/** `count` of 0 .. total - 1, ascending: the first of a shuffle. */
function drawn(total: number, count: number, random: Random): Int32Array {
  const all = Uint32Array.from({ length: total }, (_, index) => index);
  for (let at = 0; at < count && count < total; at++) {
    const other = at + random.below(total - at);
    const held = present(all[at]);
    all[at] = present(all[other]);
    all[other] = held;
  }
  return Int32Array.from(all.subarray(0, count)).sort();
}
