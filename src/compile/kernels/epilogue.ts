import { at } from "../../graph/at.js";
import type { KernelBuilder } from "../kernel_builder.js";
import { binary, constant, load, plus } from "../kernel_builder.js";
import type { Index, Pointer, Value } from "../loops.js";
import type { Cell } from "./pixel_blocks.js";

/** What follows a convolution at once: the sum with another value of the same shape, then bounds. */
export interface Epilogue {
  readonly residual: boolean;
  /** max(x, low), then min(x, high), as in Relu and Clip. */
  readonly low: number | undefined;
  readonly high: number | undefined;
}

export const noEpilogue: Epilogue = { residual: false, low: undefined, high: undefined };

export function bounded(value: Value, { low, high }: Pick<Epilogue, "low" | "high">): Value {
  const above = low === undefined ? value : binary("pseudoMax", value, constant(low));
  return high === undefined ? above : binary("pseudoMin", above, constant(high));
}

/** Where finished values of a convolution go. */
export interface Destination {
  readonly output: Pointer;
  readonly residual: Pointer | undefined;
}

/** The parameters for the last part of a kernel, to be declared last. */
export function destination(k: KernelBuilder, epilogue: Epilogue): Destination {
  return { residual: epilogue.residual ? k.input("residual") : undefined, output: k.output("output") };
}

/** Stores the vectors of a block. */
export function storeCells(
  k: KernelBuilder,
  { output, residual }: Destination,
  epilogue: Epilogue,
  position: Index,
  cells: readonly Cell[],
  values: readonly Value[],
): void {
  cells.forEach((cell, index) => {
    const value = at(values, index);
    const place = plus(position, cell.output);
    const summed: Value =
      residual === undefined
        ? value
        : { kind: "binary", op: "add", left: value, right: load(residual, place) };
    k.store("vector", output, place, bounded(summed, epilogue), cell.count);
  });
}

/** What distinguishes the names of kernels with different endings. */
export function epilogueName({ residual, low, high }: Epilogue): string {
  const bounds =
    low === undefined && high === undefined ? "" : low === 0 && high === undefined ? "_relu" : "_clip";
  return `${residual ? "_add" : ""}${bounds}`;
}
