import { at, last, present } from "../../graph/at.js";
import { broadcast, KernelBuilder, load, plus, times } from "../kernel_builder.js";
import type { Index, Kernel, Lanes, Value } from "../loops.js";

/** An array as a walk over it: how far each axis moves on, in elements; 0 repeats. */
export interface StridedOperand {
  readonly strides: readonly number[];
}

export interface StridedMap {
  readonly name: string;
  readonly comment: string;
  readonly dims: readonly number[];
  readonly inputs: readonly StridedOperand[];
  readonly output: StridedOperand;
  /** The output's element from the inputs'. */
  readonly compute: (values: readonly Value[], k: KernelBuilder, lanes: Lanes) => Value;
}

/**
 * An element-by-element function over strided arrays: arithmetic with broadcasting, and everything that only moves
 * elements. Parameters: the inputs, then the output, each at its first element.
 */
export function stridedKernel(map: StridedMap, width: number): Kernel {
  const { dims, operands } = mergeAxes(map.dims, [...map.inputs, map.output]);
  const k = new KernelBuilder(map.name, map.comment);
  const inputs = map.inputs.map((_, index) => k.input(map.inputs.length === 1 ? "input" : `input_${index}`));
  const output = k.output("output");
  const innermost = dims.length - 1;
  const innerStrides = operands.map(last);
  const isVector = innerStrides.at(-1) === 1 && innerStrides.every((stride) => stride === 0 || stride === 1);

  const inner = (positions: readonly Index[]): void => {
    const element = (lanes: Lanes, i: Index): void => {
      const places = positions.map((position, index) => plus(position, times(i, at(innerStrides, index))));
      const values = inputs.map((input, index) => {
        const read = innerStrides[index] === 0 ? broadcast : load;
        return read(input, at(places, index));
      });
      k.store(lanes, output, last(places), map.compute(values, k, lanes));
    };
    const count = last(dims);
    if (isVector) k.overElements(count, width, element);
    else k.loop("i", 0, count, 1, (i) => element("scalar", i));
  };
  const overAxis = (axis: number, positions: readonly Index[]): void => {
    if (axis >= innermost) {
      inner(positions);
      return;
    }
    k.loop(`i${axis}`, 0, at(dims, axis), 1, (counter) => {
      overAxis(
        axis + 1,
        positions.map((position, index) => plus(position, times(counter, at(at(operands, index), axis)))),
      );
    });
  };
  overAxis(
    0,
    operands.map(() => 0),
  );
  return k.build();
}

interface Merged {
  readonly dims: readonly number[];
  readonly operands: readonly (readonly number[])[];
}

/** Joins neighbouring axes over which every operand moves evenly, and leaves out axes of one element. */
export function mergeAxes(dims: readonly number[], operands: readonly StridedOperand[]): Merged {
  const merged: { dims: number[]; operands: number[][] } = { dims: [], operands: operands.map(() => []) };
  dims.forEach((dim, axis) => {
    if (dim === 1) return;
    const strides = operands.map((operand) => at(operand.strides, axis));
    const isEven =
      merged.dims.length > 0 &&
      strides.every((stride, index) => last(at(merged.operands, index)) === stride * dim);
    if (isEven) {
      merged.dims.push(present(merged.dims.pop()) * dim);
      merged.operands.forEach((list, index) => {
        list[list.length - 1] = at(strides, index);
      });
    } else {
      merged.dims.push(dim);
      merged.operands.forEach((list, index) => {
        list.push(at(strides, index));
      });
    }
  });
  if (merged.dims.length > 0) return merged;
  return { dims: [1], operands: operands.map(() => [1]) };
}
