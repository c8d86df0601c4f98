import { at, inputOf, listOf, outputOf, present } from "../graph/at.js";
import { intAttributeOr, intsAttributeOr } from "../graph/attributes.js";
import { dependentsOf, movingOps } from "../graph/following.js";
import { fixOpenBatch } from "../graph/passes/fix_input_shape.js";
import { elementCount } from "../graph/tensor.js";
import type { Graph, Node, ValueType } from "../graph/types.js";
import { normalizeAxis } from "../ops/core/arguments.js";
import { inferGraph } from "../ops/inference/infer.js";

/** An output of more parts is taken whole. */
const MOST_PARTS = 64;

/** From and to, which does not belong to it, along an axis. */
export type Range = readonly [from: number, to: number];

/** A block of an output's numbers that are of one kind. */
export interface OutputPart {
  /** Along every axis but the first, that of images. */
  readonly ranges: readonly Range[];
}

/** A part of an output, and the value of the network that it is; which may have its axes in another order. */
export interface SourcedPart extends OutputPart {
  readonly value: string;
}

/**
 * The one place that says which numbers of an output are of one kind, and count by their own scale: those that a Concat
 * takes from one value, whatever else only moves them. Detectors put coordinates of hundreds of pixels and scores below 1
 * into one tensor, whose variance is that of the coordinates alone. Parts that are the same for every image are left out.
 * @returns by output, outputs that are not put together, or not of blocks, are missing
 */
export function outputParts(network: Graph): ReadonlyMap<string, readonly SourcedPart[]> {
  const nodes = movingNodes(network);
  if (!nodes.some(({ op }) => op === "Concat")) return new Map();
  const varied = dependentsOf(
    network.nodes,
    network.inputs.map(({ name }) => name),
  ).values;
  const { types } = inferGraph(fixOpenBatch(network, 1));
  const blocks = blocksOf(nodes, types);
  return new Map(
    network.outputs.flatMap(({ name }) => {
      const images = types.get(name)?.shape?.[0];
      const found = listOf(blocks, name);
      const isByImage = found.every(({ box: [first] }) => first?.[0] === 0 && first[1] === images);
      const parts = found.filter(({ value }) => varied.has(value));
      if (!isByImage || parts.length === 0) return [];
      return [[name, parts.map(({ value, box }) => ({ value, ranges: box.slice(1) }))] as const];
    }),
  );
}

/** Which of the parts every number of one image's output belongs to; -1 for those of none. @param dims of one image */
export function partOfEach(parts: readonly OutputPart[], dims: readonly number[]): Int8Array {
  const found = new Int8Array(elementCount(dims)).fill(-1);
  for (const [index, { ranges }] of parts.entries()) fill(found, index, ranges, dims);
  return found;
}

function fill(found: Int8Array, part: number, ranges: readonly Range[], dims: readonly number[]): void {
  const visit = (axis: number, offset: number): void => {
    const [from, to] = at(ranges, axis);
    const start = offset * at(dims, axis);
    if (axis === dims.length - 1) {
      found.fill(part, start + from, start + to);
      return;
    }
    for (let index = from; index < to; index++) visit(axis + 1, start + index);
  };
  if (dims.length === 0) found.fill(part);
  else visit(0, 0);
}

/** Each as slices are written in Python, "[:, 0:4, :]". Axes along which they do not differ are whole, as far as they say. */
export function describeParts(parts: readonly OutputPart[]): readonly string[] {
  const differs = (axis: number): boolean => new Set(parts.map(({ ranges }) => `${ranges[axis]}`)).size > 1;
  return parts.map(({ ranges }) => {
    const slices = ranges.map(([from, to], axis) => (differs(axis) ? `${from}:${to}` : ":"));
    return `[:, ${slices.join(", ")}]`;
  });
}

type Types = ReadonlyMap<string, ValueType>;

/** Where a value's numbers stand in what is made of it. */
interface Block {
  readonly value: string;
  /** Along every axis. */
  readonly box: readonly Range[];
}

/** What moves or joins numbers on their way to an output and changes none of them, in the graph's order. */
function movingNodes({ nodes, outputs }: Graph): readonly Node[] {
  const wanted = new Set(outputs.map(({ name }) => name));
  const found: Node[] = [];
  for (const node of nodes.toReversed()) {
    const isMoving = node.domain === "" && (node.op === "Concat" || movingOps.has(node.op));
    if (!isMoving || !wanted.has(outputOf(node, 0))) continue;
    found.push(node);
    for (const name of node.op === "Concat" ? node.inputs : [inputOf(node, 0)]) wanted.add(name);
  }
  return found.reverse();
}

/** The blocks of each value that is put together; it is missing where they are too many, or none. */
function blocksOf(nodes: readonly Node[], types: Types): ReadonlyMap<string, readonly Block[]> {
  const known = new Map<string, readonly Block[]>();
  for (const node of nodes) {
    const name = outputOf(node, 0);
    const blocks = node.op === "Concat" ? joined(node, known, types) : moved(node, known, types);
    if (blocks !== undefined && blocks.length <= MOST_PARTS) known.set(name, blocks);
  }
  return known;
}

type Known = ReadonlyMap<string, readonly Block[]>;

/** Undefined where a shape is not known. */
function joined(node: Node, known: Known, types: Types): readonly Block[] | undefined {
  const all: Block[] = [];
  let offset = 0;
  for (const name of node.inputs) {
    const dims = dimsOf(name, types);
    if (dims === undefined) return undefined;
    const axis = normalizeAxis(node, intAttributeOr(node, "axis", 0), dims.length);
    const whole = { value: name, box: dims.map((dim): Range => [0, dim]) };
    for (const { value, box } of known.get(name) ?? [whole]) {
      const [from, to] = at(box, axis);
      all.push({ value, box: box.with(axis, [from + offset, to + offset]) });
    }
    offset += at(dims, axis);
  }
  return all;
}

/** Undefined of what was not put together, and where a block does not stay one. */
function moved(node: Node, known: Known, types: Types): readonly Block[] | undefined {
  const blocks = known.get(inputOf(node, 0));
  const [before, after] = [dimsOf(inputOf(node, 0), types), dimsOf(outputOf(node, 0), types)];
  if (blocks === undefined || before === undefined || after === undefined) return undefined;
  const found: Block[] = [];
  for (const { value, box } of blocks) {
    const placed = node.op === "Transpose" ? transposed(node, box) : reshaped(box, before, after);
    if (placed === undefined) return undefined;
    found.push({ value, box: placed });
  }
  return found;
}

function transposed(node: Node, box: readonly Range[]): readonly Range[] {
  const turned = box.map((_, axis) => box.length - 1 - axis);
  const perm = intsAttributeOr(node, "perm", turned);
  return perm.map((axis) => at(box, axis));
}

/** Where a block is after its value was given other dimensions; undefined where it is a block no more. */
function reshaped(
  box: readonly Range[],
  before: readonly number[],
  after: readonly number[],
): readonly Range[] | undefined {
  if (elementCount(before) !== elementCount(after)) return undefined;
  const found: Range[] = [];
  for (const [from, to] of alike(before, after)) {
    const run = runOf(box.slice(...from), before.slice(...from));
    const ranges = run && rangesOf(run, after.slice(...to));
    if (ranges === undefined) return undefined;
    found.push(...ranges);
  }
  return found;
}

/** The shortest stretches of axes that hold as many numbers before and after, in their order. */
function alike(before: readonly number[], after: readonly number[]): readonly (readonly [Range, Range])[] {
  const found: (readonly [Range, Range])[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    const [first, second] = [i, j];
    let [left, right] = [1, 1];
    do {
      if (i < before.length && (left <= right || j === after.length)) left *= at(before, i++);
      else right *= at(after, j++);
    } while (left !== right);
    found.push([
      [first, i],
      [second, j],
    ]);
  }
  return found;
}

/** From and to of a block in the order of its numbers; undefined where others are between them. */
function runOf(box: readonly Range[], dims: readonly number[]): Range | undefined {
  let [from, count, isWhole] = [0, 1, true];
  let stride = 1;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    const [first, end] = at(box, axis);
    if (!isWhole && end - first > 1) return undefined;
    from += first * stride;
    count *= end - first;
    isWhole &&= end - first === dims[axis];
    stride *= present(dims[axis]);
  }
  return [from, from + count];
}

/** A stretch of numbers as ranges along axes; undefined where it is none. */
function rangesOf([from, to]: Range, dims: readonly number[]): readonly Range[] | undefined {
  const [first, ...rest] = dims;
  if (first === undefined) return [];
  const each = rest.reduce((product, dim) => product * dim, 1);
  if (from % each === 0 && to % each === 0)
    return [[from / each, to / each], ...rest.map((dim): Range => [0, dim])];
  const row = Math.floor(from / each);
  const inner = rangesOf([from - row * each, to - row * each], rest);
  return to > (row + 1) * each || inner === undefined ? undefined : [[row, row + 1], ...inner];
}

/** Undefined where not all are numbers above 0. */
function dimsOf(value: string, types: Types): readonly number[] | undefined {
  const shape = types.get(value)?.shape;
  return shape?.every((dim) => typeof dim === "number" && dim > 0) === true ? shape.map(Number) : undefined;
}
