import { inputOf, present } from "../../graph/at.js";
import { floatAttributeOr, intAttribute } from "../../graph/attributes.js";
import { firstOf } from "../../graph/operands.js";
import { float32Data } from "../../graph/tensor.js";
import type { Node, Tensor } from "../../graph/types.js";
import {
  type ChannelContext,
  type ChannelFlow,
  type ChannelRule,
  firstConstants,
  identityPairs,
  type LaneConstants,
  laneConstant,
  wall,
  withInputs,
} from "../core/channels.js";
import { laneWise } from "./lanewise.js";

/** A normalization with a scale per lane. */
interface LaneNormalization {
  readonly node: Node;
  readonly lanes: number;
  /** Inputs with one parameter per lane. */
  readonly ports: readonly number[];
  readonly constants: LaneConstants;
}

/** The flow of a normalization that treats every lane by itself with its own parameters. */
function normalizationFlow({ node, lanes, ports, constants }: LaneNormalization): ChannelFlow {
  return {
    ties: [{ input: 0, output: 0, pairs: identityPairs(lanes) }],
    carried: [0],
    constants: [constants],
    rewrite: (edit) => {
      const kept = edit.output(0);
      const sliced = ports.map((port) => [port, edit.select(inputOf(node, port), [kept])] as const);
      return [withInputs(node, new Map(sliced))];
    },
  };
}

/** The parameters at these inputs as numbers; undefined unless all are float32 constants. */
function parametersAt(
  context: ChannelContext,
  ports: readonly number[],
): readonly Float32Array[] | undefined {
  const tensors = ports.map((port) => context.initializer(port));
  if (!tensors.every((tensor): tensor is Tensor => tensor?.type === "float32")) return undefined;
  return tensors.map(float32Data);
}

const noParameters = wall("its parameters are not float32 constants");
const unknownChannels = wall("the number of input channels is not known");
const parameterPorts = [1, 2, 3, 4];

/**
 * BatchNormalization: y = scale * (x - mean) / sqrt(var + epsilon) + bias per lane. With statistics of the batch a
 * constant lane is its own mean, so it becomes the constant `bias`. A lane with scale 0 is `bias` too, but
 * networks start training with such scales: only for inference is that final.
 */
export const batchNormalizationChannels: ChannelRule = (context) => {
  const { node, lanes, constants, mode } = context;
  const [channels] = lanes;
  if (channels === undefined) return unknownChannels;
  if (intAttribute(node, "training_mode") === 1)
    return wall("it normalises with the statistics of the batch");
  const parameters = parametersAt(context, parameterPorts);
  if (parameters === undefined) return noParameters;
  const [scale, bias, mean, variance] = firstOf(parameters, 4);
  const epsilon = floatAttributeOr(node, "epsilon", 1e-5);
  const normalise = (x: number | undefined, lane: number): number | undefined => {
    const gain = present(scale[lane]);
    const shift = present(bias[lane]);
    if (gain === 0 && mode === "inference") return shift;
    if (x === undefined) return undefined;
    if (mode === "batch") return shift;
    return (gain * (x - present(mean[lane]))) / Math.sqrt(present(variance[lane]) + epsilon) + shift;
  };
  return normalizationFlow({
    node,
    lanes: channels,
    ports: parameterPorts,
    constants: firstConstants({ constants }).map((x, lane) => laneConstant(normalise(x, lane))),
  });
};

/**
 * InstanceNormalization: every lane of every sample by its own mean and variance, so that a constant leaves as the
 * bias, and so does everything where the scale is 0 (final for inference only, as above).
 */
export const instanceNormalizationChannels: ChannelRule = (context) => {
  const { node, lanes, constants, mode } = context;
  const [channels] = lanes;
  if (channels === undefined) return unknownChannels;
  const parameters = parametersAt(context, [1, 2]);
  if (parameters === undefined) return noParameters;
  const [scale, bias] = firstOf(parameters, 2);
  const isFlat = (x: number | undefined, lane: number): boolean =>
    x !== undefined || (mode === "inference" && scale[lane] === 0);
  return normalizationFlow({
    node,
    lanes: channels,
    ports: [1, 2],
    constants: firstConstants({ constants }).map((x, lane) => (isFlat(x, lane) ? bias[lane] : undefined)),
  });
};

/** Softmax, LayerNormalization and the like, where the axes that they normalise over leave the channels alone. */
export function alongAxesChannels(
  axesOf: (context: ChannelContext, rank: number) => readonly number[],
): ChannelRule {
  return laneWise({
    unless: (context) => {
      const rank = context.inputs[0]?.shape?.length;
      if (rank === undefined) return "the shape is not known";
      return axesOf(context, rank).some((axis) => axis < 2) ? "it normalises over the channels" : undefined;
    },
  });
}
