import { Random } from "../data/random.js";
import { int, ints } from "../graph/attributes.js";
import { elementCount } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";
import { TypedBuilder } from "../ops/builder.js";

const OPSET = 17;
const INPUT = "images";
const OUTPUT = "logits";

export interface ConvOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** Side of the square kernel (3); padded so that stride 1 keeps the size. */
  readonly kernel?: number;
  /** Default: 1. */
  readonly stride?: number;
  /** Whether the convolution has a bias of its own (false). */
  readonly bias?: boolean;
  /** Groups of the convolution (1). */
  readonly groups?: number;
}

export interface ClassifierHead {
  readonly name: string;
  readonly features: number;
  readonly classes: number;
  readonly metadata?: ReadonlyMap<string, string>;
}

/** Builds untrained classifiers of images [N, 3, side, side] layer by layer; the same seed gives the same weights. */
export class ClassifierBuilder {
  readonly b = new TypedBuilder(OPSET);
  private readonly random: Random;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  /** Declares the input, images of CIFAR-10's size unless a side is given. */
  images(side = 32): string {
    return this.b.declare(INPUT, { elementType: "float32", shape: ["N", 3, side, side] });
  }

  relu(name: string, x: string): string {
    return this.b.emit("Relu", [x], { hint: `${name}.relu` });
  }

  /** Conv - BatchNormalization - Relu. */
  convUnit(name: string, x: string, options: ConvOptions): string {
    return this.relu(name, this.convNorm(name, x, options));
  }

  /** Conv - BatchNormalization. */
  convNorm(name: string, x: string, options: ConvOptions): string {
    const { inputs, outputs, kernel = 3, stride = 1, bias = false, groups = 1 } = options;
    const pad = (kernel - 1) / 2;
    // He et al. 2015: variance 2 / fan-in keeps the activations' scale through layers with Relu.
    const perGroup = inputs / groups;
    const variance = 2 / (kernel * kernel * perGroup);
    const weights = [
      this.weight(`${name}.weight`, [outputs, perGroup, kernel, kernel], variance),
      ...(bias ? [this.constant(`${name}.bias`, outputs, 0)] : []),
    ];
    const convolved = this.b.emit("Conv", [x, ...weights], {
      attributes: {
        kernel_shape: ints([kernel, kernel]),
        pads: ints([pad, pad, pad, pad]),
        strides: ints([stride, stride]),
        ...(groups === 1 ? {} : { group: int(groups) }),
      },
      hint: `${name}.conv`,
    });
    const statistic = (part: string, value: number) => this.constant(`${name}.bn.${part}`, outputs, value);
    const statistics = [
      statistic("scale", 1),
      statistic("shift", 0),
      statistic("mean", 0),
      statistic("variance", 1),
    ];
    return this.b.emit("BatchNormalization", [convolved, ...statistics], { hint: `${name}.bn` });
  }

  /** Mean over all positions, then one linear layer to the logits [N, classes]; returns the whole network. */
  classifier(x: string, { name, features, classes, metadata = new Map() }: ClassifierHead): Graph {
    const { b } = this;
    const pooled = b.emit("Flatten", [b.emit("GlobalAveragePool", [x])], { attributes: { axis: int(1) } });
    const weight = this.weight("classifier.weight", [classes, features], 1 / features);
    const bias = this.constant("classifier.bias", classes, 0);
    b.emit("Gemm", [pooled, weight, bias], { attributes: { transB: int(1) }, outputs: [OUTPUT] });
    const info = (value: string) => ({ name: value, type: b.types.get(value) });
    return {
      name,
      opsets: new Map([["", OPSET]]),
      inputs: [info(INPUT)],
      outputs: [info(OUTPUT)],
      nodes: b.nodes,
      initializers: b.initializers,
      valueInfo: new Map(),
      metadata,
    };
  }

  private constant(name: string, count: number, value: number): string {
    return this.b.floats(name, [count], new Float32Array(count).fill(value));
  }

  /** Uniformly distributed with mean 0 and the given variance. */
  private weight(name: string, dims: readonly number[], variance: number): string {
    const bound = Math.sqrt(3 * variance);
    const values = new Float32Array(elementCount(dims));
    for (let index = 0; index < values.length; index++) values[index] = this.random.between(-bound, bound);
    return this.b.floats(name, dims, values);
  }
}
