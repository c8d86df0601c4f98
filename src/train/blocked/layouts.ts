import { floats, int, ints, text } from "../../graph/attributes.js";
import type { Attribute, Node } from "../../graph/types.js";
import { floatType } from "../../ops/core/composite.js";
import type { NodeContext } from "../../ops/core/context.js";
import { crop, mul, reduceMean, reduceSum, reshape, slice, transpose, zeroPad } from "../../ops/core/emit.js";
import type { TypedBuilder } from "../../ops/inference/builder.js";
import { type Inference, nodeContext, staticDims } from "../../ops/inference/infer.js";

/** ONNX Runtime's own operators on the blocked layout; its CPU provider only. */
export const BLOCKED_DOMAIN = "com.microsoft.nchwc";

/** Its own operators on plain values. */
export const MICROSOFT_DOMAIN = "com.microsoft";

/** The versions of both, for graphs on the blocked layout. */
export const runtimeOpsets: readonly (readonly [string, number])[] = [
  [BLOCKED_DOMAIN, 1],
  [MICROSOFT_DOMAIN, 1],
];

/** ReorderInput pads to whole blocks by itself, but takes only multiples of so many channels. */
const REORDERED_CHANNELS = 4;

/** Where a convolution reads; strides and dilations are 1 and pads 0 by default. */
export interface ConvWindow {
  readonly kernel: readonly number[];
  readonly strides?: readonly number[];
  readonly dilations?: readonly number[];
  readonly pads?: readonly number[];
}

/** A blocked convolution and what it does besides; all of it in the same pass over memory. */
export interface BlockedConv extends ConvWindow {
  readonly x: string;
  /** Arranged for the algorithm the runtime will choose: see `filters.ts`. */
  readonly filter: string;
  readonly bias?: string;
  readonly sum?: string;
  readonly groups?: number;
  /** Dimensions of the output; its channels a multiple of the block. */
  readonly output: readonly number[];
  readonly activation?: Activation;
}

/** A convolution with the same kernel for every channel. */
interface SameKernel extends ConvWindow {
  /** Height and width of the result. */
  readonly output: readonly number[];
  readonly sum?: string;
  readonly activation?: Activation;
}

/** What a convolution does last, elementwise. */
export type Activation =
  | { readonly op: "Relu" }
  | { readonly op: "LeakyRelu"; readonly alpha: number }
  | { readonly op: "Clip"; readonly low: number; readonly high: number };

export const RELU: Activation = { op: "Relu" };
export const CLIP_01: Activation = { op: "Clip", low: 0, high: 1 };
/** |x| */
export const ABSOLUTE: Activation = { op: "LeakyRelu", alpha: -1 };

function activationParameters(activation: Activation): readonly number[] {
  switch (activation.op) {
    case "Relu":
      return [];
    case "LeakyRelu":
      return [activation.alpha];
    case "Clip":
      return [activation.low, activation.high];
  }
}

function activationAttributes(activation: Activation): Readonly<Record<string, Attribute>> {
  return {
    activation: text(activation.op),
    activation_params: floats(activationParameters(activation)),
  };
}

/**
 * The values of a graph in up to two layouts: plain [N, C, H, W], and blocked [N, C/b, H, W, b] with the
 * channels padded with zeros to a multiple of the block b. Each is made from the other when it is asked for.
 * A blocked value keeps four nominal dimensions, as the runtime's own blocked operators want it.
 */
export class Layouts {
  /** By the name of a value x - mean(x) that is kept as x': the mean of x' [C], still to be subtracted. */
  readonly residualMeans = new Map<string, string>();
  private readonly plainNames = new Map<string, string>();
  private readonly blockedNames = new Map<string, string>();
  private readonly shared = new Map<string, string>();

  /**
   * @param inferred of all values of the graph that is rewritten
   * @param uses how often each of its values is read
   */
  constructor(
    readonly b: TypedBuilder,
    readonly block: number,
    private readonly inferred: Inference,
    private readonly uses: ReadonlyMap<string, number>,
  ) {}

  dims(name: string): readonly number[] {
    return staticDims(this.inferred.types, name);
  }

  /** What is known of a node of the graph that is rewritten. */
  context(node: Node): NodeContext {
    return nodeContext(node, this.b.opset, this.inferred.types, this.inferred.values);
  }

  isImage(name: string): boolean {
    const type = this.inferred.types.get(name);
    return type?.elementType === "float32" && type.shape?.length === 4;
  }

  isBlocked(name: string): boolean {
    return this.blockedNames.has(name);
  }

  /** Channels with the padding. */
  padded(channels: number): number {
    return Math.ceil(channels / this.block) * this.block;
  }

  /** Dimensions of the blocked form. */
  blockedDims(name: string): readonly number[] {
    const [batch = 1, channels = 1, ...space] = this.dims(name);
    return [batch, this.padded(channels), ...space];
  }

  setPlain(name: string, value: string): void {
    this.plainNames.set(name, value);
  }

  setBlocked(name: string, value: string): void {
    this.blockedNames.set(name, value);
  }

  plain(name: string): string {
    const known = this.plainNames.get(name);
    if (known !== undefined) return known;
    const blocked = this.blockedNames.get(name);
    if (blocked === undefined) return name;
    const value = this.toPlain(blocked, this.dims(name));
    this.plainNames.set(name, value);
    return value;
  }

  blocked(name: string): string {
    const known = this.blockedNames.get(name);
    if (known !== undefined) return known;
    const value = this.toBlocked(this.plain(name), this.blockedDims(name));
    this.blockedNames.set(name, value);
    return value;
  }

  /** The value of `make`, made at the first call with this key. */
  once(key: string, make: () => string): string {
    const value = this.shared.get(key) ?? make();
    this.shared.set(key, value);
    return value;
  }

  /** From blocked to plain, dropping the padding beyond the channels of `dims`. */
  toPlain(blocked: string, dims: readonly number[]): string {
    return this.emit("ReorderOutput", [blocked], dims, {
      channels: int(dims[1] ?? 1),
      channels_last: int(0),
    });
  }

  /** From plain to blocked; `dims` are those of the result. */
  toBlocked(plain: string, dims: readonly number[]): string {
    const [, channels = 1] = this.b.dims(plain);
    const missing = (dims[1] ?? 1) - channels;
    const whole =
      channels % REORDERED_CHANNELS === 0 ? plain : zeroPad(this.b, plain, [0, 0, 0, 0, 0, missing, 0, 0]);
    return this.emit("ReorderInput", [whole], dims, { channels_last: int(0) });
  }

  /** Emits a blocked operator whose output has the given dimensions. */
  emit(
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
    const inputs = sum === undefined ? [x, filter, ...(bias === "" ? [] : [bias])] : [x, filter, bias, sum];
    return this.emit("Conv", inputs, options.output, {
      group: int(options.groups ?? 1),
      kernel_shape: ints(kernel),
      strides: ints(options.strides ?? [1, 1]),
      dilations: ints(options.dilations ?? [1, 1]),
      pads: ints(options.pads ?? [0, 0, 0, 0]),
      ...(activation === undefined ? {} : activationAttributes(activation)),
    });
  }

  /** x · gain + bias per channel (+ sum): a depthwise convolution with 1x1 kernels. `gain`, `bias`: padded [C]. */
  scale(
    x: string,
    gain: string,
    options: Pick<BlockedConv, "bias" | "sum" | "activation"> & { readonly pads?: readonly number[] } = {},
  ): string {
    const [batch = 1, channels = 1, height = 1, width = 1] = this.b.dims(x);
    const [top = 0, left = 0, bottom = 0, right = 0] = options.pads ?? [];
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
    const [batch = 1, channels = 1, ...space] = b.dims(x);
    const blocks = (batch * channels) / block;
    const images = this.conv({
      ...window,
      x: reshape(b, x, [blocks, block, ...space]),
      filter,
      ...(sum === undefined ? {} : { sum: reshape(b, sum, [blocks, block, ...output]) }),
      groups: block,
      output: [blocks, block, ...output],
    });
    return reshape(b, images, [batch, channels, ...output]);
  }

  /** Every element of a blocked image [N, C, H, W] repeated over a patch of the given size. */
  repeat(x: string, [rows = 1, columns = 1]: readonly number[]): string {
    const [batch = 1, channels = 1, height = 1, width = 1] = this.b.dims(x);
    return this.emit("Upsample", [x], [batch, channels, height * rows, width * columns], {
      scales: ints([1, 1, rows, columns]),
      mode: text("nearest"),
    });
  }

  /** A blocked image without so many of its first and last rows and columns. */
  withoutEdges(x: string, [top = 0, left = 0, bottom = 0, right = 0]: readonly number[]): string {
    if (top + left + bottom + right === 0) return x;
    const [batch = 1, channels = 1, height = 1, width = 1] = this.b.dims(x);
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
    const [batch = 1, padded = 1, height = 1, width = 1] = this.b.dims(x);
    const pooled = this.emit("GlobalAveragePool", [x], [batch, padded, 1, 1]);
    const mean = reduceMean(this.b, reshape(this.b, pooled, [batch, padded]), [0], false);
    return this.cut(this.times(mean, batch * height * width), channels);
  }

  /**
   * Σ over batch and space of x · y by channel: a depthwise convolution in which every channel of every image
   * is a group of its own, x its input and y its kernel.
   */
  channelDot(x: string, y: string, channels: number): string {
    const [batch = 1, padded = 1, height = 1, width = 1] = this.b.dims(x);
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
    const [channels = 1] = this.b.dims(x);
    const missing = this.padded(channels) - channels;
    return missing === 0 ? x : zeroPad(this.b, x, [0, missing]);
  }

  /** A constant vector of whole blocks. */
  fill(channels: number, value: number): string {
    const size = this.padded(channels);
    const make = (): string => this.b.floats(`fill_${value}`, [size], new Float32Array(size).fill(value));
    return this.once(`fill ${size} ${value}`, make);
  }

  /**
   * The node that computes the blocked form of `name`, if it is a convolution that nothing else reads and to
   * whose end something can still be added.
   */
  openConv(name: string): Node | undefined {
    if (this.uses.get(name) !== 1 || this.plainNames.has(name)) return undefined;
    const blocked = this.blockedNames.get(name);
    const node = this.b.nodes.findLast((each) => blocked !== undefined && each.outputs.includes(blocked));
    const isConv = node?.op === "Conv" && node.domain === BLOCKED_DOMAIN;
    return isConv && !node.attributes.has("activation") ? node : undefined;
  }

  /** Puts a changed node in place of `node`, last, so that it may read whatever exists by now. */
  replaceLast(node: Node, changes: Partial<Pick<Node, "inputs" | "attributes">>): void {
    this.b.nodes.splice(this.b.nodes.indexOf(node), 1);
    this.b.nodes.push({ ...node, ...changes });
  }

  activate(node: Node, activation: Activation): void {
    this.replaceLast(node, {
      attributes: new Map([...node.attributes, ...Object.entries(activationAttributes(activation))]),
    });
  }
}
