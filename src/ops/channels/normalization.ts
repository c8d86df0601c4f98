import { floatAttribute, intAttribute } from "../../graph/attributes.js";
import { float32Data } from "../../graph/tensor.js";
import type { Tensor } from "../../graph/types.js";
import { type ChannelRule, identityPairs, laneConstant, wall, withInputs } from "../channels.js";

const parameterPorts = [1, 2, 3, 4];

/**
 * BatchNormalization: y = scale * (x - mean) / sqrt(var + epsilon) + bias per lane. With statistics of the batch a
 * constant lane is its own mean, so it becomes the constant `bias`. A lane with scale 0 is `bias` too, but
 * networks start training with such scales: only for inference is that final.
 */
export const batchNormalizationChannels: ChannelRule = (context) => {
  const { node, lanes, constants, mode } = context;
  const [channels] = lanes;
  if (channels === undefined) return wall("the number of input channels is not known");
  if (intAttribute(node, "training_mode") === 1)
    return wall("it normalises with the statistics of the batch");
  const tensors = parameterPorts.map((port) => context.initializer(port));
  if (!tensors.every((tensor): tensor is Tensor => tensor?.type === "float32")) {
    return wall("its parameters are not float32 constants");
  }
  const [scale, bias, mean, variance] = tensors.map(float32Data);
  const epsilon = floatAttribute(node, "epsilon") ?? 1e-5;
  const normalise = (x: number | undefined, lane: number): number | undefined => {
    const gain = scale?.[lane] ?? 0;
    const shift = bias?.[lane] ?? 0;
    if (gain === 0 && mode === "inference") return shift;
    if (x === undefined) return undefined;
    if (mode === "batch") return shift;
    return (gain * (x - (mean?.[lane] ?? 0))) / Math.sqrt((variance?.[lane] ?? 0) + epsilon) + shift;
  };
  return {
    ties: [{ input: 0, output: 0, pairs: identityPairs(channels) }],
    carried: [0],
    constants: [(constants[0] ?? []).map((x, lane) => laneConstant(normalise(x, lane)))],
    rewrite: (edit) => {
      const kept = edit.output(0);
      const sliced = parameterPorts.map(
        (port) => [port, edit.select(node.inputs[port] ?? "", [kept])] as const,
      );
      return [withInputs(node, new Map(sliced))];
    },
  };
};
