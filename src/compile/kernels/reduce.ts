import { at, last } from "../../graph/at.js";
import { KernelBuilder, load, plus, times } from "../kernel_builder.js";
import type { Index, Kernel, Lanes, Pointer, Value } from "../loops.js";
import { once, type Place } from "./functions.js";
import { mergeAxes } from "./strided.js";

/** What becomes of the elements along the reduced axes. */
export interface Folding {
  readonly name: string;
  /** What an element contributes. */
  readonly each: (place: Place, x: Value) => Value;
  readonly combine: (left: Value, right: Value) => Value;
  readonly finish: (place: Place, total: Value) => Value;
}

/** Elements by kept and by reduced axes; the results lie in row-major order of the kept ones. */
export interface Reduction extends Folding {
  readonly kept: readonly number[];
  readonly keptStrides: readonly number[];
  /** One element or more. */
  readonly reduced: readonly number[];
  readonly reducedStrides: readonly number[];
}

/** How many totals run side by side, so that one step does not wait for the last. */
const CHAINS = 4;

/** Elements of the scratch memory that `reduceKernel` needs. */
export const reductionScratch = (width: number): number => width;

/** Parameters: input, scratch, output. */
export function reduceKernel(reduction: Reduction, width: number): Kernel {
  const { kept, keptStrides, reduced, reducedStrides, name } = reduction;
  const outer = mergeAxes(kept, [{ strides: keptStrides }, { strides: rowMajor(kept) }]);
  const inner = mergeAxes(reduced, [{ strides: reducedStrides }]);
  const k = new KernelBuilder(
    name,
    `Reduces ${reduced.join(" x ")} elements to each of ${kept.length === 0 ? 1 : kept.join(" x ")}.`,
  );
  const parts: Parts = {
    k,
    input: k.input("input"),
    partial: k.output("partial"),
    output: k.output("output"),
    reduction,
    inner: inner.dims.map((size, axis) => ({ size, stride: at(at(inner.operands, 0), axis) })),
    width,
  };
  const innermost = outer.dims.length - 1;
  const [from, to] = [at(outer.operands, 0), at(outer.operands, 1)];
  const isVector = from[innermost] === 1 && at(outer.dims, innermost) > 1;
  const overAxis = (axis: number, input: Index, output: Index): void => {
    if (axis > innermost) {
      reduceRun(parts, input, output);
      return;
    }
    const size = at(outer.dims, axis);
    if (axis === innermost && isVector) {
      k.overElements(size, width, (lanes, i) => reduceApart(parts, lanes, plus(input, i), plus(output, i)));
    } else {
      k.loop(`i${axis}`, 0, size, 1, (i) =>
        overAxis(axis + 1, plus(input, times(i, at(from, axis))), plus(output, times(i, at(to, axis)))),
      );
    }
  };
  overAxis(0, 0, 0);
  return k.build();
}

interface Parts {
  readonly k: KernelBuilder;
  readonly input: Pointer;
  readonly partial: Pointer;
  readonly output: Pointer;
  readonly reduction: Reduction;
  /** The reduced axes. */
  readonly inner: readonly { readonly size: number; readonly stride: number }[];
  readonly width: number;
}

function rowMajor(dims: readonly number[]): readonly number[] {
  return dims.map((_, axis) => dims.slice(axis + 1).reduce((product, dim) => product * dim, 1));
}

/** Neighbouring results in the lanes of a vector. */
function reduceApart(
  { k, input, output, reduction, inner }: Parts,
  lanes: Lanes,
  from: Index,
  to: Index,
): void {
  const place: Place = { k, lanes };
  const total = k.value("total", lanes, reduction.each(place, once(place, load(input, from), "x")));
  const add = (position: Index): void => {
    const x = once(place, load(input, position), "x");
    total.set(reduction.combine(total.read, reduction.each(place, x)));
  };
  overAll(k, inner, from, add);
  k.store(lanes, output, to, reduction.finish(place, total.read));
}

/** Visits all positions but the first, which has been used already. */
function overAll(
  k: KernelBuilder,
  axes: Parts["inner"],
  from: Index,
  visit: (position: Index) => void,
): void {
  const overAxis = (axis: number, position: Index, isFirst: boolean): void => {
    if (axis >= axes.length) {
      if (!isFirst) visit(position);
      return;
    }
    const { size, stride } = at(axes, axis);
    // The first element of the first runs is left out; what follows is a plain loop.
    if (isFirst) overAxis(axis + 1, position, true);
    k.loop(`r${axis}`, isFirst ? 1 : 0, size, 1, (i) =>
      overAxis(axis + 1, plus(position, times(i, stride)), false),
    );
  };
  overAxis(0, from, true);
}

/** One result from runs of elements. */
function reduceRun(
  { k, input, partial, output, reduction, inner, width }: Parts,
  from: Index,
  to: Index,
): void {
  const run = last(inner);
  const isVector = run.stride === 1 && run.size >= width && width > 1;
  const scalar: Place = { k, lanes: "scalar" };
  const lanes: Lanes = isVector ? "vector" : "scalar";
  const place: Place = { k, lanes };
  const step = isVector ? width : 1;
  const stride = isVector ? 1 : run.stride;
  const chains = Math.min(CHAINS, Math.floor(run.size / step));
  const block = chains * step;
  const element = (where: Place, position: Index): Value =>
    reduction.each(where, once(where, load(input, position), "x"));
  const start = k.index("start", from).read;
  const totals = Array.from({ length: chains }, (_, chain) =>
    k.value("total", lanes, element(place, plus(start, times(chain * step, stride)))),
  );
  const overRun = (position: Index, first: number): void => {
    const whole = run.size - ((run.size - first) % block);
    k.loop("i", first, whole, block, (i) => {
      totals.forEach((total, chain) => {
        const from = plus(position, times(plus(i, chain * step), stride));
        total.set(reduction.combine(total.read, element(place, from)));
      });
    });
    for (let i = whole; i + step <= run.size; i += step) {
      const total = totals[(i - whole) / step];
      total?.set(reduction.combine(total.read, element(place, plus(position, i * stride))));
    }
  };
  const outerAxes = inner.slice(0, -1);
  overRun(start, block);
  overAll(k, outerAxes, start, (position) => overRun(k.index("run", position).read, 0));
  const joined = totals.map((total) => total.read).reduce(reduction.combine);
  const together = k.value("sum", lanes, joined);
  const sum = isVector ? acrossLanes(k, reduction, partial, together.read, width) : together;
  const rest = run.size % step;
  if (rest > 0) {
    const addRest = (position: Index): void => {
      for (let i = run.size - rest; i < run.size; i++) {
        sum.set(reduction.combine(sum.read, element(scalar, plus(position, i))));
      }
    };
    addRest(start);
    overAll(k, outerAxes, start, (position) => addRest(k.index("run", position).read));
  }
  k.store("scalar", output, to, reduction.finish(scalar, sum.read));
}

function acrossLanes(
  k: KernelBuilder,
  { combine }: Folding,
  partial: Pointer,
  vector: Value,
  width: number,
): ReturnType<KernelBuilder["value"]> {
  k.store("vector", partial, 0, vector);
  const lanes = Array.from({ length: width }, (_, lane) => load(partial, lane));
  return k.value("sum", "scalar", lanes.reduce(combine));
}
