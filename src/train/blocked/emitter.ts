import { at, dims4 } from "../../graph/at.js";
import { int, ints, text } from "../../graph/attributes.js";
import { firstOf } from "../../graph/operands.js";
import type { Attribute } from "../../graph/types.js";
import { floatType } from "../../ops/core/composite.js";
import { crop, mul, reduceMean, reduceSum, reshape, slice, transpose, zeroPad } from "../../ops/core/emit.js";
import type { TypedBuilder } from "../../ops/inference/builder.js";
import {
  type Activation,
  activationAttributes,
  BLOCKED_DOMAIN,
  type BlockedConv,
  type ConvWindow,
} from "./runtime_operators.js";

/** ReorderInput pads to whole blocks by itself, but takes only multiples of so many channels. */
const REORDERED_CHANNELS = 4;

/** A convolution with the same kernel for every channel. */
interface SameKernel extends ConvWindow {
  /** Height and width of the result. */
  readonly output: readonly number[];
  readonly sum?: string;
  readonly activation?: Activation;
}

const NO_PADS = [0, 0, 0, 0] as const;

/** Channels with the padding to whole blocks. */
export function paddedTo(block: number, channels: number): number {
  return Math.ceil(channels / block) * block;
}

/** Emits operators on blocked values; what these are called in the graph that is rewritten is none of its business. */
export class BlockedEmitter {
  constructor(
    private readonly b: TypedBuilder,
    private readonly block: number,
  ) {}

  /** Emits a blocked operator whose output has the given dimensions. */
  operator(
    op: string,
    inputs: readonly string[],
    dims: readonly number[],
    attributes: Readonly<Record<string, Attribute | undefined>> = {},
  ): string {
    return this.b.emit(op, inputs, {
      domain: BLOCKED_DOMAIN,
      attributes,
      hint: `blocked_${op.toLowerCase()}`,
      types: [floatType(dims)],
    });
  }

  conv(options: BlockedConv): string {
    const { x, filter, bias = "", sum, kernel, activation } = options;
    const { groups = 1, strides = [1, 1], dilations = [1, 1], pads = NO_PADS } = options;
    const inputs = sum === undefined ? [x, filter, ...(bias === "" ? [] : [bias])] : [x, filter, bias, sum];
    return this.operator("Conv", inputs, options.output, {
      group: int(groups),
      kernel_shape: ints(kernel),
      strides: ints(strides),
      dilations: ints(dilations),
      pads: ints(pads),
      ...(activation === undefined ? {} : activationAttributes(activation)),
    });
  }

  /** x · gain + bias per channel (+ sum): a depthwise convolution with 1x1 kernels. `gain`, `bias`: padded [C]. */
  scale(
    x: string,
    gain: string,
    options: Pick<BlockedConv, "bias" | "sum" | "activation"> & { readonly pads?: readonly number[] } = {},
  ): string {
    const [batch, channels, height, width] = dims4(this.b.dims(x));
    const { pads = NO_PADS } = options;
    const [top, left, bottom, right] = firstOf(pads, 4);
    return this.conv({
      ...options,
      x,
      filter: reshape(this.b, gain, [channels, 1, 1, 1]),
      groups: channels,
      kernel: [1, 1],
      output: [batch, channels, height + top + bottom, width + left + right],
    });
  }

  /**
   * Every channel of a blocked image [N, C, H, W] convolved with the same kernel (+ sum): the blocks are images of
   * one block each.
   * @param filter [b, 1, R, S]: the kernel once for each channel of a block
   */
  sameKernel(x: string, filter: string, { output, sum, ...window }: SameKernel): string {
    const { b, block } = this;
    const [batch, channels, height, width] = dims4(b.dims(x));
    const blocks = (batch * channels) / block;
    const images = this.conv({
      ...window,
      x: reshape(b, x, [blocks, block, height, width]),
      filter,
      ...(sum === undefined ? {} : { sum: reshape(b, sum, [blocks, block, ...output]) }),
      groups: block,
      output: [blocks, block, ...output],
    });
    return reshape(b, images, [batch, channels, ...output]);
  }

  /** Every element of a blocked image [N, C, H, W] repeated over a patch of the given size. */
  repeat(x: string, patch: readonly number[]): string {
    const [rows, columns] = firstOf(patch, 2);
    const [batch, channels, height, width] = dims4(this.b.dims(x));
    return this.operator("Upsample", [x], [batch, channels, height * rows, width * columns], {
      scales: ints([1, 1, rows, columns]),
      mode: text("nearest"),
    });
  }

  /** A blocked image without so many of its first and last rows and columns. */
  withoutEdges(x: string, edges: readonly number[]): string {
    const [top, left, bottom, right] = firstOf(edges, 4);
    if (top + left + bottom + right === 0) return x;
    const [batch, channels, height, width] = dims4(this.b.dims(x));
    const blocks = reshape(this.b, x, [(batch * channels) / this.block, height, width, this.block]);
    const inner = slice(this.b, blocks, [
      { axis: 1, start: top, end: height - bottom },
      { axis: 2, start: left, end: width - right },
    ]);
    return reshape(this.b, inner, [batch, channels, height - top - bottom, width - left - right]);
  }

  /** [A, B, n] -> [B, A, n]. */
  swapBlocks(x: string, [a, b, size]: readonly [number, number, number]): string {
    if (a === 1 || b === 1) return x;
    return transpose(this.b, reshape(this.b, x, [a, b, size]), [1, 0, 2]);
  }

  /** Sum over batch and space by channel, without the padding: blocked x -> [channels]. */
  channelSum(x: string, channels: number): string {
    const [batch, padded, height, width] = dims4(this.b.dims(x));
    const pooled = this.operator("GlobalAveragePool", [x], [batch, padded, 1, 1]);
    const mean = reduceMean(this.b, reshape(this.b, pooled, [batch, padded]), [0], false);
    return this.cut(this.times(mean, batch * height * width), channels);
  }

  /**
   * Σ over batch and space of x · y by channel: a depthwise convolution in which every channel of every image
   * is a group of its own, x its input and y its kernel.
   */
  channelDot(x: string, y: string, channels: number): string {
    const [batch, padded, height, width] = dims4(this.b.dims(x));
    const groups = batch * padded;
    const products = this.conv({
      x: reshape(this.b, x, [1, groups, height, width]),
      filter: reshape(this.b, y, [groups, 1, height, width]),
      groups,
      kernel: [height, width],
      output: [1, groups, 1, 1],
    });
    const perImage = reshape(this.b, products, [batch, padded]);
    return this.cut(reduceSum(this.b, perImage, [0], false), channels);
  }

  /** x · factor. */
  times(x: string, factor: number): string {
    return mul(this.b, x, this.b.scalar(factor));
  }

  /** The first `channels` of a padded vector. */
  cut(x: string, channels: number): string {
    return crop(this.b, x, [{ axis: 0, end: channels }]);
  }

  /** A vector [C] padded with zeros to whole blocks. */
  pad(x: string): string {
    const channels = at(this.b.dims(x), 0);
    const missing = paddedTo(this.block, channels) - channels;
    return missing === 0 ? x : zeroPad(this.b, x, [0, missing]);
  }

  /** From blocked to plain, dropping the padding beyond the channels of `dims`. */
  toPlain(blocked: string, dims: readonly number[]): string {
    return this.operator("ReorderOutput", [blocked], dims, {
      channels: int(at(dims, 1)),
      channels_last: int(0),
    });
  }

  /** From plain to blocked; `dims` are those of the result. */
  toBlocked(plain: string, dims: readonly number[]): string {
    const [, channels] = dims4(this.b.dims(plain));
    const missing = at(dims, 1) - channels;
    const whole =
      channels % REORDERED_CHANNELS === 0 ? plain : zeroPad(this.b, plain, [0, 0, 0, 0, 0, missing, 0, 0]);
    return this.operator("ReorderInput", [whole], dims, { channels_last: int(0) });
  }
}
