import { at } from "../../graph/at.js";
import { ints } from "../../graph/attributes.js";
import { PenniError } from "../../graph/errors.js";
import { shapeError } from "../../graph/shape_error.js";
import { elementCount } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";
import { compositeInputs } from "../core/composite.js";
import type { OpDefinition } from "../core/definition.js";
import { onlyInTraining } from "../core/definition.js";
import { add, slice } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import type { StaticWindow } from "../core/window.js";
import { poolWindow } from "../families/pool.js";

/**
 * Gradient of MaxPool, a composite with its attributes: dy, x and y -> dx, which is dy at the first maximum of each
 * window, as in PyTorch; where windows overlap, the sum. (On blocked values equal maxima share dy evenly.)
 */
export const MaxPoolGradient: OpDefinition = {
  type: "MaxPoolGradient",
  gradient: onlyInTraining,
  channels: onlyInTraining,
  cost: onlyInTraining,
  onBlocks: true,
  shape: ({ node, inputs: [, x] }) => {
    if (x === undefined) throw shapeError(node, "the type of an input is unknown");
    return [x];
  },
  expand: (b, node) => {
    const [dy, x] = compositeInputs(node, 3);
    const dims = b.dims(x);
    const indices = maximumIndices(b, node, x);
    const parts = disjointGroups(node, poolWindow(node, dims)).map((group) =>
      scatter(b, everyOther(b, dy, group), everyOther(b, indices, group), dims.slice(2)),
    );
    return [parts.reduce((sum, part) => add(b, sum, part))];
  },
};

/** The flat row-major index in x of each window's first maximum. */
function maximumIndices(b: Emitter, node: Node, x: string): string {
  const { storage_order, ...attributes } = Object.fromEntries(node.attributes);
  const indices = b.freshName("maximum_indices");
  b.emit("MaxPool", [x], { outputs: [b.freshName("maximum"), indices], attributes });
  return indices;
}

/** Every `step`-th window from `start` on, along one spatial axis. */
interface Stride {
  readonly start: number;
  readonly step: number;
}

/** Each group is a handful of nodes. Windows of 31x31 at every element make fewer. */
const MOST_GROUPS = 1024;

/**
 * Splits the windows into groups whose members do not overlap, so that no element of x is the maximum of two
 * windows of a group. Each group is a stride by spatial axis; there is one group if the windows are disjoint.
 */
function disjointGroups(
  node: Node,
  { kernel, strides, dilations, output }: StaticWindow,
): readonly (readonly Stride[])[] {
  const steps = kernel.map((size, axis) => {
    const extent = (size - 1) * at(dilations, axis) + 1;
    return Math.min(Math.ceil(extent / at(strides, axis)), at(output, axis));
  });
  checkGroupCount(node, elementCount(steps));
  return steps.reduce<readonly (readonly Stride[])[]>(
    (groups, step) =>
      groups.flatMap((group) => Array.from({ length: step }, (_, start) => [...group, { start, step }])),
    [[]],
  );
}

function checkGroupCount(node: Node, count: number): void {
  if (count <= MOST_GROUPS) return;
  throw new PenniError(
    "unsupported",
    "the gradient of windows that overlap as much as this is not supported",
    {
      node: node.name,
      op: node.op,
      expected: `at most ${MOST_GROUPS} windows over an element`,
      found: `${count}`,
    },
  );
}

function everyOther(b: Emitter, x: string, group: readonly Stride[]): string {
  const ranges = group.flatMap(({ start, step }, axis) =>
    step === 1 ? [] : [{ axis: axis + 2, start, end: Infinity, step }],
  );
  return ranges.length === 0 ? x : slice(b, x, ranges);
}

/**
 * Zeros of the given spatial size with dy at the flat indices. MaxUnpool knows the size of its output as
 * (windows - 1)·stride + kernel; the stride and kernel here are chosen to give `input`, whatever the pooling's.
 */
function scatter(b: Emitter, dy: string, indices: string, input: readonly number[]): string {
  const windows = b.dims(dy).slice(2);
  const strides = input.map((size, axis) => {
    const intervals = at(windows, axis) - 1;
    return intervals === 0 ? 1 : Math.floor((size - 1) / intervals);
  });
  const kernel = input.map((size, axis) => size - (at(windows, axis) - 1) * at(strides, axis));
  return b.emit("MaxUnpool", [dy, indices], {
    attributes: { kernel_shape: ints(kernel), strides: ints(strides) },
  });
}
