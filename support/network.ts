import assert from "node:assert/strict";
import { runGraph } from "../src/execute/node.js";
import { int, ints } from "../src/graph/attributes.js";
import { elementCount, float32Data, float32Tensor } from "../src/graph/tensor.js";
import type { Attribute, Graph, Shape, Tensor } from "../src/graph/types.js";
import { TypedBuilder } from "../src/ops/inference/builder.js";
import { verifyTypes } from "../src/ops/inference/verify.js";
import { randomSource } from "./opcase.js";

export interface ConvOptions {
  readonly kernel?: number;
  readonly stride?: number;
  readonly pad?: number;
  readonly group?: number;
  readonly bias?: boolean;
  /** Input channels (of a group) whose kernels are zero, and output channels all of whose kernels are. */
  readonly deadInputs?: readonly number[];
  readonly deadOutputs?: readonly number[];
  /** Write the weight as Reshape(MatMul(coefs, basis)) with this many basis kernels. */
  readonly basis?: number;
  /** Coefficients of these basis kernels are zero. */
  readonly deadBasis?: readonly number[];
}

/** Builds small random networks for tests; one input "x" with a symbolic batch axis. */
export class Network {
  readonly b: TypedBuilder;
  private readonly next: () => number;

  constructor(
    readonly seed: number,
    private readonly inputShape: readonly number[] = [3, 6, 6],
    opset = 17,
    declared: Shape = ["batch", ...inputShape],
  ) {
    this.b = new TypedBuilder(opset);
    this.next = randomSource(seed);
    this.b.declare("x", { elementType: "float32", shape: declared });
  }

  uniform(count: number, low = -1, high = 1): Float32Array {
    return Float32Array.from({ length: count }, () => low + (high - low) * this.next());
  }

  parameter(stem: string, dims: readonly number[], low = -1, high = 1): string {
    return this.b.floats(stem, dims, this.uniform(elementCount(dims), low, high));
  }

  channels(value: string): number {
    const dim = this.b.types.get(value)?.shape?.[1];
    assert.ok(typeof dim === "number", `channels of ${value}`);
    return dim;
  }

  op(op: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    return this.b.emit(op, inputs, { attributes });
  }

  conv(x: string, outputs: number, options: ConvOptions = {}): string {
    const { kernel = 3, stride = 1, pad = 0, group = 1, bias = false } = options;
    const perGroup = this.channels(x) / group;
    const weight = this.weight(outputs, perGroup, kernel, options);
    const inputs = bias ? [x, weight, this.parameter("bias", [outputs])] : [x, weight];
    return this.op("Conv", inputs, {
      strides: ints([stride, stride]),
      pads: ints([pad, pad, pad, pad]),
      group: int(group),
    });
  }

  private weight(outputs: number, inputs: number, kernel: number, options: ConvOptions): string {
    const { deadInputs = [], deadOutputs = [], deadBasis = [], basis } = options;
    const length = basis ?? kernel * kernel;
    // Keeps the variance of deep networks near one.
    const bound = Math.sqrt(3 / (inputs * kernel * kernel));
    const rows = this.uniform(outputs * inputs * length, -bound, bound).map((value, at) => {
      const k = Math.floor(at / (inputs * length));
      const c = Math.floor(at / length) % inputs;
      const dead =
        deadOutputs.includes(k) ||
        deadInputs.includes(c) ||
        (basis !== undefined && deadBasis.includes(at % length));
      return dead ? 0 : value;
    });
    if (basis === undefined) return this.b.floats("weight", [outputs, inputs, kernel, kernel], rows);
    const coefs = this.b.floats("coefs", [outputs, inputs, basis], rows);
    const product = this.op("MatMul", [coefs, this.parameter("basis", [basis, kernel * kernel])]);
    return this.op("Reshape", [product, this.b.axes([outputs, inputs, kernel, kernel])]);
  }

  /** BatchNormalization with random statistics; `bias` fixes the shift of every channel. */
  norm(x: string, bias?: readonly number[]): string {
    const count = this.channels(x);
    return this.op("BatchNormalization", [
      x,
      this.parameter("scale", [count], 0.5, 1.5),
      bias === undefined ? this.parameter("shift", [count]) : this.b.floats("shift", [count], bias),
      this.parameter("mean", [count]),
      this.parameter("variance", [count], 0.5, 1.5),
    ]);
  }

  relu(x: string): string {
    return this.op("Relu", [x]);
  }

  gemm(x: string, outputs: number, deadInputs: readonly number[] = []): string {
    const features = this.channels(x);
    const weight = this.uniform(outputs * features).map((value, at) =>
      deadInputs.includes(at % features) ? 0 : value,
    );
    const inputs = [
      x,
      this.b.floats("matrix", [outputs, features], weight),
      this.parameter("offset", [outputs]),
    ];
    return this.op("Gemm", inputs, { transB: int(1) });
  }

  /** The graph with these values as outputs. */
  graph(outputs: readonly string[]): Graph {
    const info = (name: string) => ({ name, type: this.b.types.get(name) });
    return {
      name: "network",
      opsets: new Map([["", this.b.opset]]),
      inputs: [info("x")],
      outputs: [...new Set(outputs)].map(info),
      nodes: this.b.nodes,
      initializers: this.b.initializers,
      valueInfo: new Map(),
      metadata: new Map(),
    };
  }

  feeds(batch = 2): ReadonlyMap<string, Tensor> {
    const dims = [batch, ...this.inputShape];
    return new Map([["x", float32Tensor(dims, this.uniform(elementCount(dims)))]]);
  }
}

/**
 * Checks that two graphs are well-formed and compute the same in ONNX Runtime: |a - b| <= absolute + 1e-3 * |a|. The
 * default of 1e-4 leaves room for float32 sums in another order and nothing else.
 */
export async function assertSameOutputs(
  expected: Graph,
  actual: Graph,
  feeds: ReadonlyMap<string, Tensor>,
  absolute = 1e-4,
): Promise<void> {
  verifyTypes(actual);
  // Not optimized: ONNX Runtime 1.30 fuses Pad into a pooling node behind it and then rejects its own pads.
  const options = { optimization: "disabled", threads: 1 } as const;
  const want = await runGraph(expected, feeds, options);
  assertNearOutputs(want, await runGraph(actual, feeds, options), absolute);
}

/** Checks outputs, by name, element by element: |a - b| <= absolute + 1e-3 * |a|. */
export function assertNearOutputs(
  want: ReadonlyMap<string, Tensor>,
  got: ReadonlyMap<string, Tensor>,
  absolute = 1e-4,
): void {
  assert.deepEqual([...got.keys()].sort(), [...want.keys()].sort());
  for (const [name, tensor] of want) {
    const other = got.get(name);
    assert.ok(other !== undefined);
    assert.deepEqual(other.dims, tensor.dims, `dimensions of ${name}`);
    const data = float32Data(other);
    float32Data(tensor).forEach((value, at) => {
      const difference = Math.abs(value - (data[at] ?? Number.NaN));
      assert.ok(
        difference <= absolute + 1e-3 * Math.abs(value),
        `${name}[${at}]: ${value} became ${data[at]}`,
      );
    });
  }
}
