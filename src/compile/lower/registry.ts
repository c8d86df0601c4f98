import type { Node } from "../../graph/types.js";
import { activations, isCastable } from "./activations.js";
import { binaryFunctions, chosen, foldingFunctions } from "./arithmetic.js";
import { lowerResize } from "./axis_maps.js";
import {
  lowerDepthToSpace,
  lowerDropout,
  lowerExpand,
  lowerOneHot,
  lowerSpaceToDepth,
  lowerTile,
} from "./blocks.js";
import { boundsOf } from "./bounds.js";
import { lowerConstant, lowerConstantOfShape, lowerDimensions, lowerRange } from "./constants.js";
import { lowerConv } from "./conv.js";
import { lowerConvTranspose } from "./conv_transpose.js";
import type { Lowering } from "./definition.js";
import {
  binaryLowering,
  boundsLowering,
  choiceLowering,
  foldingLowering,
  unaryLowering,
} from "./elementwise.js";
import { unsupported } from "./errors.js";
import { lowerGemm, lowerMatMul } from "./gemm.js";
import {
  lowerBatchNormalization,
  lowerGroupNormalization,
  lowerInstanceNormalization,
  lowerLayerNormalization,
  lowerLrn,
} from "./normalize.js";
import { lowerAveragePool, lowerMaxPool } from "./pool.js";
import {
  lowerArgMax,
  lowerGlobalAveragePool,
  lowerGlobalMaxPool,
  lowerReduceLogSumExp,
  reductionLowerings,
} from "./reduce.js";
import { lowerCumSum, lowerGather, lowerTopK } from "./selection.js";
import { lowerLogSoftmax, lowerSoftmax } from "./softmax.js";
import { lowerConcat, lowerPad, lowerReshape, lowerSlice, lowerSplit, lowerTranspose } from "./structure.js";

const lowerBounds = boundsLowering(boundsOf);

const lowerCast: Lowering = (context) => {
  if (!isCastable(context.node)) throw unsupported(context, "a numeric type", "another");
  unaryLowering(activations.Cast)(context);
};

/** How each operator of the standard domain is compiled; what is not here cannot be. */
export const lowerings: Readonly<Record<string, Lowering>> = {
  ...mapValues(activations, unaryLowering),
  ...mapValues(binaryFunctions, binaryLowering),
  ...mapValues(foldingFunctions, foldingLowering),
  ...reductionLowerings,
  ArgMax: lowerArgMax,
  AveragePool: lowerAveragePool,
  BatchNormalization: lowerBatchNormalization,
  Cast: lowerCast,
  Clip: lowerBounds,
  Concat: lowerConcat,
  Constant: lowerConstant,
  ConstantOfShape: lowerConstantOfShape,
  Conv: lowerConv,
  ConvTranspose: lowerConvTranspose,
  CumSum: lowerCumSum,
  DepthToSpace: lowerDepthToSpace,
  Dropout: lowerDropout,
  Expand: lowerExpand,
  Flatten: lowerReshape,
  Gather: lowerGather,
  Gemm: lowerGemm,
  GlobalAveragePool: lowerGlobalAveragePool,
  GlobalMaxPool: lowerGlobalMaxPool,
  GroupNormalization: lowerGroupNormalization,
  Identity: lowerReshape,
  InstanceNormalization: lowerInstanceNormalization,
  LayerNormalization: lowerLayerNormalization,
  LogSoftmax: lowerLogSoftmax,
  LRN: lowerLrn,
  MatMul: lowerMatMul,
  MaxPool: lowerMaxPool,
  OneHot: lowerOneHot,
  Pad: lowerPad,
  Range: lowerRange,
  ReduceLogSumExp: lowerReduceLogSumExp,
  Relu: lowerBounds,
  Reshape: lowerReshape,
  Resize: lowerResize,
  Shape: lowerDimensions,
  Size: lowerDimensions,
  Slice: lowerSlice,
  Softmax: lowerSoftmax,
  SpaceToDepth: lowerSpaceToDepth,
  Split: lowerSplit,
  Squeeze: lowerReshape,
  Tile: lowerTile,
  TopK: lowerTopK,
  Transpose: lowerTranspose,
  Unsqueeze: lowerReshape,
  Where: choiceLowering(chosen),
};

/** Operators whose lowerings honour the bounds of `LoweringContext.epilogue`. */
const bounded: ReadonlySet<string> = new Set([
  "BatchNormalization",
  "Conv",
  ...[activations, binaryFunctions, foldingFunctions].flatMap(Object.keys),
]);

/** Whether following bounds can be part of an operation. */
export function takesBounds(node: Pick<Node, "op" | "domain">): boolean {
  return findLowering(node) !== undefined && bounded.has(node.op) && node.op !== "Cast";
}

/** Whether a following sum with a value of the same shape can be part of an operation. */
export function takesSum(node: Pick<Node, "op" | "domain">): boolean {
  return findLowering(node) !== undefined && node.op === "Conv";
}

function mapValues<From, To>(
  record: Readonly<Record<string, From>>,
  convert: (value: From) => To,
): Readonly<Record<string, To>> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, convert(value)]));
}

export function findLowering({ op, domain }: Pick<Node, "op" | "domain">): Lowering | undefined {
  if (domain !== "" && domain !== "ai.onnx") return undefined;
  return Object.hasOwn(lowerings, op) ? lowerings[op] : undefined;
}
