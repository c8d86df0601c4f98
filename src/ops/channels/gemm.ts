import { at, hasInput, inputOf, present } from "../../graph/at.js";
import { floatAttributeOr } from "../../graph/attributes.js";
import { float32Data } from "../../graph/tensor.js";
import type { Node, Tensor } from "../../graph/types.js";
import { isSet } from "../core/arguments.js";
import {
  type ChannelContext,
  type ChannelFlow,
  type ChannelRule,
  firstConstants,
  type LaneEditor,
  type Wall,
  wall,
  withAttributes,
  withInputs,
} from "../core/channels.js";
import { laneWise } from "./lanewise.js";
import { mixingFlow } from "./mixing.js";
import { withBias } from "./parameters.js";

interface ProductLayer {
  readonly weight: Tensor;
  /** Axis of the weight along which the features [inputs, outputs] run. */
  readonly featureAxis: 0 | 1;
  readonly scale: number;
  readonly bias: (k: number) => number;
  /** Axis of the bias along which the outputs run; undefined if there is none, or it is scaled. */
  readonly biasAxis: number | undefined;
}

/** Gemm with a constant matrix: a feature is needed if its row of weights is not zero; constants fold into the bias. */
export const gemmChannels: ChannelRule = (context) => {
  const { node } = context;
  const weight = context.initializer(1);
  const bias = context.initializer(2);
  if (isSet(node, "transA")) return wall("it transposes its input");
  if (weight?.type !== "float32" || weight.dims.length !== 2)
    return wall("its weight is not a float32 constant");
  if (hasInput(node, 2) && bias?.type !== "float32") return wall("its bias is not a float32 constant");
  const featureAxis = isSet(node, "transB") ? 1 : 0;
  const outputs = at(weight.dims, 1 - featureAxis);
  const data = bias === undefined ? undefined : float32Data(bias);
  if (data !== undefined && data.length !== 1 && (data.length !== outputs || bias?.dims.at(-1) !== outputs)) {
    return wall("its bias differs from row to row");
  }
  const beta = floatAttributeOr(node, "beta", 1);
  return productFlow(context, {
    weight,
    featureAxis,
    scale: floatAttributeOr(node, "alpha", 1),
    bias: (k) => beta * (data === undefined ? 0 : present(data[data.length === 1 ? 0 : k])),
    biasAxis: beta === 1 && bias?.dims.at(-1) === outputs ? bias.dims.length - 1 : undefined,
  });
};

/** MatMul with a constant matrix: [N, C] behaves as Gemm; with more axes the channels pass through. */
export const matMulChannels: ChannelRule = (context) => {
  const weight = context.initializer(1);
  if (weight?.type !== "float32" || weight.dims.length !== 2)
    return wall("its right operand is not a float32 matrix");
  const rank = context.inputs[0]?.shape?.length;
  if (rank !== undefined && rank > 2) return laneWise({})(context);
  return productFlow(context, { weight, featureAxis: 0, scale: 1, bias: () => 0, biasAxis: undefined });
};

function productFlow(context: ChannelContext, layer: ProductLayer): ChannelFlow | Wall {
  const { weight, featureAxis, scale, bias } = layer;
  const [inputs] = context.lanes;
  if (inputs === undefined || inputs !== weight.dims[featureAxis])
    return wall("the number of features is not known");
  const data = float32Data(weight);
  const outputs = at(weight.dims, 1 - featureAxis);
  const weightOf = (k: number, c: number): number =>
    present(data[featureAxis === 0 ? c * outputs + k : k * inputs + c]);
  const mixing = mixingFlow({
    inputs,
    outputs,
    padded: false,
    constants: firstConstants(context),
    bias,
    connected: (k, c) => weightOf(k, c) !== 0,
    gain: (k, c) => scale * weightOf(k, c),
  });
  return {
    ties: [],
    carried: [0],
    reads: mixing.reads,
    constants: [mixing.outputConstants],
    rewrite: (edit) => {
      const kept = new Set(edit.input(0));
      const folded = edit.output(0).map((k) => mixing.foldedBias(k, kept));
      return [rewriteProduct(context.node, layer, folded, edit)];
    },
  };
}

function rewriteProduct(node: Node, layer: ProductLayer, folded: readonly number[], edit: LaneEditor): Node {
  const { featureAxis, biasAxis } = layer;
  const [inputs, outputs] = [edit.input(0), edit.output(0)];
  const stored = edit.select(inputOf(node, 1), featureAxis === 0 ? [inputs, outputs] : [outputs, inputs]);
  const sliced = withInputs(node, new Map([[1, stored]]));
  const biased = withBias({ node: sliced, axis: biasAxis }, edit, folded);
  if (biased === sliced) return sliced;
  // The stored bias already contains beta; a MatMul that got a bias is a Gemm.
  return { ...withAttributes(biased, { beta: undefined }), op: "Gemm" };
}
