import { int, intAttribute } from "../../graph/attributes.js";
import { elementCount, float32Data, int64Tensor } from "../../graph/tensor.js";
import type { Node, Tensor } from "../../graph/types.js";
import {
  type ChannelContext,
  type ChannelRule,
  type LaneConstants,
  type LaneEditor,
  type Tie,
  type Wall,
  wall,
  withAttributes,
  withInputs,
} from "../channels.js";
import type { Decomposition } from "../decomposition.js";
import { resolveWindow } from "../window.js";
import { type MixingFlow, type MixingLayer, mixingFlow } from "./mixing.js";
import { withBias } from "./parameters.js";

/**
 * The kernels of a convolution, dense or decomposed, as vectors of length n: the taps themselves, or the
 * coefficients over a basis. Either way a kernel is linear in its vector.
 */
interface Kernels {
  readonly name: string;
  /** [K, C / group, n], row-major. */
  readonly rows: Float32Array;
  readonly outputs: number;
  readonly perGroup: number;
  readonly length: number;
  /** For each entry of a vector, the sum of the taps it stands for. */
  readonly tapSums: readonly number[];
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
  const [channels] = context.lanes;
  const groups = intAttribute(context.node, "group") ?? 1;
  if (channels === undefined || channels !== groups * kernels.perGroup)
    return wall("the number of channels is not known");
  const bias = context.initializer(2);
  if ((context.node.inputs[2] ?? "") !== "" && bias?.type !== "float32")
    return wall("its bias is not a float32 constant");

  const layer = mixingLayer(context, kernels, channels, groups, bias);
  const mixing = mixingFlow(layer);
  const rewrite = { context, kernels, layer, mixing };
  const common = { carried: [0], constants: [mixing.outputConstants] };
  if (groups > 1) {
    return { ...common, ties: groupTies(kernels, groups), rewrite: (edit) => rewriteGrouped(rewrite, edit) };
  }
  return { ...common, ties: [], reads: mixing.reads, rewrite: (edit) => rewriteDense(rewrite, edit) };
};

function readKernels(context: ChannelContext): Kernels | Wall {
  const { decomposition, node } = context;
  const tensor = decomposition?.coefs.tensor ?? context.initializer(1);
  const name = decomposition?.coefs.name ?? node.inputs[1] ?? "";
  const [outputs, perGroup] = tensor?.dims ?? [];
  if (tensor?.type !== "float32" || outputs === undefined || perGroup === undefined) {
    return wall("its weight is not a float32 constant");
  }
  const rows = float32Data(tensor);
  const length = elementCount(tensor.dims.slice(2));
  const taps = decomposition?.dims.kernel ?? tensor.dims.slice(2);
  const tapSums =
    decomposition === undefined ? Array.from({ length }, () => 1) : rowSums(decomposition.basis.tensor);
  return { name, rows, outputs, perGroup, length, tapSums, taps, decomposition };
}

function rowSums(matrix: Tensor): readonly number[] {
  const [rows = 0, columns = 0] = matrix.dims;
  const data = float32Data(matrix);
  return Array.from({ length: rows }, (_, row) =>
    data.subarray(row * columns, (row + 1) * columns).reduce((sum, value) => sum + value, 0),
  );
}

function mixingLayer(
  context: ChannelContext,
  kernels: Kernels,
  inputs: number,
  groups: number,
  biasTensor: Tensor | undefined,
): MixingLayer {
  const { rows, outputs, perGroup, length, tapSums } = kernels;
  const bias = biasTensor === undefined ? undefined : float32Data(biasTensor);
  const perGroupOutputs = outputs / groups;
  /** Where the kernel from input c to output k starts; undefined if they are in different groups. */
  const start = (k: number, c: number): number | undefined => {
    const local = c - Math.floor(k / perGroupOutputs) * perGroup;
    return local < 0 || local >= perGroup ? undefined : (k * perGroup + local) * length;
  };
  return {
    inputs,
    outputs,
    padded: isPadded(context, kernels.taps),
    constants: context.constants[0] ?? [],
    bias: (k) => bias?.[k] ?? 0,
    connected: (k, c) => {
      const at = start(k, c);
      if (at === undefined) return false;
      for (let index = 0; index < length; index++) if (rows[at + index] !== 0) return true;
      return false;
    },
    gain: (k, c) => {
      const at = start(k, c);
      if (at === undefined) return 0;
      return tapSums.reduce((sum, taps, index) => sum + taps * (rows[at + index] ?? 0), 0);
    },
  };
}

function isPadded({ node, inputs }: ChannelContext, kernel: readonly number[]): boolean {
  const inputSpatial = inputs[0]?.shape?.slice(2) ?? [];
  const { pads } = resolveWindow({ node, inputSpatial, kernel });
  return pads === undefined || pads.some((pad) => pad !== 0);
}

function groupTies({ outputs, perGroup }: Kernels, groups: number): readonly Tie[] {
  const perGroupOutputs = outputs / groups;
  const pairs = Array.from({ length: groups }, (_, group) => {
    const firstInput = group * perGroup;
    const firstOutput = group * perGroupOutputs;
    const ins = Array.from({ length: perGroup }, (_, c) => [firstInput + c, firstOutput] as const);
    const outs = Array.from({ length: perGroupOutputs }, (_, k) => [firstInput, firstOutput + k] as const);
    return [...ins, ...outs];
  });
  return [{ input: 0, output: 0, pairs: pairs.flat() }];
}

interface Rewrite {
  readonly context: ChannelContext;
  readonly kernels: Kernels;
  readonly layer: MixingLayer;
  readonly mixing: MixingFlow;
}

function rewriteGrouped(rewrite: Rewrite, edit: LaneEditor): readonly Node[] {
  const { context, kernels } = rewrite;
  const { name, perGroup } = kernels;
  const outputs = edit.output(0);
  const node = withAttributes(context.node, { group: int(edit.input(0).length / perGroup) });
  const stored = edit.select(name, [outputs]);
  return withKernels(kernels, edit, rewriteBias(rewrite, edit, node), stored, [outputs.length, perGroup]);
}

function rewriteDense(rewrite: Rewrite, edit: LaneEditor): readonly Node[] {
  const { context, kernels } = rewrite;
  const inputs = edit.input(0);
  const outputs = edit.output(0);
  const stored = edit.select(kernels.name, [outputs, inputs], (elements) => {
    mergeConstants(rewrite, inputs, outputs, elements);
  });
  const node = rewriteBias(rewrite, edit, context.node);
  return withKernels(kernels, edit, node, stored, [outputs.length, inputs.length]);
}

/** Adds to the representative's kernels, in the kept ones [outputs, inputs, n], those of the constant lanes that go. */
function mergeConstants(
  { kernels, layer, mixing }: Rewrite,
  inputs: readonly number[],
  outputs: readonly number[],
  elements: Float32Array,
): void {
  const merged = layer.padded ? mergedLanes(layer.constants, new Set(inputs)) : [];
  const column = inputs.indexOf(mixing.representative ?? -1);
  const unit = layer.constants[mixing.representative ?? -1];
  if (column < 0 || unit === undefined || merged.length === 0) return;
  const { rows, perGroup, length } = kernels;
  outputs.forEach((k, row) => {
    const to = (row * inputs.length + column) * length;
    for (let index = 0; index < length; index++) {
      let sum = elements[to + index] ?? 0;
      for (const { lane, value } of merged)
        sum += ((rows[(k * perGroup + lane) * length + index] ?? 0) * value) / unit;
      elements[to + index] = sum;
    }
  });
}

/** Non-zero constant lanes that go. */
function mergedLanes(
  constants: LaneConstants,
  kept: ReadonlySet<number>,
): readonly { lane: number; value: number }[] {
  return constants.flatMap((value, lane) =>
    value === undefined || value === 0 || kept.has(lane) ? [] : [{ lane, value }],
  );
}

function rewriteBias({ mixing }: Rewrite, edit: LaneEditor, node: Node): Node {
  const kept = new Set(edit.input(0));
  const values = edit.output(0).map((k) => mixing.foldedBias(k, kept));
  return withBias({ node, axis: 0 }, edit, values);
}

/** The convolution over new kernels [K, C, n], behind the nodes that compute its weight if it is decomposed. */
function withKernels(
  { taps, decomposition }: Kernels,
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
