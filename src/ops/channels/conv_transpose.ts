import { inputOf } from "../../graph/at.js";
import { int, intAttributeOr } from "../../graph/attributes.js";
import { elementCount, float32Data } from "../../graph/tensor.js";
import {
  type ChannelContext,
  type ChannelRule,
  firstConstants,
  type Wall,
  wall,
  withAttributes,
  withInputs,
} from "../core/channels.js";
import { groupTies, type Kernels, mixingLayer, selectKernels } from "./kernels.js";
import { mixingFlow } from "./mixing.js";
import { constantBias, withBias } from "./parameters.js";

/**
 * ConvTranspose: as Conv, with the weight as [C, K / group, ...]. How many taps meet differs from position to
 * position, so a constant other than zero does not stay one, as with zero padding in Conv.
 */
export const convTransposeChannels: ChannelRule = (context) => {
  const kernels = readKernels(context);
  if ("wall" in kernels) return kernels;
  const bias = constantBias(context);
  if (typeof bias === "object") return bias;
  const layer = mixingLayer(kernels, { padded: true, constants: firstConstants(context), bias });
  const mixing = mixingFlow(layer);
  return {
    carried: [0],
    constants: [mixing.outputConstants],
    ...(kernels.groups > 1 ? { ties: groupTies(kernels) } : { ties: [], reads: mixing.reads }),
    rewrite: (edit) => {
      const stored = selectKernels(kernels, edit, layer, mixing);
      const group = int((kernels.groups * edit.input(0).length) / kernels.inputs);
      const node = kernels.groups > 1 ? withAttributes(context.node, { group }) : context.node;
      return [
        withBias({ node: withInputs(node, new Map([[1, stored]])), axis: 0 }, edit, edit.output(0).map(bias)),
      ];
    },
  };
};

function readKernels(context: ChannelContext): Kernels | Wall {
  const { node, lanes } = context;
  const tensor = context.initializer(1);
  const [inputs, perGroup] = [tensor?.dims[0], tensor?.dims[1]];
  if (tensor?.type !== "float32" || inputs === undefined || perGroup === undefined)
    return wall("its weight is not a float32 constant");
  if (lanes[0] !== inputs) return wall("the number of channels is not known");
  const groups = intAttributeOr(node, "group", 1);
  const length = elementCount(tensor.dims.slice(2));
  return {
    name: inputOf(node, 1),
    rows: float32Data(tensor),
    outputsFirst: false,
    outputs: perGroup * groups,
    inputs,
    groups,
    length,
    tapSums: Array.from({ length }, () => 1),
  };
}
