import { at } from "../../graph/at.js";
import { binary, constant, KernelBuilder, load, plus, times } from "../kernel_builder.js";
import type { Index, Pointer, Statement, Value } from "../loops.js";
import { once, type Place } from "./functions.js";
import type { Cell, PixelGrid } from "./pixel_blocks.js";

/** From an operation's result, and what other values have at the same place, to what is kept. */
export type Ending = (place: Place, value: Value, sides: readonly Value[]) => Value;

/** What follows an operation at once, element by element: a sum with another value, an activation. */
export interface Epilogue {
  /** Of what it consists, as it ends the names of kernels: `_add_relu`; empty where nothing follows. */
  readonly name: string;
  /** How many other values of the output's shape it reads. */
  readonly sides: number;
  /** Whether it is too long to be written out at every place where a convolution stores results. */
  readonly isLong: boolean;
  readonly apply: Ending;
}

export const noEpilogue: Epilogue = { name: "", sides: 0, isLong: false, apply: (_, value) => value };

/** Operations that blocks of sums do in passing: without what exponentials and logarithms take. */
const MOST_IN_PASSING = 10;

export function epilogueOf(name: string, sides: number, apply: Ending): Epilogue {
  const k = new KernelBuilder(name, "");
  const input = k.input("input");
  const others = Array.from({ length: sides }, () => load(input, 0));
  const result = apply({ k, lanes: "vector" }, load(input, 0), others);
  const made = k.build().body.reduce((sum, statement) => sum + operationsOf(statement), 0);
  return { name, sides, isLong: made + operationsIn(result) > MOST_IN_PASSING, apply };
}

function operationsOf(statement: Statement): number {
  return statement.kind === "setValue" ? operationsIn(statement.value) : 0;
}

function operationsIn(value: Value): number {
  const inAll = (values: readonly Value[]): number =>
    values.reduce((sum, operand) => sum + operationsIn(operand), 1);
  switch (value.kind) {
    case "unary":
      return inAll([value.operand]);
    case "binary":
      return inAll([value.left, value.right]);
    case "multiplyAdd":
      return inAll([value.left, value.right, value.addend]);
    case "select":
      return inAll([value.left, value.right, value.chosen, value.other]);
    default:
      return 0;
  }
}

/** Limits: none where undefined. */
interface Limits {
  readonly low: number | undefined;
  readonly high: number | undefined;
}

/** max(x, low), then min(x, high), as in Relu and Clip. */
export function bounded(value: Value, { low, high }: Limits): Value {
  const above = low === undefined ? value : binary("pseudoMax", value, constant(low));
  return high === undefined ? above : binary("pseudoMin", above, constant(high));
}

/** Where finished values of a convolution go. */
export interface Destination {
  readonly output: Pointer;
  readonly sides: readonly Pointer[];
  readonly epilogue: Epilogue;
}

/** The parameters for the last part of a kernel, to be declared last. */
export function destination(k: KernelBuilder, epilogue: Epilogue): Destination {
  const sides = Array.from({ length: epilogue.sides }, () => k.input("side"));
  return { sides, output: k.output("output"), epilogue };
}

/** An element, or a vector, with a short epilogue; as it is where `finish` does the rest. */
export function ended(place: Place, { sides, epilogue }: Destination, position: Index, value: Value): Value {
  if (epilogue.isLong) return value;
  return epilogue.apply(
    place,
    value,
    sides.map((side) => load(side, position)),
  );
}

/** Stores the vectors of a block. */
export function storeCells(
  k: KernelBuilder,
  ending: Destination,
  position: Index,
  cells: readonly Cell[],
  values: readonly Value[],
): void {
  cells.forEach((cell, index) => {
    const here = plus(position, cell.output);
    const value = ended({ k, lanes: "vector" }, ending, here, at(values, index));
    k.store("vector", ending.output, here, value, cell.count);
  });
}

/** Planes of which `grid` covers all or a part. */
export interface FinishedPlanes {
  readonly count: number;
  /** From one to the next, in elements. */
  readonly distance: number;
  readonly grid: Pick<PixelGrid, "rows" | "columns" | "outputRow">;
}

/** A long epilogue of what was stored without it, soon after, while it is near. */
export function finish(
  k: KernelBuilder,
  ending: Destination,
  position: Index,
  { count, distance, grid }: FinishedPlanes,
  width: number,
): void {
  const { epilogue, output, sides } = ending;
  if (!epilogue.isLong) return;
  const overRun = (from: Index, elements: number): void => {
    const start = k.index("done", from).read;
    k.overElements(elements, width, (lanes, i) => {
      const element = plus(start, i);
      const place = { k, lanes };
      const read = (pointer: Pointer): Value => once(place, load(pointer, element), "y");
      k.store(lanes, output, element, epilogue.apply(place, read(output), sides.map(read)));
    });
  };
  const pixels = grid.rows * grid.columns;
  if (grid.outputRow !== grid.columns && grid.rows > 1) {
    k.loop("plane", 0, count, 1, (plane) =>
      k.loop("line", 0, grid.rows, 1, (line) =>
        overRun(plus(position, times(plane, distance), times(line, grid.outputRow)), grid.columns),
      ),
    );
  } else if (distance === pixels) overRun(position, count * pixels);
  else k.loop("plane", 0, count, 1, (plane) => overRun(plus(position, times(plane, distance)), pixels));
}
