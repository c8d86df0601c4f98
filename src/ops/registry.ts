import type { Node } from "../graph/types.js";
import { Abs } from "./abs.js";
import { Add } from "./add.js";
import { And } from "./and.js";
import { ArgMax } from "./arg_max.js";
import { AveragePool } from "./average_pool.js";
import { BatchNormalization } from "./batch_normalization.js";
import { BatchNormalizationGradient } from "./batch_normalization_gradient.js";
import { BatchNormalizationTraining } from "./batch_normalization_training.js";
import { Cast } from "./cast.js";
import { Ceil } from "./ceil.js";
import { Celu } from "./celu.js";
import { ChannelSum } from "./channel_sum.js";
import { Clip } from "./clip.js";
import { ClipGradient } from "./clip_gradient.js";
import { PENNI_DOMAIN } from "./composite.js";
import { Concat } from "./concat.js";
import { Constant } from "./constant.js";
import { ConstantOfShape } from "./constant_of_shape.js";
import { Conv } from "./conv.js";
import { ConvInputGradient } from "./conv_input_gradient.js";
import { ConvTranspose } from "./conv_transpose.js";
import { ConvWeightGradient } from "./conv_weight_gradient.js";
import type { OpDefinition } from "./definition.js";
import { DepthToSpace } from "./depth_to_space.js";
import { Div } from "./div.js";
import { Dropout } from "./dropout.js";
import { Elu } from "./elu.js";
import { Equal } from "./equal.js";
import { Erf } from "./erf.js";
import { Exp } from "./exp.js";
import { Expand } from "./expand.js";
import { FactoredConv } from "./factored_conv.js";
import { FactoredConvGradient } from "./factored_conv_gradient.js";
import { Flatten } from "./flatten.js";
import { Floor } from "./floor.js";
import { Gather } from "./gather.js";
import { Gelu } from "./gelu.js";
import { Gemm } from "./gemm.js";
import { GlobalAveragePool } from "./global_average_pool.js";
import { GlobalMaxPool } from "./global_max_pool.js";
import { Greater } from "./greater.js";
import { GreaterOrEqual } from "./greater_or_equal.js";
import { GroupNormalization } from "./group_normalization.js";
import { HardSigmoid } from "./hard_sigmoid.js";
import { HardSwish } from "./hard_swish.js";
import { Identity } from "./identity.js";
import { InstanceNormalization } from "./instance_normalization.js";
import { LayerNormalization } from "./layer_normalization.js";
import { LeakyRelu } from "./leaky_relu.js";
import { LeakyReluGradient } from "./leaky_relu_gradient.js";
import { Less } from "./less.js";
import { LessOrEqual } from "./less_or_equal.js";
import { Log } from "./log.js";
import { LogSoftmax } from "./log_softmax.js";
import { LRN } from "./lrn.js";
import { MatMul } from "./matmul.js";
import { Max } from "./max.js";
import { MaxPool } from "./max_pool.js";
import { MaxPoolGradient } from "./max_pool_gradient.js";
import { MaxUnpool } from "./max_unpool.js";
import { Min } from "./min.js";
import { Mish } from "./mish.js";
import { Mod } from "./mod.js";
import { Mul } from "./mul.js";
import { Neg } from "./neg.js";
import { Not } from "./not.js";
import { OneHot } from "./one_hot.js";
import { Or } from "./or.js";
import { Pad } from "./pad.js";
import { Pow } from "./pow.js";
import { PRelu } from "./prelu.js";
import { Range } from "./range.js";
import { Reciprocal } from "./reciprocal.js";
import { ReduceL1 } from "./reduce_l1.js";
import { ReduceL2 } from "./reduce_l2.js";
import { ReduceLogSumExp } from "./reduce_log_sum_exp.js";
import { ReduceMax } from "./reduce_max.js";
import { ReduceMean } from "./reduce_mean.js";
import { ReduceMin } from "./reduce_min.js";
import { ReduceProd } from "./reduce_prod.js";
import { ReduceSum } from "./reduce_sum.js";
import { ReduceSumSquare } from "./reduce_sum_square.js";
import { Relu } from "./relu.js";
import { Reshape } from "./reshape.js";
import { Resize } from "./resize.js";
import { Round } from "./round.js";
import { Selu } from "./selu.js";
import { Shape } from "./shape.js";
import { Sigmoid } from "./sigmoid.js";
import { Sign } from "./sign.js";
import { Silu, SiluGradient } from "./silu.js";
import { Size } from "./size.js";
import { Slice } from "./slice.js";
import { Softmax } from "./softmax.js";
import { Softplus } from "./softplus.js";
import { Softsign } from "./softsign.js";
import { SpaceToDepth } from "./space_to_depth.js";
import { Split } from "./split.js";
import { SpreadOut } from "./spread_out.js";
import { Sqrt } from "./sqrt.js";
import { Squeeze } from "./squeeze.js";
import { Sub } from "./sub.js";
import { Sum } from "./sum.js";
import { Tanh } from "./tanh.js";
import { ThresholdedRelu } from "./thresholded_relu.js";
import { Tile } from "./tile.js";
import { Transpose } from "./transpose.js";
import { Unsqueeze } from "./unsqueeze.js";
import { Upsample } from "./upsample.js";
import { Where } from "./where.js";
import { Xor } from "./xor.js";

const definitions: readonly OpDefinition[] = [
  Abs,
  Add,
  And,
  ArgMax,
  AveragePool,
  BatchNormalization,
  Cast,
  Ceil,
  Celu,
  Clip,
  Concat,
  Constant,
  ConstantOfShape,
  Conv,
  ConvTranspose,
  DepthToSpace,
  Div,
  Dropout,
  Elu,
  Equal,
  Erf,
  Exp,
  Expand,
  Flatten,
  Floor,
  Gather,
  Gelu,
  Gemm,
  GlobalAveragePool,
  GlobalMaxPool,
  Greater,
  GreaterOrEqual,
  GroupNormalization,
  HardSigmoid,
  HardSwish,
  Identity,
  InstanceNormalization,
  LayerNormalization,
  LeakyRelu,
  Less,
  LessOrEqual,
  Log,
  LogSoftmax,
  LRN,
  MatMul,
  Max,
  MaxPool,
  MaxUnpool,
  Min,
  Mish,
  Mod,
  Mul,
  Neg,
  Not,
  OneHot,
  Or,
  Pad,
  Pow,
  PRelu,
  Range,
  Reciprocal,
  ReduceL1,
  ReduceL2,
  ReduceLogSumExp,
  ReduceMax,
  ReduceMean,
  ReduceMin,
  ReduceProd,
  ReduceSum,
  ReduceSumSquare,
  Relu,
  Reshape,
  Resize,
  Round,
  Selu,
  Shape,
  Sigmoid,
  Sign,
  Size,
  Slice,
  Softmax,
  Softplus,
  Softsign,
  SpaceToDepth,
  Split,
  Sqrt,
  Squeeze,
  Sub,
  Sum,
  Tanh,
  ThresholdedRelu,
  Tile,
  Transpose,
  Unsqueeze,
  Upsample,
  Where,
  Xor,
];

const byType: ReadonlyMap<string, OpDefinition> = new Map(
  definitions.map((definition) => [definition.type, definition]),
);

/** The operators of the standard domain that Penni knows. */
export const standardOperators: readonly string[] = [...byType.keys()];

/** Penni's own composites (domain "penni"): they exist only in a training step that is not lowered yet. */
const composites: ReadonlyMap<string, OpDefinition> = new Map(
  [
    BatchNormalizationGradient,
    BatchNormalizationTraining,
    ChannelSum,
    ClipGradient,
    ConvInputGradient,
    ConvWeightGradient,
    FactoredConv,
    FactoredConvGradient,
    LeakyReluGradient,
    MaxPoolGradient,
    Silu,
    SiluGradient,
    SpreadOut,
  ].map((definition) => [definition.type, definition]),
);

/** The definition of a node's operator; undefined for custom domains and operators Penni does not know. */
export function findOp(node: Pick<Node, "op" | "domain">): OpDefinition | undefined {
  if (node.domain === PENNI_DOMAIN) return composites.get(node.op);
  return node.domain === "" || node.domain === "ai.onnx" ? byType.get(node.op) : undefined;
}
