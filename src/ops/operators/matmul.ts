import { at, last } from "../../graph/at.js";
import { matMulChannels } from "../channels/gemm.js";
import type { GradientContext, OpDefinition } from "../core/definition.js";
import { gemm, matMul, reshape, transpose } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { asColumn, asRow, matMulCost, matMulShape } from "../families/matrix_shape.js";

/**
 * Matrix product as NumPy's matmul (ONNX MatMul, opset 1 and later): A [..., M, K], B [..., K, N] ->
 * y [..., M, N] with broadcast leading axes; a factor of rank 1 is a row (A) or a column (B), whose unit
 * axis the output does not have.
 */
export const MatMul: OpDefinition = {
  type: "MatMul",
  roundsIntegers: true,
  constants: { trained: [0, 1], settings: [] },
  weight: {
    outputAxis: () => 1,
    groups: () => 1,
    takesBias: false,
    noBasis: "a matrix product has no kernels to share",
  },
  scaleAxes: { 0: () => 0, 1: (_, dims) => dims.length - 1 },
  shape: matMulShape,
  gradient: matMulGradient,
  channels: matMulChannels,
  cost: matMulCost,
};

/** A factor or gradient as (stacked) matrices, i.e. of rank 2 or more. */
interface Matrices {
  readonly name: string;
  readonly dims: readonly number[];
}

/** dA = dy·Bᵀ, dB = Aᵀ·dy; over broadcast leading axes the driver sums. */
function matMulGradient(context: GradientContext): readonly (string | undefined)[] {
  const { builder, node, outputGradients, needs, dims } = context;
  const [a, b] = node.inputs;
  const [dy] = outputGradients;
  if (dy === undefined || a === undefined || b === undefined) return [];
  const left = matrices(builder, a, asRow(dims(a)) as readonly number[]);
  const right = matrices(builder, b, asColumn(dims(b)) as readonly number[]);
  const batch = dims(dy).slice(0, dims(dy).length - Number(dims(a).length > 1) - Number(dims(b).length > 1));
  const product = matrices(builder, dy, [...batch, at(left.dims, left.dims.length - 2), last(right.dims)]);
  const gradientB = needs[1] === true ? rightGradient(builder, left, right, product) : undefined;
  return [
    needs[0] === true ? leftGradient(builder, left, right, product) : undefined,
    gradientB === undefined || dims(b).length > 1
      ? gradientB
      : reshape(builder, gradientB, builder.dims(gradientB).slice(0, -1)),
  ];
}

function matrices(b: Emitter, name: string, dims: readonly number[]): Matrices {
  return b.dims(name).length === dims.length ? { name, dims } : { name: reshape(b, name, dims), dims };
}

/** All matrices of the stack below each other, [rows, columns]. */
function stacked(b: Emitter, { name, dims }: Matrices): string {
  return dims.length === 2 ? name : reshape(b, name, [-1, last(dims)]);
}

function transposed(b: Emitter, { name, dims }: Matrices): string {
  const rank = dims.length;
  return transpose(b, name, [...dims.slice(2).keys(), rank - 1, rank - 2]);
}

/** dA = dy·Bᵀ; one Gemm when all matrices of A meet the same B. */
function leftGradient(b: Emitter, left: Matrices, right: Matrices, dy: Matrices): string {
  if (right.dims.length > 2) return matMul(b, dy.name, transposed(b, right));
  const gradient = gemm(b, stacked(b, dy), right.name, { transB: true });
  return left.dims.length === 2 ? gradient : reshape(b, gradient, left.dims);
}

/** dB = Aᵀ·dy; one Gemm, which also sums over the matrices of A, when they all meet the same B. */
function rightGradient(b: Emitter, left: Matrices, right: Matrices, dy: Matrices): string {
  if (right.dims.length > 2) return matMul(b, transposed(b, left), dy.name);
  return gemm(b, stacked(b, left), stacked(b, dy), { transA: true });
}
