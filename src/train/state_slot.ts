import type { ValueSlot } from "../execute/resident.js";

/** A value that a step takes in and gives back updated. */
export interface StateSlot extends ValueSlot {
  readonly dims: readonly number[];
}
