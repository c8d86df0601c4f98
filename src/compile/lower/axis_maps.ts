import { at, orDefault, present } from "../../graph/at.js";
import { intAttribute } from "../../graph/attributes.js";
import { elementCount, numericData } from "../../graph/tensor.js";
import { normalizeAxis } from "../../ops/core/arguments.js";
import type { AxisMap } from "../../ops/families/axis_map.js";
import { gatheredPosition } from "../../ops/operators/gather.js";
import { resizedAxes } from "../../ops/operators/resize.js";
import { axisMapKernel, type LinearMap } from "../kernels/axis_map.js";
import type { Location } from "../program.js";
import { behind } from "../program_builder.js";
import type { Lower, LoweringContext } from "./definition.js";
import { checkTableLength, notConstant } from "./errors.js";

// Operators that take each axis by itself: elements are picked, or mixed with constant weights.

/** Maps one axis after the other; those that make the value smaller come first. */
export function lowerAxisMaps(context: LoweringContext, maps: readonly AxisMap[]): void {
  const growth = (map: AxisMap): number => map.taps.length / map.inputs;
  const ordered = maps.toSorted((a, b) => growth(a) - growth(b));
  let dims = context.inputDims(0);
  let location = context.read(0);
  if (ordered.length === 0) {
    context.alias(location);
    return;
  }
  ordered.forEach((map, index) => {
    const next = dims.with(map.axis, map.taps.length);
    const to = index === ordered.length - 1 ? context.write() : context.scratch(elementCount(next));
    if (elementCount(next) > 0) mapAxis(context, map, dims, location, to);
    dims = next;
    location = to;
  });
}

type Tap = AxisMap["taps"][number][number];

function mapAxis(
  context: LoweringContext,
  { axis, inputs, taps }: AxisMap,
  dims: readonly number[],
  from: Location,
  to: Location,
): void {
  const inner = elementCount(dims.slice(axis + 1));
  const most = taps.reduce((count, list) => Math.max(count, list.length), 1);
  const map: LinearMap = {
    outer: elementCount(dims.slice(0, axis)),
    inputs,
    outputs: taps.length,
    inner,
    taps: most,
    isCopy: most === 1 && taps.every(([tap]) => tap?.weight === 1),
  };
  // Missing taps are one that is there already, with weight 0.
  const tapAt = (index: number): Tap => {
    const list = present(taps[Math.floor(index / most)]);
    // A position without any is zero, wherever it reads.
    return list[index % most] ?? { input: orDefault(list[0]?.input, 0), weight: 0 };
  };
  const positions = Int32Array.from({ length: taps.length * most }, (_, index) => tapAt(index).input * inner);
  const tables = [context.weights(positions)];
  if (!map.isCopy) {
    tables.push(
      context.weights(Float32Array.from({ length: positions.length }, (_, index) => tapAt(index).weight)),
    );
  }
  context.call(axisMapKernel(map, context.width), [from, ...tables, to]);
}

/** Interpolation by scales or to sizes. */
export const lowerResize: Lower = (context) => {
  for (const dim of context.outputDims()) checkTableLength(context, dim);
  const maps = resizedAxes(context, context.inputDims(0), context.outputDims());
  if (maps === undefined) throw notConstant(context, "scales or sizes");
  lowerAxisMaps(context, maps);
};

/** Entries of an axis by constant indices. */
export const lowerGather: Lower = (context) => {
  const dims = context.inputDims(0);
  const indices = context.constant(1);
  if (indices === undefined) throw notConstant(context, "indices");
  const axis = normalizeAxis(context.node, orDefault(intAttribute(context.node, "axis"), 0), dims.length);
  const size = at(dims, axis);
  const taken = numericData(indices).map((index) => gatheredPosition(context.node, index, size));
  const [only] = taken;
  if (taken.length === 1 && only !== undefined && elementCount(dims.slice(0, axis)) === 1) {
    context.alias(behind(context.read(0), only * elementCount(dims.slice(axis + 1))));
    return;
  }
  lowerAxisMaps(context, [{ axis, inputs: size, taps: taken.map((input) => [{ input, weight: 1 }]) }]);
};
