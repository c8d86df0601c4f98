import { inputOf, outputOf, present } from "../../graph/at.js";
import { int, intAttributeOr } from "../../graph/attributes.js";
import { firstOf } from "../../graph/operands.js";
import { elementCount, float32Data, float32Tensor, int64Tensor } from "../../graph/tensor.js";
import type { Node, Tensor } from "../../graph/types.js";
import type { Decomposition } from "../../layers/decomposition.js";
import {
  type ChannelContext,
  type ChannelRule,
  firstConstants,
  type LaneEditor,
  type Wall,
  wall,
  withAttributes,
  withInputs,
} from "../core/channels.js";
import { resolveWindow, staticWindow } from "../core/window.js";
import { innerTaps } from "./border.js";
import { groupTies, type Kernels, kernelVector, mixingLayer, selectKernels } from "./kernels.js";
import { type MixingFlow, type MixingLayer, mergedLanes, mixingFlow } from "./mixing.js";
import { constantBias, withBias } from "./parameters.js";

/** Of a Conv also the extents of its kernels, and where they come from. */
interface ConvKernels extends Kernels {
  readonly taps: readonly number[];
  readonly decomposition: Decomposition | undefined;
}

/**
 * Conv. With one group, an output channel reads the input channels whose kernels are not zero; with several,
 * the channels of a group stay or go together.
 */
export const convChannels: ChannelRule = (context) => {
  const kernels = readKernels(context);
  if ("wall" in kernels) return kernels;
  const bias = constantBias(context);
  if (typeof bias === "object") return bias;
  const padded = isPadded(context, kernels.taps);
  const border = padded && kernels.groups === 1 ? borderOf(context, kernels.taps) : undefined;
  const layer = mixingLayer(kernels, {
    padded,
    mapped: context.borderMap && border !== undefined,
    constants: firstConstants(context),
    bias,
  });
  const mixing = mixingFlow(layer);
  return {
    carried: [0],
    constants: [mixing.outputConstants],
    ...(border === undefined || mixing.representative === undefined
      ? {}
      : { border: { positions: border.length, taps: elementCount(kernels.taps) } }),
    ...(kernels.groups > 1 ? { ties: groupTies(kernels) } : { ties: [], reads: mixing.reads }),
    rewrite: (edit) => rewriteConv({ context, kernels, layer, mixing, border }, edit),
  };
};

/** Taps of all windows together up to which borders are looked at: 7x7 kernels on a map of 146x146. */
const LARGEST_BORDER = 2 ** 20;

/** The taps inside the map at each position of the output; undefined where that is not known or too much. */
function borderOf({ node, inputs }: ChannelContext, kernel: readonly number[]): Border | undefined {
  const spatial = present(inputs[0]?.shape).slice(2);
  if (!spatial.every((dim): dim is number => typeof dim === "number")) return undefined;
  const window = staticWindow({ node, inputSpatial: spatial, kernel });
  if (elementCount(window.output) * elementCount(kernel) > LARGEST_BORDER) return undefined;
  return innerTaps(window, spatial);
}

function readKernels(context: ChannelContext): ConvKernels | Wall {
  const { decomposition, node, lanes } = context;
  const tensor = decomposition?.coefs.tensor ?? context.initializer(1);
  const [outputs, perGroup] = [tensor?.dims[0], tensor?.dims[1]];
  if (tensor?.type !== "float32" || outputs === undefined || perGroup === undefined) {
    return wall("its weight is not a float32 constant");
  }
  const groups = intAttributeOr(node, "group", 1);
  const inputs = groups * perGroup;
  if (lanes[0] !== inputs) return wall("the number of channels is not known");
  const length = elementCount(tensor.dims.slice(2));
  return {
    name: decomposition?.coefs.name ?? inputOf(node, 1),
    rows: float32Data(tensor),
    outputsFirst: true,
    outputs,
    inputs,
    groups,
    length,
    taps: decomposition?.dims.kernel ?? tensor.dims.slice(2),
    tapSums:
      decomposition === undefined ? Array.from({ length }, () => 1) : rowSums(decomposition.basis.tensor),
    decomposition,
  };
}

function rowSums(matrix: Tensor): readonly number[] {
  const [rows, columns] = firstOf(matrix.dims, 2);
  const data = float32Data(matrix);
  return Array.from({ length: rows }, (_, row) =>
    data.subarray(row * columns, (row + 1) * columns).reduce((sum, value) => sum + value, 0),
  );
}

function isPadded({ node, inputs }: ChannelContext, kernel: readonly number[]): boolean {
  const inputSpatial = present(inputs[0]?.shape).slice(2);
  const { pads } = resolveWindow({ node, inputSpatial, kernel });
  return pads === undefined || pads.some((pad) => pad !== 0);
}

type Border = ReturnType<typeof innerTaps>;

interface Rewrite {
  readonly context: ChannelContext;
  readonly kernels: ConvKernels;
  readonly layer: MixingLayer;
  readonly mixing: MixingFlow;
  readonly border: Border | undefined;
}

function rewriteConv(rewrite: Rewrite, edit: LaneEditor): readonly Node[] {
  const { context, kernels, layer, mixing } = rewrite;
  const { inputs, groups } = kernels;
  const stored = selectKernels(kernels, edit, layer, mixing);
  const kept = edit.input(0);
  const group = (groups * kept.length) / inputs;
  const grouped = groups > 1 ? withAttributes(context.node, { group: int(group) }) : context.node;
  const keptSet = new Set(kept);
  const values = edit.output(0).map((k) => mixing.foldedBias(k, keptSet));
  const node = withBias({ node: grouped, axis: 0 }, edit, values);
  const dims = [edit.output(0).length, groups > 1 ? inputs / groups : kept.length] as const;
  const replaced = withKernels(kernels, edit, node, stored, dims);
  return layer.mapped === true ? withBorderMap(rewrite, edit, replaced) : replaced;
}

/** The convolution and behind it an Add of what the constant lanes that went contribute, position by position. */
function withBorderMap(
  { context, kernels, layer, border = [] }: Rewrite,
  edit: LaneEditor,
  replaced: readonly Node[],
): readonly Node[] {
  const merged = mergedLanes(layer.constants, new Set(edit.input(0)));
  const y = outputOf(context.node, 0);
  if (merged.length === 0) return replaced;
  const kept = edit.output(0);
  const values = kept.flatMap((k) => {
    const taps = combinedTaps(kernels, k, merged);
    return border.map((inside) => inside.reduce((sum, tap) => sum + present(taps[tap]), 0));
  });
  const dims = [1, kept.length, ...present(context.outputs[0]?.shape).slice(2).map(Number)];
  const map = edit.add(`${y}.border`, float32Tensor(dims, values));
  const inner = edit.fresh(`${y}.inner`);
  return [
    ...replaced.map((node) => (node.outputs[0] === y ? { ...node, outputs: [inner] } : node)),
    {
      name: edit.fresh(`${y}/Add`),
      op: "Add",
      domain: "",
      inputs: [inner, map],
      outputs: [y],
      attributes: new Map(),
    },
  ];
}

/** The taps with which output k reads these constant lanes, times their constants, summed up. */
function combinedTaps(kernels: ConvKernels, k: number, lanes: ReturnType<typeof mergedLanes>): Float64Array {
  const taps = new Float64Array(elementCount(kernels.taps));
  const basis =
    kernels.decomposition === undefined ? undefined : float32Data(kernels.decomposition.basis.tensor);
  for (const { lane, value } of lanes) {
    kernelVector(kernels, k, lane)?.forEach((entry, index) => {
      if (basis === undefined) taps[index] = present(taps[index]) + value * entry;
      else
        for (let tap = 0; tap < taps.length; tap++)
          taps[tap] = present(taps[tap]) + value * entry * present(basis[index * taps.length + tap]);
    });
  }
  return taps;
}

/** The convolution over new kernels [K, C, n], behind the nodes that compute its weight if it is decomposed. */
function withKernels(
  { taps, decomposition }: ConvKernels,
  edit: LaneEditor,
  node: Node,
  stored: string,
  dims: readonly [number, number],
): readonly Node[] {
  if (decomposition === undefined) return [withInputs(node, new Map([[1, stored]]))];
  const shape = edit.write(decomposition.shape, int64Tensor([2 + taps.length], [...dims, ...taps]));
  return [
    withInputs(decomposition.matmul, new Map([[0, stored]])),
    withInputs(decomposition.reshape, new Map([[1, shape]])),
    node,
  ];
}
