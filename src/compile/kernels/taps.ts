import { at } from "../../graph/at.js";
import type { KernelBuilder } from "../kernel_builder.js";
import { entry } from "../kernel_builder.js";
import type { Index, Pointer } from "../loops.js";

/**
 * Vector registers for the sums of a block and what is multiplied for it. A few more than the 16 there are: engines
 * keep some of the factors in memory operands.
 */
export const REGISTERS = 19;

/**
 * Declares the table of tap positions, where there are several. They are looped over and not written out: WebAssembly
 * engines move the loads of straight code in front of all arithmetic, and then run out of registers.
 */
export function tapParameter(k: KernelBuilder, taps: readonly number[]): Pointer | undefined {
  return taps.length > 1 ? k.input("taps", "i32") : undefined;
}

/** What is passed for it. */
export function tapTables(taps: readonly number[]): readonly Int32Array[] {
  return taps.length > 1 ? [Int32Array.from(taps)] : [];
}

/**
 * Goes over the taps from number `first` on.
 * @param body gets a tap's number and its position relative to the output's
 */
export function overTaps(
  k: KernelBuilder,
  taps: readonly number[],
  table: Pointer | undefined,
  first: number,
  body: (tap: Index, position: Index) => void,
): void {
  if (table === undefined) {
    if (first === 0) body(0, at(taps, 0));
    return;
  }
  k.loop("tap", first, taps.length, 1, (tap) => {
    body(tap, k.index("offset", entry(table, tap)).read);
  });
}
