import { float, int, ints, text } from "../../src/graph/attributes.js";
import type { ClassifierBuilder, ConvOptions } from "../../src/networks/classifier_builder.js";

/** Activations in the forms in which exporters write them. */
export const activations = {
  none: (_: ClassifierBuilder, x: string) => x,
  relu: (net: ClassifierBuilder, x: string) => net.relu("", x),
  relu6: (net: ClassifierBuilder, x: string) => net.relu6("", x),
  /** PyTorch, from operator set 14 on. */
  hardSwish: ({ b }: ClassifierBuilder, x: string) => b.emit("HardSwish", [x]),
  /** PaddlePaddle: x·clip(x + 3, 0, 6) / 6. */
  hardSwishChain: ({ b }: ClassifierBuilder, x: string) => {
    const clipped = b.emit("Clip", [b.emit("Add", [x, b.scalar(3)]), b.scalar(0), b.scalar(6)]);
    return b.emit("Div", [b.emit("Mul", [x, clipped]), b.scalar(6)]);
  },
  silu: ({ b }: ClassifierBuilder, x: string) => b.emit("Mul", [x, b.emit("Sigmoid", [x])]),
  sigmoid: ({ b }: ClassifierBuilder, x: string) => b.emit("Sigmoid", [x]),
  /** PyTorch: min(max(x / 6 + 1 / 2, 0), 1). */
  hardSigmoid: ({ b }: ClassifierBuilder, x: string) =>
    b.emit("HardSigmoid", [x], { attributes: { alpha: float(1 / 6) } }),
} as const;

export type Activation = keyof typeof activations;

export const act = (net: ClassifierBuilder, kind: Activation, x: string): string => activations[kind](net, x);

/** Convolution, normalization, activation. */
export function unit(
  net: ClassifierBuilder,
  name: string,
  x: string,
  options: ConvOptions & { readonly act: Activation },
): string {
  return act(net, options.act, net.convNorm(name, x, options));
}

/** Squeeze and excitation (Hu et al. 2018): the map times a gate for each of its channels. */
export function excite(
  net: ClassifierBuilder,
  name: string,
  x: string,
  {
    channels,
    inner,
    gate,
    act: inside = "relu",
  }: {
    readonly channels: number;
    readonly inner: number;
    readonly gate: Activation;
    readonly act?: Activation;
  },
): string {
  const mean = net.b.emit("GlobalAveragePool", [x]);
  const narrow = act(
    net,
    inside,
    net.conv(`${name}.fc1`, mean, { inputs: channels, outputs: inner, kernel: 1, bias: true }),
  );
  const wide = net.conv(`${name}.fc2`, narrow, { inputs: inner, outputs: channels, kernel: 1, bias: true });
  return net.b.emit("Mul", [x, act(net, gate, wide)]);
}

export const concat = ({ b }: ClassifierBuilder, parts: readonly string[]): string =>
  b.emit("Concat", parts, { attributes: { axis: int(1) } });

/** Twice or more the height and width. */
export function enlarge(
  { b }: ClassifierBuilder,
  x: string,
  factor: number,
  mode: "nearest" | "linear" = "nearest",
): string {
  const scales = b.floats("scales", [4], Float32Array.of(1, 1, factor, factor));
  return b.emit("Resize", [x, "", scales], {
    attributes: {
      mode: text(mode),
      coordinate_transformation_mode: text(mode === "nearest" ? "asymmetric" : "half_pixel"),
    },
  });
}

/** Halves of the channels. */
export function halves({ b }: ClassifierBuilder, x: string, channels: number): readonly [string, string] {
  const [low, high] = [0, channels / 2].map((start) =>
    b.emit("Slice", [x, ...[[start], [start + channels / 2], [1]].map((values) => b.axes(values))]),
  );
  return [low ?? "", high ?? ""];
}

/** A block of ShuffleNet's: channels of two groups by turns. */
export function shuffle({ b }: ClassifierBuilder, x: string, channels: number, side: number): string {
  const apart = b.emit("Reshape", [x, b.axes([-1, 2, channels / 2, side, side])]);
  const turned = b.emit("Transpose", [apart], { attributes: { perm: ints([0, 2, 1, 3, 4]) } });
  return b.emit("Reshape", [turned, b.axes([-1, channels, side, side])]);
}
