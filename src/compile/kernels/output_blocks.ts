import { entry, type KernelBuilder, plus, times } from "../kernel_builder.js";
import type { Index, Pointer } from "../loops.js";

// Kernels that run once are told sizes by a table of constants, so that layers of all sizes share their code.

/** A number of the table. */
export const toldNumber = (k: KernelBuilder, table: Pointer, place: Index): Index =>
  k.index("told", entry(table, place)).read;

/** Outputs in whole blocks, and those behind them. */
const PARTS = 2;
const NUMBERS = 3;

/** What `overBlocks` is told: of each part the first output, how many blocks, and how many outputs in each. */
export function blockParts(outputs: number, block: number): readonly number[] {
  const rest = outputs % block;
  const whole = outputs - rest;
  return [0, whole / block, block, whole, 1, rest];
}

/**
 * Goes over the blocks of a layer's outputs.
 * @param from where the table says `blockParts`
 * @param body gets a block's first output and how many it has
 */
export function overBlocks(
  k: KernelBuilder,
  table: Pointer,
  from: number,
  body: (first: Index, width: Index) => void,
): void {
  // Carried from one part to the next, so that the verifier looks at each by itself.
  const place = k.index("place", from);
  k.loop("part", 0, PARTS, 1, () => {
    const told = (number: number): Index => toldNumber(k, table, plus(place.read, number));
    const [start, blocks, width] = [told(0), told(1), told(2)];
    k.loop("block", 0, blocks, 1, (block) => {
      body(k.index("first", plus(start, times(block, width))).read, width);
    });
    place.set(plus(place.read, NUMBERS));
  });
}
