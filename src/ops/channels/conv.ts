import { int, intAttribute } from "../../graph/attributes.js";
import { elementCount, float32Data, float32Tensor, int64Tensor } from "../../graph/tensor.js";
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

/**
 * The kernels of a convolution, dense or decomposed, as vectors of length n: the taps themselves, or the
 * coefficients over a basis. Either way a kernel is linear in its vector.
 */
interface Kernels {
  readonly tensor: Tensor;
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
  return { tensor, name, rows, outputs, perGroup, length, tapSums, taps, decomposition };
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

function rewriteGrouped({ context, kernels, layer, mixing }: Rewrite, edit: LaneEditor): readonly Node[] {
  const { rows, perGroup, length } = kernels;
  const block = perGroup * length;
  const outputs = edit.output(0);
  const kept = new Float32Array(outputs.length * block);
  outputs.forEach((k, at) => {
    kept.set(rows.subarray(k * block, (k + 1) * block), at * block);
  });
  const node = withAttributes(context.node, { group: int(edit.input(0).length / perGroup) });
  const withBias = rewriteBias({ context, kernels, layer, mixing }, edit, node);
  return withKernels(kernels, edit, withBias, [outputs.length, perGroup], kept);
}

function rewriteDense(rewrite: Rewrite, edit: LaneEditor): readonly Node[] {
  const { context, kernels, layer, mixing } = rewrite;
  const { rows, perGroup, length } = kernels;
  const inputs = edit.input(0);
  const outputs = edit.output(0);
  const merged = layer.padded ? mergedLanes(layer.constants, new Set(inputs)) : [];
  const unit = layer.constants[mixing.representative ?? -1] ?? 1;
  const kept = new Float32Array(outputs.length * inputs.length * length);
  outputs.forEach((k, row) => {
    inputs.forEach((c, column) => {
      const to = (row * inputs.length + column) * length;
      const from = (k * perGroup + c) * length;
      kept.set(rows.subarray(from, from + length), to);
      if (c !== mixing.representative) return;
      for (let index = 0; index < length; index++) {
        let sum = rows[from + index] ?? 0;
        for (const { lane, value } of merged)
          sum += ((rows[(k * perGroup + lane) * length + index] ?? 0) * value) / unit;
        kept[to + index] = sum;
      }
    });
  });
  return withKernels(
    kernels,
    edit,
    rewriteBias(rewrite, edit, context.node),
    [outputs.length, inputs.length],
    kept,
  );
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

function rewriteBias({ context, mixing }: Rewrite, edit: LaneEditor, node: Node): Node {
  const kept = new Set(edit.input(0));
  const values = edit.output(0).map((k) => mixing.foldedBias(k, kept));
  const name = context.node.inputs[2] ?? "";
  if (name === "" && values.every((value) => value === 0)) return node;
  const tensor = float32Tensor([values.length], values);
  const stored =
    name === "" ? edit.add(`${node.outputs[0] ?? node.name}.bias`, tensor) : edit.write(name, tensor);
  return withInputs(node, new Map([[2, stored]]));
}

/** The convolution over new kernels [K, C, n], behind the nodes that compute its weight if it is decomposed. */
function withKernels(
  { tensor, name, taps, decomposition }: Kernels,
  edit: LaneEditor,
  node: Node,
  dims: readonly [number, number],
  rows: Float32Array,
): readonly Node[] {
  const stored = edit.write(name, float32Tensor([...dims, ...tensor.dims.slice(2)], rows));
  if (decomposition === undefined) return [withInputs(node, new Map([[1, stored]]))];
  const shape = edit.write(decomposition.shape, int64Tensor([2 + taps.length], [...dims, ...taps]));
  return [
    withInputs(decomposition.matmul, new Map([[0, stored]])),
    withInputs(decomposition.reshape, new Map([[1, shape]])),
    node,
  ];
}
