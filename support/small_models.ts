import { attributes, int, ints } from "../src/graph/attributes.js";
import { elementCount, float32Tensor } from "../src/graph/tensor.js";
import type { Attribute, Graph, Node, Tensor } from "../src/graph/types.js";
import { randomSource } from "./opcase.js";

/** A float32 tensor of random numbers in [-1, 1), the same for the same seed. */
export function randomTensor(dims: readonly number[], seed: number): Tensor {
  const next = randomSource(seed);
  return float32Tensor(
    dims,
    Array.from({ length: elementCount(dims) }, () => 2 * next() - 1),
  );
}

export interface ConvSpec {
  readonly name: string;
  readonly input: string;
  readonly weight: string;
  readonly bias?: string;
  readonly kernel: number;
  readonly stride?: number;
  readonly groups?: number;
}

/** A Conv node with "same" padding for odd kernels; its output is called after the node. */
export function conv(spec: ConvSpec): Node {
  const pad = Math.floor(spec.kernel / 2);
  return {
    name: `${spec.name}/Conv`,
    op: "Conv",
    domain: "",
    inputs: [spec.input, spec.weight, ...(spec.bias === undefined ? [] : [spec.bias])],
    outputs: [spec.name],
    attributes: attributes({
      kernel_shape: ints([spec.kernel, spec.kernel]),
      pads: ints([pad, pad, pad, pad]),
      strides: ints([spec.stride ?? 1, spec.stride ?? 1]),
      group: int(spec.groups ?? 1),
    }),
  };
}

/** A node named after its only output. */
export function node(
  op: string,
  inputs: readonly string[],
  output: string,
  values: Readonly<Record<string, Attribute>> = {},
): Node {
  return {
    name: `${output}/${op}`,
    op,
    domain: "",
    inputs,
    outputs: [output],
    attributes: attributes(values),
  };
}

/** A graph of opset 17 with one float32 input "x" and one output "y", which the last node computes. */
export function smallGraph(
  inputDims: readonly (number | string)[],
  nodes: readonly Node[],
  initializers: Readonly<Record<string, Tensor>>,
): Graph {
  return {
    name: "small",
    opsets: new Map([["", 17]]),
    inputs: [{ name: "x", type: { elementType: "float32", shape: inputDims } }],
    outputs: [{ name: "y", type: undefined }],
    nodes,
    initializers: new Map(Object.entries(initializers)),
    valueInfo: new Map(),
    metadata: new Map(),
  };
}

/**
 * Conv 3x3 (2 -> 4, bias) - BatchNormalization - Relu - Conv 1x1 (4 -> 3) - depthwise Conv 3x3, stride 2 - Gemm
 * to 5 classes, for images [N, 2, 8, 8].
 */
export function smallNetwork(batch: number | string = "N"): Graph {
  return smallGraph(
    [batch, 2, 8, 8],
    [
      conv({ name: "c1", input: "x", weight: "w1", bias: "b1", kernel: 3 }),
      node("BatchNormalization", ["c1", "gamma", "beta", "mean", "variance"], "n1"),
      node("Relu", ["n1"], "r1"),
      conv({ name: "c2", input: "r1", weight: "w2", kernel: 1 }),
      conv({ name: "c3", input: "c2", weight: "w3", kernel: 3, stride: 2, groups: 3 }),
      node("Flatten", ["c3"], "flat", { axis: int(1) }),
      node("Gemm", ["flat", "wfc", "bfc"], "y", { transB: int(1) }),
    ],
    {
      w1: randomTensor([4, 2, 3, 3], 1),
      b1: randomTensor([4], 2),
      gamma: randomTensor([4], 3),
      beta: randomTensor([4], 4),
      mean: randomTensor([4], 5),
      variance: float32Tensor([4], [0.5, 1, 1.5, 2]),
      w2: randomTensor([3, 4, 1, 1], 6),
      w3: randomTensor([3, 1, 3, 3], 7),
      wfc: randomTensor([5, 48], 8),
      bfc: randomTensor([5], 9),
    },
  );
}
