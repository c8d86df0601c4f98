import type { KernelRates } from "./cost_model.js";

/** What kernels are generated for. */
export interface Target {
  /** Lanes of a vector of float32. */
  readonly width: number;
  readonly rates: KernelRates;
  /** Some of the machines have twice as many vector registers: kernels get a second body, with larger blocks, for them. */
  readonly hasRoomyMachines?: true;
}
