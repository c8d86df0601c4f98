import type { Node } from "../graph/types.js";
import { Abs } from "./abs.js";
import { Acos } from "./acos.js";
import { Add } from "./add.js";
import { And } from "./and.js";
import { ArgMax } from "./arg_max.js";
import { ArgMin } from "./arg_min.js";
import { Asin } from "./asin.js";
import { Atan } from "./atan.js";
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
import { ConvInteger } from "./conv_integer.js";
import { ConvTranspose } from "./conv_transpose.js";
import { ConvWeightGradient } from "./conv_weight_gradient.js";
import { Cos } from "./cos.js";
import { CumSum } from "./cum_sum.js";
import type { OpDefinition } from "./definition.js";
import { DepthToSpace } from "./depth_to_space.js";
import { DequantizeLinear } from "./dequantize_linear.js";
import { Div } from "./div.js";
import { Dropout } from "./dropout.js";
import { DynamicQuantizeLinear } from "./dynamic_quantize_linear.js";
import { Einsum } from "./einsum.js";
import { Elu } from "./elu.js";
import { Equal } from "./equal.js";
import { Erf } from "./erf.js";
import { Exp } from "./exp.js";
import { Expand } from "./expand.js";
import { EyeLike } from "./eye_like.js";
import { FactoredConv } from "./factored_conv.js";
import { FactoredConvGradient } from "./factored_conv_gradient.js";
import { Flatten } from "./flatten.js";
import { Floor } from "./floor.js";
import { Gather } from "./gather.js";
import { GatherElements } from "./gather_elements.js";
import { GatherND } from "./gather_nd.js";
import { Gelu } from "./gelu.js";
import { Gemm } from "./gemm.js";
import { GlobalAveragePool } from "./global_average_pool.js";
import { GlobalMaxPool } from "./global_max_pool.js";
import { Greater } from "./greater.js";
import { GreaterOrEqual } from "./greater_or_equal.js";
import { GridSample } from "./grid_sample.js";
import { GroupNormalization } from "./group_normalization.js";
import { GRU } from "./gru.js";
import { HardSigmoid } from "./hard_sigmoid.js";
import { HardSwish } from "./hard_swish.js";
import { Hardmax } from "./hardmax.js";
import { Identity } from "./identity.js";
import { InstanceNormalization } from "./instance_normalization.js";
import { IsInf } from "./is_inf.js";
import { IsNaN } from "./is_nan.js";
import { LayerNormalization } from "./layer_normalization.js";
import { LeakyRelu } from "./leaky_relu.js";
import { LeakyReluGradient } from "./leaky_relu_gradient.js";
import { Less } from "./less.js";
import { LessOrEqual } from "./less_or_equal.js";
import { Log } from "./log.js";
import { LogSoftmax } from "./log_softmax.js";
import { LRN } from "./lrn.js";
import { LSTM } from "./lstm.js";
import { MatMul } from "./matmul.js";
import { MatMulInteger } from "./matmul_integer.js";
import { Max } from "./max.js";
import { MaxPool } from "./max_pool.js";
import { MaxPoolGradient } from "./max_pool_gradient.js";
import { MaxUnpool } from "./max_unpool.js";
import { Mean } from "./mean.js";
import { Min } from "./min.js";
import { Mish } from "./mish.js";
import { Mod } from "./mod.js";
import { Mul } from "./mul.js";
import { Neg } from "./neg.js";
import { NonMaxSuppression } from "./non_max_suppression.js";
import { NonZero } from "./non_zero.js";
import { Not } from "./not.js";
import { OneHot } from "./one_hot.js";
import { Or } from "./or.js";
import { Pad } from "./pad.js";
import { Pow } from "./pow.js";
import { PRelu } from "./prelu.js";
import { QLinearConv } from "./qlinear_conv.js";
import { QLinearMatMul } from "./qlinear_matmul.js";
import { QuantizeLinear } from "./quantize_linear.js";
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
import { ReverseSequence } from "./reverse_sequence.js";
import { RoiAlign } from "./roi_align.js";
import { Round } from "./round.js";
import { ScatterElements } from "./scatter_elements.js";
import { ScatterND } from "./scatter_nd.js";
import { Selu } from "./selu.js";
import { Shape } from "./shape.js";
import { Shrink } from "./shrink_operator.js";
import { Sigmoid } from "./sigmoid.js";
import { Sign } from "./sign.js";
import { Silu, SiluGradient } from "./silu.js";
import { Sin } from "./sin.js";
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
import { Tan } from "./tan.js";
import { Tanh } from "./tanh.js";
import { ThresholdedRelu } from "./thresholded_relu.js";
import { Tile } from "./tile.js";
import { TopK } from "./top_k.js";
import { Transpose } from "./transpose.js";
import { Trilu } from "./trilu.js";
import { Unsqueeze } from "./unsqueeze.js";
import { Upsample } from "./upsample.js";
import { Where } from "./where.js";
import { Xor } from "./xor.js";

const definitions: readonly OpDefinition[] = [
  Abs,
  Acos,
  Add,
  And,
  ArgMax,
  ArgMin,
  Asin,
  Atan,
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
  ConvInteger,
  ConvTranspose,
  Cos,
  CumSum,
  DepthToSpace,
  DequantizeLinear,
  Div,
  Dropout,
  DynamicQuantizeLinear,
  Einsum,
  Elu,
  Equal,
  Erf,
  Exp,
  Expand,
  EyeLike,
  Flatten,
  Floor,
  Gather,
  GatherElements,
  GatherND,
  Gelu,
  Gemm,
  GlobalAveragePool,
  GlobalMaxPool,
  Greater,
  GreaterOrEqual,
  GridSample,
  GroupNormalization,
  GRU,
  Hardmax,
  HardSigmoid,
  HardSwish,
  Identity,
  InstanceNormalization,
  IsInf,
  IsNaN,
  LayerNormalization,
  LeakyRelu,
  Less,
  LessOrEqual,
  Log,
  LogSoftmax,
  LRN,
  LSTM,
  MatMul,
  MatMulInteger,
  Max,
  MaxPool,
  MaxUnpool,
  Mean,
  Min,
  Mish,
  Mod,
  Mul,
  Neg,
  NonMaxSuppression,
  NonZero,
  Not,
  OneHot,
  Or,
  Pad,
  Pow,
  PRelu,
  QLinearConv,
  QLinearMatMul,
  QuantizeLinear,
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
  ReverseSequence,
  RoiAlign,
  Round,
  ScatterElements,
  ScatterND,
  Selu,
  Shape,
  Shrink,
  Sigmoid,
  Sign,
  Sin,
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
  Tan,
  Tanh,
  ThresholdedRelu,
  Tile,
  TopK,
  Transpose,
  Trilu,
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
