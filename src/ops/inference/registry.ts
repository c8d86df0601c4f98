import type { Node } from "../../graph/types.js";
import { BatchNormalizationGradient } from "../composites/batch_normalization_gradient.js";
import { BatchNormalizationTraining } from "../composites/batch_normalization_training.js";
import { ChannelSum } from "../composites/channel_sum.js";
import { ClipGradient } from "../composites/clip_gradient.js";
import { ConvInputGradient } from "../composites/conv_input_gradient.js";
import { ConvWeightGradient } from "../composites/conv_weight_gradient.js";
import { FactoredConv } from "../composites/factored_conv.js";
import { FactoredConvGradient } from "../composites/factored_conv_gradient.js";
import { LeakyReluGradient } from "../composites/leaky_relu_gradient.js";
import { MaxPoolGradient } from "../composites/max_pool_gradient.js";
import { Silu, SiluGradient } from "../composites/silu.js";
import { SpreadOut } from "../composites/spread_out.js";
import { PENNI_DOMAIN } from "../core/composite.js";
import type { OpDefinition } from "../core/definition.js";
import { Abs } from "../operators/abs.js";
import { Acos } from "../operators/acos.js";
import { Add } from "../operators/add.js";
import { And } from "../operators/and.js";
import { ArgMax } from "../operators/arg_max.js";
import { ArgMin } from "../operators/arg_min.js";
import { Asin } from "../operators/asin.js";
import { Atan } from "../operators/atan.js";
import { AveragePool } from "../operators/average_pool.js";
import { BatchNormalization } from "../operators/batch_normalization.js";
import { Cast } from "../operators/cast.js";
import { Ceil } from "../operators/ceil.js";
import { Celu } from "../operators/celu.js";
import { Clip } from "../operators/clip.js";
import { Concat } from "../operators/concat.js";
import { Constant } from "../operators/constant.js";
import { ConstantOfShape } from "../operators/constant_of_shape.js";
import { Conv } from "../operators/conv.js";
import { ConvInteger } from "../operators/conv_integer.js";
import { ConvTranspose } from "../operators/conv_transpose.js";
import { Cos } from "../operators/cos.js";
import { CumSum } from "../operators/cum_sum.js";
import { DepthToSpace } from "../operators/depth_to_space.js";
import { DequantizeLinear } from "../operators/dequantize_linear.js";
import { Div } from "../operators/div.js";
import { Dropout } from "../operators/dropout.js";
import { DynamicQuantizeLinear } from "../operators/dynamic_quantize_linear.js";
import { Einsum } from "../operators/einsum.js";
import { Elu } from "../operators/elu.js";
import { Equal } from "../operators/equal.js";
import { Erf } from "../operators/erf.js";
import { Exp } from "../operators/exp.js";
import { Expand } from "../operators/expand.js";
import { EyeLike } from "../operators/eye_like.js";
import { Flatten } from "../operators/flatten.js";
import { Floor } from "../operators/floor.js";
import { Gather } from "../operators/gather.js";
import { GatherElements } from "../operators/gather_elements.js";
import { GatherND } from "../operators/gather_nd.js";
import { Gelu } from "../operators/gelu.js";
import { Gemm } from "../operators/gemm.js";
import { GlobalAveragePool } from "../operators/global_average_pool.js";
import { GlobalMaxPool } from "../operators/global_max_pool.js";
import { Greater } from "../operators/greater.js";
import { GreaterOrEqual } from "../operators/greater_or_equal.js";
import { GridSample } from "../operators/grid_sample.js";
import { GroupNormalization } from "../operators/group_normalization.js";
import { GRU } from "../operators/gru.js";
import { HardSigmoid } from "../operators/hard_sigmoid.js";
import { HardSwish } from "../operators/hard_swish.js";
import { Hardmax } from "../operators/hardmax.js";
import { Identity } from "../operators/identity.js";
import { InstanceNormalization } from "../operators/instance_normalization.js";
import { IsInf } from "../operators/is_inf.js";
import { IsNaN } from "../operators/is_nan.js";
import { LayerNormalization } from "../operators/layer_normalization.js";
import { LeakyRelu } from "../operators/leaky_relu.js";
import { Less } from "../operators/less.js";
import { LessOrEqual } from "../operators/less_or_equal.js";
import { Log } from "../operators/log.js";
import { LogSoftmax } from "../operators/log_softmax.js";
import { LRN } from "../operators/lrn.js";
import { LSTM } from "../operators/lstm.js";
import { MatMul } from "../operators/matmul.js";
import { MatMulInteger } from "../operators/matmul_integer.js";
import { Max } from "../operators/max.js";
import { MaxPool } from "../operators/max_pool.js";
import { MaxUnpool } from "../operators/max_unpool.js";
import { Mean } from "../operators/mean.js";
import { Min } from "../operators/min.js";
import { Mish } from "../operators/mish.js";
import { Mod } from "../operators/mod.js";
import { Mul } from "../operators/mul.js";
import { Neg } from "../operators/neg.js";
import { NonMaxSuppression } from "../operators/non_max_suppression.js";
import { NonZero } from "../operators/non_zero.js";
import { Not } from "../operators/not.js";
import { OneHot } from "../operators/one_hot.js";
import { Or } from "../operators/or.js";
import { Pad } from "../operators/pad.js";
import { Pow } from "../operators/pow.js";
import { PRelu } from "../operators/prelu.js";
import { QLinearConv } from "../operators/qlinear_conv.js";
import { QLinearMatMul } from "../operators/qlinear_matmul.js";
import { QuantizeLinear } from "../operators/quantize_linear.js";
import { Range } from "../operators/range.js";
import { Reciprocal } from "../operators/reciprocal.js";
import { ReduceL1 } from "../operators/reduce_l1.js";
import { ReduceL2 } from "../operators/reduce_l2.js";
import { ReduceLogSum } from "../operators/reduce_log_sum.js";
import { ReduceLogSumExp } from "../operators/reduce_log_sum_exp.js";
import { ReduceMax } from "../operators/reduce_max.js";
import { ReduceMean } from "../operators/reduce_mean.js";
import { ReduceMin } from "../operators/reduce_min.js";
import { ReduceProd } from "../operators/reduce_prod.js";
import { ReduceSum } from "../operators/reduce_sum.js";
import { ReduceSumSquare } from "../operators/reduce_sum_square.js";
import { Relu } from "../operators/relu.js";
import { Reshape } from "../operators/reshape.js";
import { Resize } from "../operators/resize.js";
import { ReverseSequence } from "../operators/reverse_sequence.js";
import { RoiAlign } from "../operators/roi_align.js";
import { Round } from "../operators/round.js";
import { ScatterElements } from "../operators/scatter_elements.js";
import { ScatterND } from "../operators/scatter_nd.js";
import { Selu } from "../operators/selu.js";
import { Shape } from "../operators/shape.js";
import { Shrink } from "../operators/shrink_operator.js";
import { Sigmoid } from "../operators/sigmoid.js";
import { Sign } from "../operators/sign.js";
import { Sin } from "../operators/sin.js";
import { Size } from "../operators/size.js";
import { Slice } from "../operators/slice.js";
import { Softmax } from "../operators/softmax.js";
import { Softplus } from "../operators/softplus.js";
import { Softsign } from "../operators/softsign.js";
import { SpaceToDepth } from "../operators/space_to_depth.js";
import { Split } from "../operators/split.js";
import { Sqrt } from "../operators/sqrt.js";
import { Squeeze } from "../operators/squeeze.js";
import { Sub } from "../operators/sub.js";
import { Sum } from "../operators/sum.js";
import { Tan } from "../operators/tan.js";
import { Tanh } from "../operators/tanh.js";
import { ThresholdedRelu } from "../operators/thresholded_relu.js";
import { Tile } from "../operators/tile.js";
import { TopK } from "../operators/top_k.js";
import { Transpose } from "../operators/transpose.js";
import { Trilu } from "../operators/trilu.js";
import { Unsqueeze } from "../operators/unsqueeze.js";
import { Upsample } from "../operators/upsample.js";
import { Where } from "../operators/where.js";
import { Xor } from "../operators/xor.js";

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
  ReduceLogSum,
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

/** The names of the composites. */
export const compositeOperators: readonly string[] = [...composites.keys()];

/** Operators of ONNX Runtime that the standard has too, with the same meaning; the runtime's take more types. */
const ofRuntime: ReadonlyMap<string, OpDefinition> = new Map(
  [DequantizeLinear, QuantizeLinear].map((definition) => [definition.type, definition]),
);

/** The definition of a node's operator; undefined for custom domains and operators Penni does not know. */
export function findOp(node: Pick<Node, "op" | "domain">): OpDefinition | undefined {
  if (node.domain === PENNI_DOMAIN) return composites.get(node.op);
  if (node.domain === "com.microsoft") return ofRuntime.get(node.op);
  return node.domain === "" || node.domain === "ai.onnx" ? byType.get(node.op) : undefined;
}
