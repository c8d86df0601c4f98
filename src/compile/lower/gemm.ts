import { at, last, orDefault, present } from "../../graph/at.js";
import { floatAttribute } from "../../graph/attributes.js";
import { elementCount } from "../../graph/tensor.js";
import { isSet } from "../../ops/core/arguments.js";
import { broadcastStrides } from "../../ops/core/broadcast.js";
import { stridesOf } from "../../ops/core/dims.js";
import {
  type BiasStrides,
  columnsAtOnce,
  type DenseProduct,
  gemmKernel,
  packColumns,
} from "../kernels/gemm.js";
import type { Location, WeightLayout } from "../program.js";
import type { Lower, LoweringContext } from "./definition.js";
import { copyStrided, viewOf } from "./movement.js";

/** y = alpha op(x) . op(w) + beta b. */
export const lowerGemm: Lower = (context) => {
  const [rows, outputs] = matrixDims(context.outputDims());
  const isTransposed = isSet(context.node, "transA");
  const inputs = at(context.inputDims(0), isTransposed ? 0 : 1);
  const x = isTransposed ? transposedInput(context, 0) : context.read(0);
  const bias = context.hasInput(2) ? biasStrides(context.inputDims(2), [rows, outputs]) : undefined;
  const constant = context.constantData(1);
  const isTurned = isSet(context.node, "transB");
  const w =
    constant !== undefined
      ? packedColumns(context, { rows, inputs, outputs }, (input, output) =>
          present(constant[isTurned ? output * inputs + input : input * outputs + output]),
        )
      : isTurned
        ? transposedInput(context, 1)
        : context.read(1);
  const product: DenseProduct = {
    rows,
    inputs,
    outputs,
    isPacked: constant !== undefined,
    alpha: orDefault(floatAttribute(context.node, "alpha"), 1),
    beta: bias === undefined ? 1 : orDefault(floatAttribute(context.node, "beta"), 1),
    bias,
    batch: [],
  };
  multiply(context, product, x, w, bias === undefined ? [] : [context.read(2)]);
};

function matrixDims(dims: readonly number[]): readonly [rows: number, columns: number] {
  return [at(dims, 0), at(dims, 1)];
}

/** A bias that is broadcast to [rows, outputs]. */
function biasStrides(dims: readonly number[], product: readonly number[]): BiasStrides {
  const [row, column] = matrixDims(broadcastStrides(dims, product));
  return { row, column: column === 0 ? 0 : 1 };
}

/** Weights that are known beforehand, in the kernel's order. */
function packedColumns(
  context: LoweringContext,
  shape: Pick<DenseProduct, "rows" | "inputs" | "outputs">,
  weight: (input: number, output: number) => number,
): Location {
  const block = columnsAtOnce(shape.rows, context.width);
  const layout = { kind: "blocks", outputs: shape.outputs, block } as const;
  return context.weights(packColumns(shape, block, weight), layout);
}

/** The layout of weights [..., inputs, outputs]. */
const columnsOf = (outputs: number): WeightLayout => ({ kind: "blocks", outputs, block: outputs });

/** A matrix [a, b] as [b, a]: weights are turned beforehand. */
function transposedInput(context: LoweringContext, index: number): Location {
  const [rows, columns] = matrixDims(context.inputDims(index));
  const data = context.constantData(index);
  if (data !== undefined) {
    const turned = data.map((_, i) => present(data[(i % rows) * columns + Math.floor(i / rows)]));
    return context.weights(turned, columnsOf(rows));
  }
  const turned = context.scratch(rows * columns);
  const from = { location: context.read(index), strides: [1, columns] };
  copyStrided(context, [columns, rows], from, viewOf(turned, [columns, rows]));
  return turned;
}

/** x [..., rows, inputs] . w [..., inputs, outputs] with broadcast leading axes; a factor of rank 1 is a row or a column. */
export const lowerMatMul: Lower = (context) => {
  const left = context.inputDims(0);
  const right = context.inputDims(1);
  const row = left.length === 1 ? [1, ...left] : left;
  const column = right.length === 1 ? [...right, 1] : right;
  const [rows, inputs] = matrixDims(row.slice(-2));
  const outputs = last(column);
  const matrices = broadcastDims(row.slice(0, -2), column.slice(0, -2));
  const x = broadcastStrides(row.slice(0, -2), matrices);
  const w = broadcastStrides(column.slice(0, -2), matrices);
  const isShared = w.every((stride) => stride === 0);
  const stacked = elementCount(matrices);
  const plain = { inputs, outputs, isPacked: false, alpha: 1, beta: 1, bias: undefined };
  // All matrices of x meet the same one: they are one tall matrix.
  const isStack =
    isShared && x.every((stride, axis) => stride === stridesOf(matrices)[axis] || matrices[axis] === 1);
  const product: DenseProduct = isStack
    ? { ...plain, rows: rows * stacked, batch: [] }
    : {
        ...plain,
        rows,
        batch: matrices.map((size, axis) => ({ size, x: at(x, axis), w: at(w, axis) })),
      };
  multiply(context, product, context.read(0), context.read(1, columnsOf(outputs)), []);
};

function broadcastDims(a: readonly number[], b: readonly number[]): readonly number[] {
  const rank = Math.max(a.length, b.length);
  const sizeOf = (dims: readonly number[], axis: number): number =>
    orDefault(dims[axis - rank + dims.length], 1);
  return Array.from({ length: rank }, (_, axis) =>
    sizeOf(a, axis) === 1 ? sizeOf(b, axis) : sizeOf(a, axis),
  );
}

function multiply(
  context: LoweringContext,
  product: DenseProduct,
  x: Location,
  w: Location,
  bias: readonly Location[],
): void {
  const matrices = product.batch.reduce((count, { size }) => count * size, 1);
  const macs = matrices * product.rows * product.inputs * product.outputs;
  context.call(gemmKernel(product, context.width), [x, w, ...bias, context.write()], macs);
}
