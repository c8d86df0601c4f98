import { orDefault, present } from "../../graph/at.js";
import { PenniError } from "../../graph/errors.js";
import { elementCount } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";
import { checkConstantSize } from "../core/arguments.js";
import { matMul, reduceSum, reshape } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";

/** A linear map along one axis: y[o] = Σ weight · x[input] over the taps of output o. */
export interface AxisMap {
  readonly axis: number;
  /** Size of the axis in x. */
  readonly inputs: number;
  /** One list of taps for each element of the axis in y. */
  readonly taps: readonly (readonly AxisTap[])[];
}

export interface AxisTap {
  readonly input: number;
  readonly weight: number;
}

/** Far more elements than an axis of any feature map has. */
const LONGEST_AXIS = 2 ** 16;

/**
 * Checks the size of an axis, known from a model, of which something is about to be written down for each element.
 * @throws PenniError "unsupported" if there are too many
 */
export function checkAxisLength(node: Node, size: number): void {
  if (size <= LONGEST_AXIS) return;
  throw new PenniError("unsupported", "axes as long as this are not supported", {
    node: node.name,
    op: node.op,
    expected: `at most ${LONGEST_AXIS} elements`,
    found: `${size}`,
  });
}

/**
 * The map of an axis whose sizes come from a model, with the taps of output o = 0, 1, ...
 * @throws PenniError "unsupported" as `checkAxisLength`
 */
export function axisMap(
  node: Node,
  axis: number,
  [inputs, outputs]: readonly [number, number],
  tapsOf: (output: number) => readonly AxisTap[],
): AxisMap {
  checkAxisLength(node, Math.max(inputs, outputs));
  return { axis, inputs, taps: Array.from({ length: outputs }, (_, output) => tapsOf(output)) };
}

/**
 * The adjoint of linear maps along several axes: dy (as y) -> dx (as x), dx[i] = Σ weight · dy[o] over all taps
 * that read i.
 * @throws PenniError "unsupported" naming the node if a map's matrix would be too large
 */
export function adjointAlongAxes(b: Emitter, node: Node, dy: string, maps: readonly AxisMap[]): string {
  return maps.reduce((gradient, map) => adjointAlongAxis(b, node, gradient, map), dy);
}

function adjointAlongAxis(b: Emitter, node: Node, dy: string, map: AxisMap): string {
  const dims = b.dims(dy);
  const { axis, inputs, taps } = map;
  const [before, after] = [elementCount(dims.slice(0, axis)), elementCount(dims.slice(axis + 1))];
  const factor = repetition(map);
  if (factor === 1) return dy;
  if (factor !== undefined) {
    const runs = reshape(b, dy, [before, inputs, factor, after]);
    return reshape(b, reduceSum(b, runs, [2], false), dims.with(axis, inputs));
  }
  const outputs = taps.length;
  checkConstantSize(node, inputs * outputs);
  const matrix = new Float32Array(inputs * outputs);
  taps.forEach((row, output) => {
    for (const { input, weight } of row) {
      const at = input * outputs + output;
      matrix[at] = present(matrix[at]) + weight;
    }
  });
  const columns = reshape(b, dy, [before, outputs, after]);
  const product = matMul(b, b.floats("axis_map", [inputs, outputs], matrix), columns);
  return reshape(b, product, dims.with(axis, inputs));
}

/**
 * How often maps repeat every element of an image [N, C, H, W] along its height and width; undefined where they do
 * anything else.
 */
export function spatialRepetition(
  maps: readonly AxisMap[],
  rank: number,
): readonly [number, number] | undefined {
  const factors = maps.map((map) => ({ axis: map.axis, factor: repetition(map) }));
  if (rank !== 4 || factors.some(({ axis, factor }) => axis < 2 || factor === undefined)) return undefined;
  const along = (axis: number): number => orDefault(factors.find((map) => map.axis === axis)?.factor, 1);
  return [along(2), along(3)];
}

/** How often the map repeats every element in place, if that is all it does. */
function repetition({ inputs, taps }: AxisMap): number | undefined {
  const factor = taps.length / inputs;
  if (!Number.isInteger(factor)) return undefined;
  const isRepeated = taps.every(([tap, ...others], output) => {
    return others.length === 0 && tap?.weight === 1 && tap.input === Math.floor(output / factor);
  });
  return isRepeated ? factor : undefined;
}
