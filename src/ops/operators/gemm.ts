import { floatAttributeOr } from "../../graph/attributes.js";
import { firstOf } from "../../graph/operands.js";
import { describeShape, shapeError } from "../../graph/shape_error.js";
import { elementCount } from "../../graph/tensor.js";
import type { Dim, Node, ValueType } from "../../graph/types.js";
import { gemmChannels } from "../channels/gemm.js";
import { isSet, requiredInput } from "../core/arguments.js";
import { checkBroadcastsTo } from "../core/broadcast.js";
import type { NodeContext } from "../core/context.js";
import { type GradientContext, type OpDefinition, staticShape } from "../core/definition.js";
import { gemm, mul } from "../core/emit.js";

/**
 * y = alpha·op(A)·op(B) + beta·C, op(X) being X or its transpose (ONNX Gemm, opset 7 and later; C [M, N] or
 * broadcast to it, optional since 11). op(A) [M, K], op(B) [K, N], y [M, N].
 */
export const Gemm: OpDefinition = {
  type: "Gemm",
  roundsIntegers: true,
  constants: { trained: [1, 2], settings: [] },
  weight: {
    outputAxis: (node) => (isSet(node, "transB") ? 0 : 1),
    groups: () => 1,
    takesBias: true,
    noBasis: "a fully connected layer has no kernels to share",
  },
  scaleAxes: { 1: (node) => (isSet(node, "transB") ? 0 : 1) },
  shape: gemmShape,
  gradient: gemmGradient,
  channels: gemmChannels,
  cost: ({ node, inputs: [a] }, [y]) => {
    const [rows, columns] = firstOf(staticShape(node, a), 2);
    const inner = isSet(node, "transA") ? rows : columns;
    return elementCount(staticShape(node, y)) * inner;
  },
};

/** Rows and columns of a factor as it is multiplied. */
function factor(node: Node, { shape }: ValueType, transposed: boolean): readonly [Dim, Dim] {
  if (shape === undefined) return [undefined, undefined];
  if (shape.length !== 2) throw shapeError(node, "a factor is no matrix", "rank 2", describeShape(shape));
  const [rows, columns] = shape;
  return transposed ? [columns, rows] : [rows, columns];
}

function gemmShape(context: NodeContext): readonly ValueType[] {
  const { node } = context;
  const a = requiredInput(context, 0);
  const b = requiredInput(context, 1);
  const [rows, innerA] = factor(node, a, isSet(node, "transA"));
  const [innerB, columns] = factor(node, b, isSet(node, "transB"));
  if (typeof innerA === "number" && typeof innerB === "number" && innerA !== innerB) {
    throw shapeError(
      node,
      "the factors do not fit each other",
      `${innerA} rows in the second`,
      `${innerB} (${describeShape(a.shape)} and ${describeShape(b.shape)})`,
    );
  }
  const shape = [rows, columns];
  checkBroadcastsTo(context, 2, shape);
  return [{ elementType: a.elementType, shape }];
}

/**
 * With A' = op(A), B' = op(B): dA' = alpha·dy·B'ᵀ, dB' = alpha·A'ᵀ·dy, dC = beta·dy (summed to C's shape);
 * where A (B) is transposed, dA (dB) is the transpose of that product, which swaps its factors.
 */
function gemmGradient({
  builder,
  node,
  outputGradients: [dy],
  needs,
}: GradientContext): (string | undefined)[] {
  const [a, b] = node.inputs;
  if (dy === undefined || a === undefined || b === undefined) return [];
  const alpha = floatAttributeOr(node, "alpha", 1);
  const beta = floatAttributeOr(node, "beta", 1);
  const transA = isSet(node, "transA");
  const transB = isSet(node, "transB");
  const gradientA = (): string =>
    transA
      ? gemm(builder, b, dy, { alpha, transA: transB, transB: true })
      : gemm(builder, dy, b, { alpha, transB: !transB });
  const gradientB = (): string =>
    transB
      ? gemm(builder, dy, a, { alpha, transA: true, transB: transA })
      : gemm(builder, a, dy, { alpha, transA: !transA });
  return [
    needs[0] === true ? gradientA() : undefined,
    needs[1] === true ? gradientB() : undefined,
    needs[2] === true ? (beta === 1 ? dy : mul(builder, dy, builder.scalar(beta))) : undefined,
  ];
}
