import { int, ints, text } from "../src/graph/attributes.js";
import { elementCount } from "../src/graph/tensor.js";
import type { Network } from "./network.js";
import { type Instruction, mapDims, partner, type Step } from "./random_network.js";

/** Steps of random networks that convolve: any kernel, stride, dilation, padding, group count, weight. */

/** Possible group counts. */
export const divisors = (count: number): number[] =>
  Array.from({ length: count }, (_, index) => index + 1).filter((divisor) => count % divisor === 0);

/** An item chosen by a number. */
export const pick = <Item>(items: readonly Item[], number: number, otherwise: Item): Item =>
  items[number % Math.max(items.length, 1)] ?? otherwise;

export const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** A weight [K, C / groups, r, s], dense or as coefficients over a basis, with the variance of the map kept. */
function weightOf(net: Network, dims: readonly number[], basis: number | undefined): string {
  const [outputs = 1, inputs = 1, ...kernel] = dims;
  const taps = elementCount(kernel);
  const bound = Math.sqrt(3 / (inputs * taps));
  if (basis === undefined) return net.parameter("weight", dims, -bound, bound);
  const coefs = net.parameter("coefs", [outputs, inputs, basis], -bound, bound);
  const product = net.op("MatMul", [coefs, net.parameter("basis", [basis, taps])]);
  return net.op("Reshape", [product, net.b.axes(dims)]);
}

const kernels: readonly (readonly [number, number])[] = [
  [3, 3],
  [1, 1],
  [1, 3],
  [3, 1],
  [2, 2],
  [5, 5],
];

/** Padding [begins, ends]: none where the map is large enough, or anything up to the kernel's size. */
function padsOf(extents: readonly number[], sizes: readonly number[], at: Instruction): number[] {
  const begins = extents.map((extent, axis) => (at.dead[axis] ? at.other % extent : Math.floor(extent / 2)));
  const ends = extents.map((extent, axis) => (at.dead[axis + 2] ? at.from % extent : Math.floor(extent / 2)));
  const none = at.dead[4] === true && extents.every((extent, axis) => extent <= (sizes[axis] ?? 1));
  if (none) return [0, 0, 0, 0];
  const enough = extents.map(
    (extent, axis) => (sizes[axis] ?? 1) + (begins[axis] ?? 0) + (ends[axis] ?? 0) >= extent,
  );
  return [...begins, ...ends.map((end, axis) => (enough[axis] === true ? end : (extents[axis] ?? 1)))];
}

/** A convolution with any kernel, stride, dilation, padding, group count, decomposed or not. */
export const oddConvolution: Step = (state, x, at) => {
  const { net } = state;
  const [channels, ...sizes] = mapDims(state, x);
  const kernel = pick(kernels, at.other, [1, 1]);
  const dilation = at.dead[5] === true ? 2 : 1;
  const extents = kernel.map((size) => (size - 1) * dilation + 1);
  const group = at.from === 0 ? pick(divisors(channels), at.size, 1) : 1;
  const outputs = group * Math.max(1, Math.floor((1 + at.size) / group));
  const taps = elementCount(kernel);
  const basis = at.flag && taps > 1 ? 1 + (at.size % taps) : undefined;
  const stride = Math.min(...sizes) > 3 && at.other % 4 === 0 ? 2 : 1;
  const auto = at.dead[6] === true && dilation === 1;
  const inputs = [x, weightOf(net, [outputs, channels / group, ...kernel], basis)];
  return net.op("Conv", at.dead[7] === true ? inputs : [...inputs, net.parameter("bias", [outputs])], {
    group: int(group),
    strides: ints([stride, stride]),
    dilations: ints([dilation, dilation]),
    ...(auto
      ? { auto_pad: text(at.flag ? "SAME_UPPER" : "SAME_LOWER") }
      : { pads: ints(padsOf(extents, sizes, at)) }),
  });
};

export const transposedConvolution: Step = (state, x, at) => {
  const { net } = state;
  const [channels, height, width] = mapDims(state, x);
  const group = at.from === 0 ? pick(divisors(channels), at.size, 1) : 1;
  const stride = Math.max(height, width) < 5 ? 2 : 1;
  const size = 1 + (at.other % 3);
  const pad = size === 3 ? 1 : 0;
  const perGroup = Math.max(1, Math.floor(at.size / group));
  const bound = Math.sqrt(3 / channels);
  const weight = net.parameter("weight", [channels, perGroup, size, size], -bound, bound);
  const inputs = at.flag ? [x, weight, net.parameter("bias", [perGroup * group])] : [x, weight];
  return net.op("ConvTranspose", inputs, {
    group: int(group),
    strides: ints([stride, stride]),
    pads: ints([pad, pad, 0, pad]),
    output_padding: ints(stride === 2 && at.dead[0] === true ? [1, 0] : [0, 0]),
  });
};

/** Two convolutions of the same weight, perhaps the same decomposed one, of two maps. */
export const sharedWeight: Step = (state, x, at) => {
  const { net } = state;
  const weight = weightOf(net, [at.size, net.channels(x), 3, 3], at.dead[0] === true ? 4 : undefined);
  const bias = net.parameter("bias", [at.size]);
  const twin = partner(state, x, at, true);
  return [x, twin].map((map, index) =>
    net.op("Conv", at.flag && index === 1 ? [map, weight] : [map, weight, bias], {
      pads: ints([1, 1, 1, 1]),
    }),
  );
};

/** A convolution behind channels that are constant: BatchNormalization whose scale will be zeroed, then zero padding. */
export const constantBorder: Step = (state, x, at) => {
  const { net } = state;
  const constant = net.relu(
    net.norm(net.conv(x, 1 + at.size, { pad: 1, deadOutputs: range(8).filter((lane) => at.dead[lane]) })),
  );
  return net.conv(constant, 1 + (at.other % 5), {
    pad: 1,
    bias: at.flag,
    ...(at.from === 0 ? { basis: 3 } : {}),
  });
};
