import type { ModelImageDims } from "../data/preprocessing.js";
import { Random } from "../data/random.js";
import { int, ints } from "../graph/attributes.js";
import { PenniError } from "../graph/errors.js";
import { elementCount } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";
import { TypedBuilder } from "../ops/inference/builder.js";

const OPSET = 17;
/** 1 GiB of weights: more than any of these networks is meant to have. */
const MOST_PARAMETERS = 2 ** 28;
const INPUT = "images";
const OUTPUT = "logits";

const CIFAR_IMAGE: ModelImageDims = [3, 32, 32];

export interface ConvOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** Side of the square kernel (3). */
  readonly kernel?: number;
  /** Default: 1. */
  readonly stride?: number;
  /** Zeros added on every side; by default so many that stride 1 keeps the size. */
  readonly pad?: number;
  /** Default: 1. */
  readonly groups?: number;
  /** Whether the convolution has a bias of its own (false). */
  readonly bias?: boolean;
}

/** Which pixels a pooling window sees. */
export interface PoolOptions {
  readonly kernel: number;
  readonly stride: number;
  /** Default: 0. */
  readonly pad?: number;
}

export interface LinearOptions {
  readonly inputs: number;
  readonly outputs: number;
}

export interface ClassifierHead {
  readonly name: string;
  readonly features: number;
  readonly classes: number;
  readonly metadata?: ReadonlyMap<string, string>;
}

/**
 * Builds untrained classifiers layer by layer; the same seed gives the same weights. Images come in as float32
 * [N, channels, height, width], 3x32x32 unless stated; logits [N, classes] come out.
 */
export class ClassifierBuilder {
  readonly b = new TypedBuilder(OPSET);
  private readonly random: Random;
  private parameters = 0;

  constructor(
    seed: number,
    private readonly image: ModelImageDims = CIFAR_IMAGE,
  ) {
    this.random = new Random(seed);
  }

  /** Declares the input. */
  images(): string {
    return this.b.declare(INPUT, { elementType: "float32", shape: ["N", ...this.image] });
  }

  relu(name: string, x: string): string {
    return this.b.emit("Relu", [x], { hint: `${name}.relu` });
  }

  /** min(max(x, 0), 6). */
  relu6(name: string, x: string): string {
    const bounds = [0, 6].map((bound) => this.b.scalar(bound));
    return this.b.emit("Clip", [x, ...bounds], { hint: `${name}.relu6` });
  }

  /** Conv - BatchNormalization - Relu. */
  convUnit(name: string, x: string, options: ConvOptions): string {
    return this.relu(name, this.convNorm(name, x, options));
  }

  /** Conv - BatchNormalization. */
  convNorm(name: string, x: string, options: ConvOptions): string {
    const { outputs } = options;
    const convolved = this.conv(name, x, options);
    const statistic = (part: string, value: number) => this.constant(`${name}.bn.${part}`, outputs, value);
    const statistics = [
      statistic("scale", 1),
      statistic("shift", 0),
      statistic("mean", 0),
      statistic("variance", 1),
    ];
    return this.b.emit("BatchNormalization", [convolved, ...statistics], { hint: `${name}.bn` });
  }

  conv(name: string, x: string, options: ConvOptions): string {
    const { inputs, outputs, kernel = 3, stride = 1, groups = 1, bias = false } = options;
    const pad = options.pad ?? (kernel - 1) / 2;
    const fanIn = (kernel * kernel * inputs) / groups;
    // He et al. 2015: variance 2 / fan-in keeps the activations' scale through layers with Relu.
    const weights = [
      this.weight(`${name}.weight`, [outputs, inputs / groups, kernel, kernel], 2 / fanIn),
      ...(bias ? [this.constant(`${name}.bias`, outputs, 0)] : []),
    ];
    return this.b.emit("Conv", [x, ...weights], {
      attributes: {
        kernel_shape: ints([kernel, kernel]),
        pads: ints([pad, pad, pad, pad]),
        strides: ints([stride, stride]),
        ...(groups === 1 ? {} : { group: int(groups) }),
      },
      hint: `${name}.conv`,
    });
  }

  maxPool(x: string, { kernel, stride, pad = 0 }: PoolOptions): string {
    return this.b.emit("MaxPool", [x], {
      attributes: {
        kernel_shape: ints([kernel, kernel]),
        strides: ints([stride, stride]),
        ...(pad === 0 ? {} : { pads: ints([pad, pad, pad, pad]) }),
      },
    });
  }

  /** H·W of a map [N, C, H, W]. */
  positions(x: string): number {
    const sides = this.b.types
      .get(x)
      ?.shape?.slice(2)
      .filter((side) => typeof side === "number");
    if (sides?.length === 2) return elementCount(sides);
    throw new PenniError("internal", `"${x}" has no known height and width`);
  }

  /** [N, C, H, W] -> [N, C·H·W]. */
  flatten(x: string): string {
    return this.b.emit("Flatten", [x], { attributes: { axis: int(1) } });
  }

  /** [N, inputs] -> [N, outputs]. */
  linear(name: string, x: string, { inputs, outputs }: LinearOptions): string {
    return this.b.emit("Gemm", this.linearInputs(name, x, { inputs, outputs }, 2 / inputs), {
      attributes: { transB: int(1) },
    });
  }

  /** Zeros a share of the features while the network is trained; in a file for inference it does nothing. */
  dropout(x: string, ratio: number): string {
    return this.b.emit("Dropout", [x, this.b.scalar(ratio)]);
  }

  /** Mean over all positions, then one linear layer to the logits; returns the whole network. */
  classifier(x: string, head: ClassifierHead): Graph {
    return this.finish(this.flatten(this.b.emit("GlobalAveragePool", [x])), head);
  }

  /** One linear layer from features [N, features] to the logits; returns the whole network. */
  finish(features: string, head: ClassifierHead): Graph {
    const { b } = this;
    const sizes = { inputs: head.features, outputs: head.classes };
    b.emit("Gemm", this.linearInputs("classifier", features, sizes, 1 / head.features), {
      attributes: { transB: int(1) },
      outputs: [OUTPUT],
    });
    const info = (value: string) => ({ name: value, type: b.types.get(value) });
    return {
      name: head.name,
      opsets: new Map([["", OPSET]]),
      inputs: [info(INPUT)],
      outputs: [info(OUTPUT)],
      nodes: b.nodes,
      initializers: b.initializers,
      valueInfo: new Map(),
      metadata: head.metadata ?? new Map(),
    };
  }

  private linearInputs(
    name: string,
    x: string,
    { inputs, outputs }: LinearOptions,
    variance: number,
  ): string[] {
    const weight = this.weight(`${name}.weight`, [outputs, inputs], variance);
    return [x, weight, this.constant(`${name}.bias`, outputs, 0)];
  }

  private constant(name: string, count: number, value: number): string {
    return this.b.floats(name, [count], new Float32Array(count).fill(value));
  }

  /** Uniformly distributed with mean 0 and the given variance. */
  private weight(name: string, dims: readonly number[], variance: number): string {
    this.parameters += elementCount(dims);
    if (this.parameters > MOST_PARAMETERS) {
      throw new PenniError("bad-option", "the network would be too large for its images and classes", {
        expected: `at most ${MOST_PARAMETERS.toLocaleString("en-US")} parameters`,
        found: `${this.parameters.toLocaleString("en-US")} up to "${name}"`,
        advice: "Choose smaller images, fewer classes or another network",
      });
    }
    const bound = Math.sqrt(3 * variance);
    const values = new Float32Array(elementCount(dims));
    for (let index = 0; index < values.length; index++) values[index] = this.random.between(-bound, bound);
    return this.b.floats(name, dims, values);
  }
}
