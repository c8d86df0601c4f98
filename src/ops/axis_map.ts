import { elementCount } from "../graph/tensor.js";
import type { TypedBuilder } from "./builder.js";
import { matMul, reduceSum, reshape } from "./emit.js";

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

/**
 * The adjoint of linear maps along several axes: dy (as y) -> dx (as x), dx[i] = Σ weight · dy[o] over all taps
 * that read i.
 */
export function adjointAlongAxes(b: TypedBuilder, dy: string, maps: readonly AxisMap[]): string {
  return maps.reduce((gradient, map) => adjointAlongAxis(b, gradient, map), dy);
}

function adjointAlongAxis(b: TypedBuilder, dy: string, map: AxisMap): string {
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
  const matrix = new Float32Array(inputs * outputs);
  taps.forEach((row, output) => {
    for (const { input, weight } of row) {
      const at = input * outputs + output;
      matrix[at] = (matrix[at] ?? 0) + weight;
    }
  });
  const columns = reshape(b, dy, [before, outputs, after]);
  const product = matMul(b, b.floats("axis_map", [inputs, outputs], matrix), columns);
  return reshape(b, product, dims.with(axis, inputs));
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
