import type { KernelRates } from "./cost_model.js";

/** What kernels are generated for. */
export interface Target {
  /** Lanes of a vector of float32. */
  readonly width: number;
  readonly rates: KernelRates;
  /**
   * A C compiler makes machine code of the kernels: it multiplies and adds at once, and some machines have twice as many
   * vector registers, for which kernels have a second body.
   */
  readonly isNative?: true;
}
