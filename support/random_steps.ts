import { float, int, ints, text } from "../src/graph/attributes.js";
import { int64Tensor, numericTensor } from "../src/graph/tensor.js";
import type { Attribute } from "../src/graph/types.js";
import { reduceMean, reshape, slice, transpose } from "../src/ops/core/emit.js";
import {
  constantBorder,
  divisors,
  oddConvolution,
  pick,
  range,
  sharedWeight,
  transposedConvolution,
} from "./random_convolutions.js";
import { mapDims, partner, type Step } from "./random_network.js";

/**
 * Steps of random networks with what real networks contain besides `trainableSteps`: odd convolutions, all kinds of
 * pooling, normalizations, Squeeze-and-Excitation, shuffles, channels last, shared weights, ...
 */

/** One set of statistics for two normalizations. */
const sharedNormalization: Step = (state, x, at) => {
  const { net } = state;
  const count = net.channels(x);
  const [scale, shift, mean] = [0, 1, 2].map((index) => net.parameter(`norm_${index}`, [count]));
  const variance = net.parameter("variance", [count], 0.5, 1.5);
  return [x, partner(state, x, at, true)].map((map) =>
    net.op("BatchNormalization", [
      map,
      scale ?? "",
      shift ?? "",
      at.flag ? (shift ?? "") : (mean ?? ""),
      variance,
    ]),
  );
};

const pool: Step = (state, x, at) => {
  const { net } = state;
  const [, height, width] = mapDims(state, x);
  const sizes = [height, width].map((size) => Math.min(1 + (at.size % 3), size));
  const pads = [...sizes, ...sizes].map((size, index) => (at.dead[index] === true ? size - 1 : 0));
  const average = at.other % 2 === 0;
  const strides = Math.min(height, width) > 3 ? 2 : 1;
  return net.op(average ? "AveragePool" : "MaxPool", [x], {
    kernel_shape: ints(sizes),
    strides: ints([strides, strides]),
    ceil_mode: int(at.flag ? 1 : 0),
    // Runtimes do not agree on automatic pads where a window is smaller than the stride.
    ...(at.dead[5] === true && Math.min(...sizes) >= strides
      ? { auto_pad: text(at.flag ? "SAME_UPPER" : "SAME_LOWER") }
      : { pads: ints(pads) }),
    ...(average ? { count_include_pad: int(at.dead[4] === true ? 1 : 0) } : {}),
  });
};

const dilatedMaxPool: Step = ({ net }, x) =>
  net.op("MaxPool", [x], {
    kernel_shape: ints([2, 2]),
    dilations: ints([2, 1]),
    pads: ints([1, 0, 1, 1]),
  });

/** Squeeze-and-Excitation, by 1x1 convolutions or by fully connected layers. */
const excitation: Step = (state, x, at) => {
  const { net } = state;
  const channels = net.channels(x);
  const mean = at.dead[0] === true ? reduceMean(net.b, x, [2, 3], true) : net.op("GlobalAveragePool", [x]);
  if (at.flag) {
    const squeezed = net.relu(net.conv(mean, at.size, { kernel: 1, bias: true }));
    const gate = net.conv(squeezed, channels, { kernel: 1, bias: true });
    return net.op("Mul", [x, net.op(at.dead[1] === true ? "Sigmoid" : "HardSigmoid", [gate])]);
  }
  const squeezed = net.relu(net.gemm(net.op("Flatten", [mean]), at.size));
  const gate = net.op("Sigmoid", [net.gemm(squeezed, channels)]);
  const shaped =
    at.dead[1] === true
      ? reshape(net.b, gate, [-1, channels, 1, 1])
      : net.op("Unsqueeze", [gate, net.b.axes([2, 3])]);
  return net.op("Mul", at.dead[2] === true ? [shaped, x] : [x, shaped]);
};

/** The mean or maximum over channels gates every channel (CBAM). */
const spatialAttention: Step = (state, x, at) => {
  const { net } = state;
  const mean = reduceMean(net.b, x, [1], true);
  const gate = at.flag
    ? mean
    : net.conv(net.op("Concat", [mean, net.op("Abs", [mean])], { axis: int(1) }), 1, { pad: 1 });
  const [, height, width] = mapDims(state, gate);
  const [, wanted, wide] = mapDims(state, x);
  return height === wanted && width === wide ? net.op("Mul", [x, net.op("Sigmoid", [gate])]) : mean;
};

/** A channel shuffle with any number of groups, over [N, g, C/g, H, W] or [N, g, C/g, H*W]. */
const shuffle: Step = (state, x, at) => {
  const { net } = state;
  const [channels, height, width] = mapDims(state, x);
  const groups = pick(divisors(channels), at.other, 1);
  const batch = at.flag ? -1 : 0;
  const spatial = at.dead[0] === true ? [height * width] : [height, width];
  const split = reshape(net.b, x, [batch, groups, channels / groups, ...spatial]);
  const swapped = transpose(net.b, split, [0, 2, 1, ...spatial.map((_, axis) => axis + 3)]);
  return reshape(net.b, swapped, [batch, channels, height, width]);
};

/** ShuffleNet's unit: one half passes, the other is convolved. */
const splitAndConcat: Step = (state, x, at) => {
  const { net } = state;
  const count = net.channels(x);
  if (count < 2) return net.relu(x);
  const first = at.flag ? Math.floor(count / 2) : 1 + (at.other % (count - 1));
  const outputs = ["kept", "changed"].map((stem) => net.b.freshName(stem));
  const equal = net.b.opset >= 18 && 2 * first === count;
  net.b.emit("Split", equal ? [x] : [x, net.b.axes([first, count - first])], {
    outputs,
    attributes: { axis: int(1), num_outputs: equal ? int(2) : undefined },
  });
  const [kept = "", changed = ""] = outputs;
  const convolved = net.relu(net.norm(net.conv(changed, at.size, { pad: 1 })));
  return net.op("Concat", at.dead[0] === true ? [kept, convolved, kept] : [convolved, kept], {
    axis: int(1),
  });
};

const anyAttributes = (entries: Record<string, Attribute | undefined>): Record<string, Attribute> =>
  Object.fromEntries(
    Object.entries(entries).filter((entry): entry is [string, Attribute] => entry[1] !== undefined),
  );

const resize: Step = (state, x, at) => {
  const { net } = state;
  const [channels, height, width] = mapDims(state, x);
  const target = [height, width].map((size) =>
    size > 5 ? Math.ceil(size / 2) : 2 * size - (at.dead[0] === true ? 1 : 0),
  );
  const mode = pick(["nearest", "linear", "cubic"], at.other, "nearest");
  const attributes = anyAttributes({
    mode: text(mode),
    coordinate_transformation_mode: text(
      pick(["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"], at.from, "asymmetric"),
    ),
    nearest_mode: mode === "nearest" ? text(at.flag ? "floor" : "round_prefer_floor") : undefined,
    axes: at.dead[1] === true && net.b.opset >= 18 ? ints([2, 3]) : undefined,
  });
  const spatialOnly = attributes.axes !== undefined;
  if (at.flag) {
    const factors = [height, width].map((size) => (size > 5 ? 0.5 : 2));
    const scales = net.b.floats("scales", [spatialOnly ? 2 : 4], spatialOnly ? factors : [1, 1, ...factors]);
    return net.op("Resize", [x, "", scales], attributes);
  }
  const sizes = spatialOnly ? target : [2, channels, ...target];
  return net.op("Resize", [x, "", "", net.b.axes(sizes)], attributes);
};

/** Operators between two Transposes, on [N, H, W, C]. */
const channelsLast: Step = (state, x, at) => {
  const { net } = state;
  const channels = net.channels(x);
  const last = transpose(net.b, x, [0, 2, 3, 1]);
  const inside: readonly (() => string)[] = [
    () => net.relu(last),
    () => net.op("Add", [last, net.parameter("offset", [channels])]),
    () => net.op("Softmax", [last], { axis: int(-1) }),
    () =>
      net.op(
        "LayerNormalization",
        [last, net.parameter("scale", [channels]), net.parameter("shift", [channels])],
        { axis: int(-1) },
      ),
    () => net.op("MatMul", [last, net.parameter("matrix", [channels, at.size], -0.6, 0.6)]),
    () => {
      const wide = net.op("MatMul", [last, net.parameter("matrix", [channels, at.size], -0.6, 0.6)]);
      return net.op("MatMul", [net.relu(wide), net.parameter("matrix", [at.size, channels], -0.6, 0.6)]);
    },
  ];
  return transpose(net.b, pick(inside, at.other, () => last)(), [0, 3, 1, 2]);
};

const normalization: Step = (state, x, at) => {
  const { net } = state;
  const [channels, height, width] = mapDims(state, x);
  if (at.flag)
    return net.op(
      "InstanceNormalization",
      [x, net.parameter("scale", [channels]), net.parameter("shift", [channels])],
      {
        epsilon: float(0.01),
      },
    );
  if (net.b.opset < 17) return net.norm(x);
  const axis = 1 + (at.other % 3);
  const dims = [channels, height, width].slice(axis - 1);
  return net.op("LayerNormalization", [x, net.parameter("scale", dims), net.parameter("shift", dims)], {
    axis: int(at.dead[0] === true ? axis - 4 : axis),
    epsilon: float(0.01),
  });
};

const softmax: Step = ({ net }, x, at) =>
  net.op(at.flag ? "Softmax" : "LogSoftmax", [x], { axis: int(pick([1, 2, 3, -1, -3], at.other, 1)) });

/** Any choice of channels, some twice, perhaps with indices from the end. */
const choose: Step = ({ net }, x, at) => {
  const count = net.channels(x);
  const indices = range(at.size).map(
    (lane) => ((lane * (1 + at.from) + at.other) % count) - (at.flag ? count : 0),
  );
  const type = at.dead[0] === true ? "int32" : "int64";
  const tensor = numericTensor(type, [indices.length], indices) ?? int64Tensor([indices.length], indices);
  return net.op("Gather", [x, net.b.constant("indices", tensor)], {
    axis: int(at.dead[1] === true ? -3 : 1),
  });
};

/** Rows and columns together with channels, some "to the end", some backwards. */
const crop: Step = (state, x, at) => {
  const [channels, height] = mapDims(state, x);
  const start = at.other % channels;
  const ranges = [
    { axis: 1, start: at.flag ? start - channels : start, end: start + at.size },
    ...(height > 2 ? [{ axis: 2, start: 1, end: Number.POSITIVE_INFINITY }] : []),
  ];
  if (at.dead[0] === true)
    return slice(state.net.b, x, [{ axis: 1, start: -1, end: Number.NEGATIVE_INFINITY, step: -1 }]);
  if (at.dead[1] === true)
    return slice(state.net.b, x, [{ axis: 1, start: 0, end: Number.POSITIVE_INFINITY, step: 2 }]);
  return slice(state.net.b, x, ranges);
};

const pad: Step = (state, x, at) => {
  const { net } = state;
  const [, height, width] = mapDims(state, x);
  const mode = pick(["constant", "edge", "reflect"], at.from, "constant");
  const spatial = [0, 1, 2, 3].map((index) => (at.dead[index] === true ? 1 : 0));
  if (mode !== "constant" && Math.min(height, width) > 1)
    return net.op("Pad", [x, net.b.axes([0, 0, ...spatial.slice(0, 2), 0, 0, ...spatial.slice(2)])], {
      mode: text(mode),
    });
  const [top = 0, left = 0, bottom = 0, right = 0] = spatial;
  const margins = height > 3 && at.dead[5] === true ? -1 : bottom;
  const channels = at.dead[4] === true ? [at.size % 3, at.other % 3] : [0, 0];
  const value = net.b.scalar(pick([0, 0.5, -1.25], at.other, 0));
  if (net.b.opset >= 18 && at.flag)
    return net.op("Pad", [
      x,
      net.b.axes([left, channels[0] ?? 0, right, channels[1] ?? 0]),
      value,
      net.b.axes([-1, 1]),
    ]);
  return net.op("Pad", [
    x,
    net.b.axes([0, channels[0] ?? 0, top, left, 0, channels[1] ?? 0, margins, right]),
    value,
  ]);
};

/** Element-wise operators of several maps. */
const combine: Step = (state, x, at) => {
  const { net } = state;
  const y = partner(state, x, at, true);
  const positive = (value: string): string => net.op("Add", [net.op("Abs", [value]), net.b.scalar(0.5)]);
  const ways: readonly (() => string)[] = [
    () => net.op("Sum", [x, y, net.parameter("offset", [net.channels(x), 1, 1])]),
    () => net.op("Max", [x, y]),
    () => net.op("Min", [x, net.b.scalar(0.25), y]),
    () => net.op("Div", [x, positive(y)]),
    () => net.op("Pow", [net.op("Sigmoid", [x]), net.b.scalar(2)]),
    () => net.op("Where", [net.op("Greater", [x, y]), x, y]),
    () => net.op("Where", [net.op("Less", [x, net.b.scalar(0.1)]), x, net.b.scalar(0.1)]),
    () => {
      const limit = net.parameter("limit", [net.channels(x), 1, 1]);
      return net.op("Where", [net.op("LessOrEqual", [x, limit]), limit, x]);
    },
    () => net.op("Mul", [x, net.op("Softplus", [net.op("Clip", [y, net.b.scalar(-1), net.b.scalar(1)])])]),
    () => net.op("Sub", [net.b.scalar(1), x]),
    () => net.op("Add", [net.op("GlobalMaxPool", [y]), x]),
    () => net.op("Identity", [net.op("Dropout", [net.op("Sub", [x, y])])]),
    () => net.op("PRelu", [x, net.op("Sigmoid", [y])]),
  ];
  return pick(ways, at.other, () => x)();
};

/** GELU as PyTorch writes it. */
const gelu: Step = ({ net }, x) => {
  const erf = net.op("Erf", [net.op("Mul", [x, net.b.scalar(Math.SQRT1_2)])]);
  return net.op("Mul", [net.op("Mul", [x, net.op("Add", [erf, net.b.scalar(1)])]), net.b.scalar(0.5)]);
};

const rearrange: Step = (state, x, at) => {
  const { net } = state;
  const [channels, height, width] = mapDims(state, x);
  const block = { blocksize: int(2) };
  if (channels % 4 === 0 && height < 6)
    return net.op("DepthToSpace", [x], { ...block, mode: text(at.flag ? "DCR" : "CRD") });
  if (height % 2 === 0 && width % 2 === 0 && channels < 5) return net.op("SpaceToDepth", [x], block);
  const ways: readonly (() => string)[] = [
    () => net.op("Concat", [x, partner(state, x, at, true)], { axis: int(at.flag ? -1 : 2) }),
    () => net.op("Tile", [x, net.b.axes([1, at.flag ? 2 : 1, 1, 2])]),
    () => net.op("Expand", [net.op("GlobalAveragePool", [x]), net.b.axes([1, channels, height, width])]),
    () => transpose(net.b, x, [0, 1, 3, 2]),
    () => {
      const flat = reshape(net.b, x, [0, 0, -1]);
      const mixed = net.op("MatMul", [
        flat,
        net.parameter("matrix", [height * width, height * width], -0.3, 0.3),
      ]);
      return reshape(net.b, mixed, [0, channels, height, width]);
    },
    () => net.op("Squeeze", [net.op("Unsqueeze", [x, net.b.axes([2])]), net.b.axes([2])]),
    () => reshape(net.b, reshape(net.b, x, [-1, channels * height, width]), [-1, channels, height, width]),
    () => transpose(net.b, transpose(net.b, x, [0, 2, 1, 3]), [0, 2, 1, 3]),
  ];
  return pick(ways, at.other, () => x)();
};

const FLOAT = 1;
const DOUBLE = 11;

/** The arithmetic of a node in float64. */
const cast: Step = ({ net }, x, at) => {
  const there = net.op("Cast", [x], { to: int(DOUBLE) });
  return net.op("Cast", [at.flag ? net.op("Add", [there, there]) : there], { to: int(FLOAT) });
};

/** The second input of the network, [N, 2, 6, 6]: convolved where the sizes agree. */
const otherInput: Step = (state, x, at) => {
  const [, height, width] = mapDims(state, x);
  const y = state.net.conv("y", state.net.channels(x), { pad: 1, bias: true });
  return height === 6 && width === 6 ? state.net.op(at.flag ? "Add" : "Mul", [x, y]) : y;
};

export const richSteps: readonly Step[] = [
  oddConvolution,
  oddConvolution,
  oddConvolution,
  transposedConvolution,
  sharedWeight,
  sharedNormalization,
  pool,
  pool,
  dilatedMaxPool,
  excitation,
  excitation,
  spatialAttention,
  shuffle,
  splitAndConcat,
  resize,
  resize,
  channelsLast,
  normalization,
  softmax,
  choose,
  crop,
  pad,
  combine,
  combine,
  gelu,
  rearrange,
  rearrange,
  cast,
  constantBorder,
  constantBorder,
  otherInput,
];
