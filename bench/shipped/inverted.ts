import { ints } from "../../src/graph/attributes.js";
import type { ClassifierBuilder } from "../../src/networks/classifier_builder.js";
import { add } from "../../src/ops/core/emit.js";
import { type Activation, excite, unit } from "./units.js";

/** An inverted residual (Sandler et al. 2018). */
export interface Inverted {
  readonly kernel: number;
  /** Channels inside. */
  readonly wide: number;
  readonly outputs: number;
  readonly stride: number;
  readonly act: Activation;
  /** Steps between the pixels that a 3x3 filter sees (1); from 2 on without normalization, at stride 1. */
  readonly rate?: number;
  /** Whether the 1x1 convolution stands there even where it would not widen (false). */
  readonly widens?: boolean;
  /** Channels between the two layers of squeeze and excitation; absent without. */
  readonly squeeze?: number;
  readonly gate?: Activation;
  readonly squeezeAct?: Activation;
}

/** Widen (1x1), filter each channel, excite, narrow (1x1); the sum with x where the shape stays. */
export function inverted(
  net: ClassifierBuilder,
  name: string,
  x: string,
  inputs: number,
  block: Inverted,
): string {
  const {
    wide,
    outputs,
    stride,
    act,
    widens = false,
    squeeze,
    gate = "sigmoid",
    squeezeAct = "relu",
  } = block;
  const widened =
    wide === inputs && !widens
      ? x
      : unit(net, `${name}.expand`, x, { inputs, outputs: wide, kernel: 1, act });
  const filtered = depthwise(net, `${name}.depthwise`, widened, block);
  const excited =
    squeeze === undefined
      ? filtered
      : excite(net, `${name}.se`, filtered, { channels: wide, inner: squeeze, gate, act: squeezeAct });
  const narrow = net.convNorm(`${name}.project`, excited, { inputs: wide, outputs, kernel: 1 });
  return inputs === outputs && stride === 1 ? add(net.b, x, narrow) : narrow;
}

function depthwise(
  net: ClassifierBuilder,
  name: string,
  x: string,
  { wide, kernel, stride, act, rate = 1 }: Inverted,
): string {
  const channels = { inputs: wide, outputs: wide, groups: wide };
  return rate === 1
    ? unit(net, name, x, { ...channels, kernel, stride, act })
    : dilated(net, name, x, { ...channels, rate });
}

/** A depthwise or dense 3x3 convolution with holes, and its activation. */
export function dilated(
  net: ClassifierBuilder,
  name: string,
  x: string,
  {
    inputs,
    outputs,
    groups = 1,
    rate,
  }: { readonly inputs: number; readonly outputs: number; readonly groups?: number; readonly rate: number },
): string {
  const convolved = net.conv(name, x, { inputs, outputs, groups });
  const node = net.b.nodes.at(-1);
  if (node === undefined) throw new Error("nothing was emitted");
  const holes = new Map(node.attributes)
    .set("dilations", ints([rate, rate]))
    .set("pads", ints([rate, rate, rate, rate]));
  net.b.nodes[net.b.nodes.length - 1] = { ...node, attributes: holes };
  return net.relu6(name, convolved);
}
