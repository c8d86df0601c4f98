import { elementCount, float32Data, float32Tensor } from "../src/graph/tensor.js";
import type { Graph, Tensor } from "../src/graph/types.js";

/** Shares, from 0 to 1, of what becomes zero in a parameter. */
export interface ZeroShares {
  /** Slices along the first axis: output channels, elements of BatchNormalization's and bias vectors. */
  readonly outputs: number;
  /** Slices along the second axis: input channels. */
  readonly inputs: number;
  /** Slices along the last axis: coefficients of a basis kernel. */
  readonly last: number;
  readonly elements: number;
}

/** Inputs of a node that hold parameters to be zeroed. */
const parameterInputs: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Gemm: [1, 2],
  MatMul: [0, 1],
  BatchNormalization: [1, 2],
  InstanceNormalization: [1, 2],
  LayerNormalization: [1, 2],
};

/** The network with random channels and coefficients of its parameters set to zero. */
export function withZeros(graph: Graph, shares: ZeroShares, next: () => number): Graph {
  const names = new Set(
    graph.nodes.flatMap((node) => (parameterInputs[node.op] ?? []).map((input) => node.inputs[input] ?? "")),
  );
  const initializers = new Map(graph.initializers);
  for (const name of names) {
    const tensor = initializers.get(name);
    if (tensor?.type === "float32" && tensor.dims.length > 0)
      initializers.set(name, zeroed(tensor, shares, next));
  }
  return { ...graph, initializers };
}

function zeroed(tensor: Tensor, shares: ZeroShares, next: () => number): Tensor {
  const { dims } = tensor;
  const draw = (count: number, share: number): readonly boolean[] =>
    Array.from({ length: count }, () => next() < share);
  const [rows = 1, columns = 1] = dims;
  const last = dims.at(-1) ?? 1;
  const dead = {
    rows: draw(rows, shares.outputs),
    columns: draw(columns, shares.inputs),
    last: draw(last, shares.last),
  };
  const perRow = elementCount(dims.slice(1));
  const perColumn = elementCount(dims.slice(2));
  const isMatrix = dims.length > 1;
  const data = float32Data(tensor).map((value, at) => {
    const gone =
      dead.rows[Math.floor(at / perRow)] === true ||
      (isMatrix && dead.columns[Math.floor(at / perColumn) % columns] === true) ||
      (dims.length > 2 && dead.last[at % last] === true) ||
      next() < (isMatrix ? shares.elements : 0);
    return gone ? 0 : value;
  });
  return float32Tensor(dims, data);
}
