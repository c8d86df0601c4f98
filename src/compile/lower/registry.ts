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
import { clipLowering, reluLowering } from "./bounds.js";
import { lowerConstant, lowerConstantOfShape, lowerDimensions, lowerRange } from "./constants.js";
import { lowerConv } from "./conv.js";
import { lowerConvTranspose } from "./conv_transpose.js";
import type { Lower, Lowering } from "./definition.js";
import {
  binaryLowering,
  choiceLowering,
  elementOperations,
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
  foldings,
  lowerArgMax,
  lowerGlobalAveragePool,
  lowerGlobalMaxPool,
  lowerReduceLogSumExp,
  reductionLowering,
} from "./reduce.js";
import { lowerCumSum, lowerGather, lowerTopK } from "./selection.js";
import { lowerLogSoftmax, lowerSoftmax } from "./softmax.js";
import { lowerConcat, lowerPad, lowerReshape, lowerSlice, lowerSplit, lowerTranspose } from "./structure.js";

const lowerCast: Lower = (context) => {
  if (!isCastable(context.node)) throw unsupported(context, "a numeric type", "another");
  unaryLowering(activations.Cast)(context);
};

/** It takes along what follows it element by element; `element` where it is such a step itself. */
const withEpilogue = (lower: Lower, element?: Lowering["element"]): Lowering => {
  return { lower, takesEpilogue: true, ...(element && { element }) };
};

const unary = mapValues(activations, (compute) =>
  withEpilogue(unaryLowering(compute), elementOperations.unary(compute)),
);
const binary = mapValues(binaryFunctions, (compute) =>
  withEpilogue(binaryLowering(compute), elementOperations.binary(compute)),
);
const folding = mapValues(foldingFunctions, (compute) =>
  withEpilogue(foldingLowering(compute), elementOperations.folding(compute)),
);
const reductions = mapValues(foldings, (fold) => ({ lower: reductionLowering(fold) }));

/** How each operator of the standard domain is compiled; what is not here cannot be. */
export const lowerings = {
  ...unary,
  ...binary,
  ...folding,
  ...reductions,
  ArgMax: { lower: lowerArgMax },
  AveragePool: { lower: lowerAveragePool },
  BatchNormalization: withEpilogue(lowerBatchNormalization),
  Cast: withEpilogue(lowerCast),
  Clip: clipLowering,
  Concat: { lower: lowerConcat },
  Constant: { lower: lowerConstant },
  ConstantOfShape: { lower: lowerConstantOfShape },
  Conv: withEpilogue(lowerConv),
  ConvTranspose: { lower: lowerConvTranspose },
  CumSum: { lower: lowerCumSum },
  DepthToSpace: { lower: lowerDepthToSpace },
  Dropout: { lower: lowerDropout },
  Expand: { lower: lowerExpand },
  Flatten: { lower: lowerReshape },
  Gather: { lower: lowerGather },
  Gemm: { lower: lowerGemm },
  GlobalAveragePool: { lower: lowerGlobalAveragePool },
  GlobalMaxPool: { lower: lowerGlobalMaxPool },
  GroupNormalization: { lower: lowerGroupNormalization },
  Identity: { lower: lowerReshape },
  InstanceNormalization: { lower: lowerInstanceNormalization },
  LayerNormalization: { lower: lowerLayerNormalization },
  LogSoftmax: { lower: lowerLogSoftmax },
  LRN: { lower: lowerLrn },
  MatMul: { lower: lowerMatMul },
  MaxPool: { lower: lowerMaxPool },
  OneHot: { lower: lowerOneHot },
  Pad: { lower: lowerPad },
  Range: { lower: lowerRange },
  ReduceLogSumExp: { lower: lowerReduceLogSumExp },
  Relu: reluLowering,
  Reshape: { lower: lowerReshape },
  Resize: { lower: lowerResize },
  Shape: { lower: lowerDimensions },
  Size: { lower: lowerDimensions },
  Slice: { lower: lowerSlice },
  Softmax: { lower: lowerSoftmax },
  SpaceToDepth: { lower: lowerSpaceToDepth },
  Split: { lower: lowerSplit },
  Squeeze: { lower: lowerReshape },
  Tile: { lower: lowerTile },
  TopK: { lower: lowerTopK },
  Transpose: { lower: lowerTranspose },
  Unsqueeze: { lower: lowerReshape },
  Where: withEpilogue(choiceLowering(chosen)),
} as const satisfies Readonly<Record<string, Lowering>>;

/** The lowering of a node's operator; undefined if there is none. */
export function findLowering({ op, domain }: Pick<Node, "op" | "domain">): Lowering | undefined {
  if (domain !== "" && domain !== "ai.onnx") return undefined;
  return isLowered(op) ? lowerings[op] : undefined;
}

function isLowered(op: string): op is keyof typeof lowerings {
  return Object.hasOwn(lowerings, op);
}

function mapValues<Key extends string, From, To>(
  record: Readonly<Record<Key, From>>,
  convert: (value: From) => To,
): Readonly<Record<Key, To>> {
  const entries = Object.entries<From>(record).map(([name, value]) => [name, convert(value)]);
  return Object.fromEntries(entries) as Readonly<Record<Key, To>>;
}
