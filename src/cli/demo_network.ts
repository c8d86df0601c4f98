import { imagenetPreprocessing, PREPROCESSING_KEY, type Preprocessing } from "../data/preprocessing.js";
import { Random } from "../data/random.js";
import { int, ints } from "../graph/attributes.js";
import { elementCount } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";
import { TypedBuilder } from "../ops/builder.js";
import { add } from "../ops/emit.js";

const OPSET = 17;
const INPUT = "images";
const OUTPUT = "logits";

/** What the demo's network expects of its images. */
export const demoPreprocessing: Preprocessing = {
  ...imagenetPreprocessing,
  mean: [0.5, 0.5, 0.5],
  std: [0.25, 0.25, 0.25],
};

export interface DemoNetworkOptions {
  readonly classes: number;
  readonly seed: number;
}

/**
 * A small untrained residual network: images [N, 3, 32, 32] -> logits [N, classes]. A stem of 16 channels,
 * then 32 channels at 16x16 and 64 at 8x8, each reached by a convolution of stride 2 and followed by a
 * residual block. 12.2 million multiply-accumulates for an image.
 */
export function demoNetwork({ classes, seed }: DemoNetworkOptions): Graph {
  const net = new NetworkBuilder(seed);
  const stem = net.convUnit("stem", net.images(), { inputs: 3, outputs: 16, stride: 1 });
  const middle = net.residual(
    "block1",
    net.convUnit("down1", stem, { inputs: 16, outputs: 32, stride: 2 }),
    32,
  );
  const deep = net.residual(
    "block2",
    net.convUnit("down2", middle, { inputs: 32, outputs: 64, stride: 2 }),
    64,
  );
  return net.classifier(deep, 64, classes);
}

interface ConvOptions {
  readonly inputs: number;
  readonly outputs: number;
  readonly stride: number;
}

class NetworkBuilder {
  private readonly b = new TypedBuilder(OPSET);
  private readonly random: Random;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  images(): string {
    return this.b.declare(INPUT, { elementType: "float32", shape: ["N", 3, 32, 32] });
  }

  /** Conv 3x3 - BatchNormalization - Relu. */
  convUnit(name: string, x: string, options: ConvOptions): string {
    return this.relu(name, this.convNorm(name, x, options));
  }

  /** relu(x + two convolutions of x), [N, channels, H, W] -> the same. */
  residual(name: string, x: string, channels: number): string {
    const options = { inputs: channels, outputs: channels, stride: 1 };
    const first = this.convUnit(`${name}.conv1`, x, options);
    return this.relu(name, add(this.b, x, this.convNorm(`${name}.conv2`, first, options)));
  }

  classifier(x: string, features: number, classes: number): Graph {
    const { b } = this;
    const pooled = b.emit("Flatten", [b.emit("GlobalAveragePool", [x])], { attributes: { axis: int(1) } });
    const weight = this.weight("classifier.weight", [classes, features], 1 / features);
    const bias = this.constant("classifier.bias", classes, 0);
    b.emit("Gemm", [pooled, weight, bias], { attributes: { transB: int(1) }, outputs: [OUTPUT] });
    const info = (name: string) => ({ name, type: b.types.get(name) });
    return {
      name: "penni_demo",
      opsets: new Map([["", OPSET]]),
      inputs: [info(INPUT)],
      outputs: [info(OUTPUT)],
      nodes: b.nodes,
      initializers: b.initializers,
      valueInfo: new Map(),
      metadata: new Map([[PREPROCESSING_KEY, JSON.stringify(demoPreprocessing)]]),
    };
  }

  private relu(name: string, x: string): string {
    return this.b.emit("Relu", [x], { hint: `${name}.relu` });
  }

  private convNorm(name: string, x: string, { inputs, outputs, stride }: ConvOptions): string {
    // He et al. 2015: variance 2 / fan-in keeps the activations' scale through layers with Relu.
    const weight = this.weight(`${name}.weight`, [outputs, inputs, 3, 3], 2 / (9 * inputs));
    const convolved = this.b.emit("Conv", [x, weight], {
      attributes: { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]), strides: ints([stride, stride]) },
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

  private constant(name: string, count: number, value: number): string {
    return this.b.floats(name, [count], new Float32Array(count).fill(value));
  }

  /** Uniformly distributed with mean 0 and the given variance. */
  private weight(name: string, dims: readonly number[], variance: number): string {
    const bound = Math.sqrt(3 * variance);
    const values = Float32Array.from({ length: elementCount(dims) }, () =>
      this.random.between(-bound, bound),
    );
    return this.b.floats(name, dims, values);
  }
}
