import { float, int, ints } from "../../src/graph/attributes.js";
import { elementCount, int64Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { Network } from "../network.js";

export type Pair = readonly [number, number];

export interface LayerOptions {
  /** Default: 3x3. */
  readonly kernel?: number | Pair;
  readonly stride?: number;
  /** Default: keeps the size at stride 1. */
  readonly pad?: number | Pair;
  readonly dilation?: number;
  readonly group?: number;
  readonly bias?: boolean;
}

export interface PoolOptions {
  readonly kernel: number;
  readonly stride: number;
  readonly pad?: number;
  readonly ceil?: boolean;
}

const pair = (value: number | Pair): Pair => (typeof value === "number" ? [value, value] : value);

/** Layers as PyTorch's exporter writes them, with random weights. */
export class Layers extends Network {
  /** Conv with a weight that keeps the variance. */
  layer(x: string, outputs: number, options: LayerOptions = {}): string {
    const { stride = 1, dilation = 1, group = 1, bias = false } = options;
    const kernel = pair(options.kernel ?? 3);
    const same: Pair = [((kernel[0] - 1) * dilation) >> 1, ((kernel[1] - 1) * dilation) >> 1];
    const pad = options.pad === undefined ? same : pair(options.pad);
    const dims = [outputs, this.channels(x) / group, ...kernel];
    const bound = Math.sqrt(6 / elementCount(dims.slice(1)));
    const inputs = [x, this.parameter("weight", dims, -bound, bound)];
    if (bias) inputs.push(this.parameter("bias", [outputs], -0.2, 0.2));
    return this.op("Conv", inputs, {
      kernel_shape: ints(kernel),
      strides: ints([stride, stride]),
      dilations: ints([dilation, dilation]),
      pads: ints([...pad, ...pad]),
      group: int(group),
    });
  }

  /** Conv - BatchNormalization. */
  normalized(x: string, outputs: number, options: LayerOptions = {}): string {
    return this.batchNorm(this.layer(x, outputs, options));
  }

  /** BatchNormalization whose statistics leave about half of the values positive. */
  batchNorm(x: string): string {
    const count = this.channels(x);
    const inputs = [
      this.parameter("scale", [count], 0.5, 1.5),
      this.parameter("shift", [count], -0.3, 0.5),
      this.parameter("mean", [count], -0.1, 0.1),
      this.parameter("variance", [count], 0.5, 1.5),
    ];
    return this.op("BatchNormalization", [x, ...inputs], { epsilon: float(1e-5), momentum: float(0.9) });
  }

  /** Conv - BatchNormalization - Relu. */
  unit(x: string, outputs: number, options: LayerOptions = {}): string {
    return this.relu(this.normalized(x, outputs, options));
  }

  maxPool(x: string, { kernel, stride, pad = 0, ceil = false }: PoolOptions): string {
    return this.op("MaxPool", [x], {
      kernel_shape: ints([kernel, kernel]),
      strides: ints([stride, stride]),
      pads: ints([pad, pad, pad, pad]),
      ceil_mode: int(ceil ? 1 : 0),
    });
  }

  averagePool(x: string, { kernel, stride, pad = 0 }: PoolOptions): string {
    return this.op("AveragePool", [x], {
      kernel_shape: ints([kernel, kernel]),
      strides: ints([stride, stride]),
      pads: ints([pad, pad, pad, pad]),
      count_include_pad: int(1),
    });
  }

  concat(parts: readonly string[], axis = 1): string {
    return this.op("Concat", parts, { axis: int(axis) });
  }

  add(x: string, y: string): string {
    return this.op("Add", [x, y]);
  }

  mul(x: string, y: string): string {
    return this.op("Mul", [x, y]);
  }

  globalPool(x: string): string {
    return this.op("GlobalAveragePool", [x]);
  }

  /** GlobalAveragePool - Flatten - Gemm. */
  classifier(x: string, classes = 4): string {
    return this.linear(this.op("Flatten", [this.globalPool(x)], { axis: int(1) }), classes);
  }

  /** Gemm with the weight transposed, on [N, features]. */
  linear(x: string, outputs: number): string {
    const features = this.channels(x);
    const bound = Math.sqrt(6 / features);
    const weight = this.parameter("weight", [outputs, features], -bound, bound);
    return this.op("Gemm", [x, weight, this.parameter("bias", [outputs], -0.2, 0.2)], { transB: int(1) });
  }

  /** Parts of axis 1 of the given sizes. */
  split(x: string, sizes: readonly number[]): readonly string[] {
    const outputs = sizes.map(() => this.b.freshName("part"));
    this.b.emit("Split", [x, this.b.axes(sizes)], { attributes: { axis: int(1) }, outputs });
    return outputs;
  }

  transpose(x: string, perm: readonly number[]): string {
    return this.op("Transpose", [x], { perm: ints(perm) });
  }

  scalar(value: number): string {
    return this.b.scalar(value);
  }

  /** `x.view(x.shape[0], ...dims)` with a dynamic batch, as the exporter writes it. */
  view(x: string, dims: readonly number[]): string {
    const shape = this.op("Shape", [x]);
    const zero = this.b.constant("zero", int64Tensor([], [0]));
    const batch = this.op("Gather", [shape, zero], { axis: int(0) });
    const rows = this.op("Unsqueeze", [batch, this.b.axes([0])]);
    const parts = dims.map((dim) => this.b.axes([dim]));
    return this.op("Reshape", [x, this.op("Concat", [rows, ...parts], { axis: int(0) })]);
  }

  /** Squeeze-and-Excitation (Hu et al. 2018): the gate is a Sigmoid or a HardSigmoid of PyTorch's slope. */
  squeezeExcite(
    x: string,
    squeezed: number,
    gate: "Sigmoid" | "HardSigmoid",
    inner: (x: string) => string,
  ): string {
    const hidden = inner(this.layer(this.globalPool(x), squeezed, { kernel: 1, bias: true }));
    const scores = this.layer(hidden, this.channels(x), { kernel: 1, bias: true });
    const attributes = gate === "HardSigmoid" ? { alpha: float(1 / 6), beta: float(0.5) } : {};
    return this.mul(this.op(gate, [scores], attributes), x);
  }

  /** SiLU, which the exporter writes as x · sigmoid(x). */
  silu(x: string): string {
    return this.mul(x, this.op("Sigmoid", [x]));
  }
}

/** One network of the zoo. */
export interface ZooNetwork {
  readonly graph: Graph;
  readonly net: Layers;
}

export function finished(net: Layers, ...outputs: readonly string[]): ZooNetwork {
  return { graph: net.graph(outputs), net };
}
