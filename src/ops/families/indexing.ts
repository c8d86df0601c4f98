import { at, last, orDefault } from "../../graph/at.js";
import { int } from "../../graph/attributes.js";
import { PenniError } from "../../graph/errors.js";
import { firstOf } from "../../graph/operands.js";
import { shapeError } from "../../graph/shape_error.js";
import { elementCount, int64Tensor, numericData } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";
import { stridesOf } from "../core/dims.js";
import { add, mul, reduceSum, reshape } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { forEachPosition } from "../core/rearrange.js";
import { checkTable, mustBeConstant, unsupportedForm } from "../core/unsupported_form.js";

// What gathering and scattering operators have in common: positions in flat arrays.

/** Integers of an index tensor, those below 0 counted from the end of an axis. */
function countedFromFront(b: Emitter, indices: string, size: number | readonly number[]): string {
  const sizes = typeof size === "number" ? [size] : size;
  const whole = b.emit("Cast", [indices], { attributes: { to: int(7) } });
  const shifted = add(b, whole, b.axes(sizes));
  return b.emit("Where", [b.emit("Less", [whole, b.constant("zero", int64Tensor([], [0]))]), shifted, whole]);
}

/** For GatherElements and its like: each index along `axis` as a position in the flat data, [n]. */
export function elementPositions(
  b: Emitter,
  node: Node,
  indices: string,
  dataDims: readonly number[],
  axis: number,
): string {
  const dims = b.dims(indices);
  if (dims.length !== dataDims.length)
    throw shapeError(
      node,
      "the indices have another rank than the data",
      `${dataDims.length}`,
      `${dims.length}`,
    );
  checkTable(node, elementCount(dims));
  const strides = stridesOf(dataDims);
  const offsets: number[] = new Array(elementCount(dims));
  forEachPosition(dims, strides.with(axis, 0), 0, (order, position) => {
    offsets[order] = position;
  });
  const along = mul(b, countedFromFront(b, indices, at(dataDims, axis)), b.axes([at(strides, axis)]));
  return reshape(b, add(b, along, b.constant("offsets", int64Tensor(dims, offsets))), [-1]);
}

/** The blocks that the index vectors of GatherND and ScatterND name. */
export interface NamedBlocks {
  /** Number of each named block, [n] int64. */
  readonly rows: string;
  /** How many blocks the data have. */
  readonly count: number;
  /** Elements of one block. */
  readonly size: number;
}

/** Index vectors [..., m] behind `batchDims` axes that indices and data share. */
export function namedBlocks(
  b: Emitter,
  node: Node,
  indices: string,
  dataDims: readonly number[],
  batchDims = 0,
): NamedBlocks {
  const dims = b.dims(indices);
  const depth = last(dims);
  const indexed = dataDims.slice(batchDims, batchDims + depth);
  const strides = stridesOf(indexed);
  const perBatch = elementCount(indexed);
  const batches = elementCount(dataDims.slice(0, batchDims));
  checkTable(node, batches);
  const counted = countedFromFront(b, indices, indexed);
  const within = reduceSum(b, mul(b, counted, b.axes(strides)), [dims.length - 1], false);
  const inBatches = reshape(b, within, [batches, -1]);
  const starts = int64Tensor(
    [batches, 1],
    Array.from({ length: batches }, (_, batch) => batch * perBatch),
  );
  return {
    rows: reshape(b, batches === 1 ? inBatches : add(b, inBatches, b.constant("starts", starts)), [-1]),
    count: batches * perBatch,
    size: elementCount(dataDims.slice(batchDims + depth)),
  };
}

/** How scattered numbers meet what is there, and the number that changes nothing. */
const reductions: ReadonlyMap<string, { readonly op: string; readonly neutral: number }> = new Map([
  ["add", { op: "Add", neutral: 0 }],
  ["mul", { op: "Mul", neutral: 1 }],
  ["max", { op: "Max", neutral: -3.4028234663852886e38 }],
  ["min", { op: "Min", neutral: 3.4028234663852886e38 }],
]);

/** Updates of one place, one after the other. */
const MOST_LAYERS = 64;

/**
 * Data [rows, size] with update [n, size] number i put into row `targets[i]`, in order.
 * @throws PenniError "unsupported" if the targets are computed, or one is met by very many updates
 */
export function scatterRows(
  b: Emitter,
  node: Node,
  parts: { readonly data: string; readonly updates: string; readonly targets: string },
  reduction: string,
): string {
  const { data, updates } = parts;
  const [count, size] = firstOf(b.dims(data), 2);
  checkTable(node, count * size);
  const constant = b.constantTensor(parts.targets);
  if (constant === undefined) throw mustBeConstant(node, "indices");
  const targets = numericData(constant);
  const outside = targets.find((target) => target < 0 || target >= count);
  if (outside !== undefined) {
    throw new PenniError("bad-model", "an index is outside of what it is an index of", {
      node: node.name,
      op: node.op,
      expected: `0 to ${count - 1}`,
      found: `${outside}`,
    });
  }
  const rule = reductions.get(reduction);
  if (rule === undefined)
    return pickRows(
      b,
      [data, updates],
      rowSources(count, targets.entries(), count, (row) => row),
    );
  const layers: (readonly [number, number])[][] = [];
  const met = new Map<number, number>();
  targets.forEach((target, index) => {
    const layer = orDefault(met.get(target), 0);
    met.set(target, layer + 1);
    const members = layers[layer];
    if (members === undefined) layers.push([[index, target]]);
    else members.push([index, target]);
  });
  checkTable(node, layers.length * count * size);
  if (layers.length > MOST_LAYERS) {
    throw unsupportedForm(node, "simpler one", `${MOST_LAYERS} updates of one place`, `${layers.length}`);
  }
  const neutral = b.floats("neutral", [1, size], new Float32Array(size).fill(rule.neutral));
  return layers.reduce((sum, layer) => {
    const sources = rowSources(count, layer, 1, () => 0);
    return b.emit(rule.op, [sum, pickRows(b, [neutral, updates], sources)]);
  }, data);
}

/** Where each row comes from: `other(row)`, or `first` + the number of the update that lands there last. */
function rowSources(
  count: number,
  updates: Iterable<readonly [number, number]>,
  first: number,
  other: (row: number) => number,
): number[] {
  const sources = Array.from({ length: count }, (_, row) => other(row));
  for (const [index, target] of updates) sources[target] = first + index;
  return sources;
}

function pickRows(b: Emitter, parts: readonly string[], rows: readonly number[]): string {
  const all = b.emit("Concat", parts, { attributes: { axis: int(0) } });
  // Not a shared constant: looking for an equal one would write all rows into a text.
  const indices = b.constant("rows", int64Tensor([rows.length], rows));
  return b.emit("Gather", [all, indices], { attributes: { axis: int(0) } });
}
