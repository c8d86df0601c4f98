import { present } from "../../graph/at.js";
import type { LaneEditor, Tie } from "../core/channels.js";
import { type MixingFlow, type MixingLayer, mergedLanes } from "./mixing.js";

/**
 * The kernels of a convolution, plain or transposed, dense or decomposed, as vectors of length n: the taps
 * themselves, or the coefficients over a basis. Either way a kernel is linear in its vector.
 */
export interface Kernels {
  /** The initializer with the vectors. */
  readonly name: string;
  /** [K, C / groups, n] or, unless `outputsFirst`, [C, K / groups, n]; row-major. */
  readonly rows: Float32Array;
  readonly outputsFirst: boolean;
  readonly outputs: number;
  readonly inputs: number;
  readonly groups: number;
  readonly length: number;
  /** For each entry of a vector, the sum of the taps it stands for. */
  readonly tapSums: readonly number[];
}

/** The vector of the kernel from input c to output k; undefined if they are in different groups. */
export function kernelVector(kernels: Kernels, k: number, c: number): Float32Array | undefined {
  const at = kernelStart(kernels, k, c);
  return at === undefined ? undefined : kernels.rows.subarray(at, at + kernels.length);
}

/** Where the kernel from input c to output k starts; undefined if they are in different groups. */
function kernelStart(kernels: Kernels, k: number, c: number): number | undefined {
  const { outputs, inputs, groups, length, outputsFirst } = kernels;
  const [perGroupOut, perGroupIn] = [outputs / groups, inputs / groups];
  if (Math.floor(k / perGroupOut) !== Math.floor(c / perGroupIn)) return undefined;
  const row = outputsFirst ? k * perGroupIn + (c % perGroupIn) : c * perGroupOut + (k % perGroupOut);
  return row * length;
}

/** What besides its kernels decides what a convolution mixes. */
export type MixingSurroundings = Pick<MixingLayer, "padded" | "mapped" | "constants" | "bias">;

export function mixingLayer(kernels: Kernels, surroundings: MixingSurroundings): MixingLayer {
  const { rows, length, tapSums } = kernels;
  return {
    ...surroundings,
    inputs: kernels.inputs,
    outputs: kernels.outputs,
    connected: (k, c) => {
      const at = kernelStart(kernels, k, c);
      if (at === undefined) return false;
      for (let index = 0; index < length; index++) if (rows[at + index] !== 0) return true;
      return false;
    },
    gain: (k, c) => {
      const at = kernelStart(kernels, k, c);
      if (at === undefined) return 0;
      return tapSums.reduce((sum, taps, index) => sum + taps * present(rows[at + index]), 0);
    },
  };
}

/** The channels of a group, inputs and outputs, stay or go together. */
export function groupTies({ outputs, inputs, groups }: Kernels): readonly Tie[] {
  const [perGroupOut, perGroupIn] = [outputs / groups, inputs / groups];
  const pairs = Array.from({ length: groups }, (_, group) => {
    const firstInput = group * perGroupIn;
    const firstOutput = group * perGroupOut;
    const ins = Array.from({ length: perGroupIn }, (_, c) => [firstInput + c, firstOutput] as const);
    const outs = Array.from({ length: perGroupOut }, (_, k) => [firstInput, firstOutput + k] as const);
    return [...ins, ...outs];
  });
  return [{ input: 0, output: 0, pairs: pairs.flat() }];
}

/** Stores the kernels of the lanes that stay, with those of constant lanes that go in the representative's. */
export function selectKernels(
  kernels: Kernels,
  edit: LaneEditor,
  layer: MixingLayer,
  mixing: MixingFlow,
): string {
  const { name, groups, outputsFirst } = kernels;
  const [inputs, outputs] = [edit.input(0), edit.output(0)];
  if (groups > 1) return edit.select(name, [outputsFirst ? outputs : inputs]);
  return edit.select(name, outputsFirst ? [outputs, inputs] : [inputs, outputs], (elements) => {
    mergeConstants(kernels, layer, mixing, { inputs, outputs, elements });
  });
}

interface KeptKernels {
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Row-major, as `Kernels.rows`. */
  readonly elements: Float32Array;
}

/** Adds to the representative's kernels those of the constant lanes that go. */
function mergeConstants(
  kernels: Kernels,
  layer: MixingLayer,
  mixing: MixingFlow,
  { inputs, outputs, elements }: KeptKernels,
): void {
  const merged = layer.padded ? mergedLanes(layer.constants, new Set(inputs)) : [];
  const { representative } = mixing;
  if (representative === undefined) return;
  const column = inputs.indexOf(representative);
  const unit = layer.constants[representative];
  if (column < 0 || unit === undefined || merged.length === 0) return;
  const { rows, length, outputsFirst } = kernels;
  outputs.forEach((k, row) => {
    const to = (outputsFirst ? row * inputs.length + column : column * outputs.length + row) * length;
    for (let index = 0; index < length; index++) {
      let sum = present(elements[to + index]);
      for (const { lane, value } of merged)
        sum += (present(rows[present(kernelStart(kernels, k, lane)) + index]) * value) / unit;
      elements[to + index] = sum;
    }
  });
}
